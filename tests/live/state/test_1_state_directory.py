"""What gitvirt keeps on disk is lost: nothing on the host depends on it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from reconciler.daemon.control import is_answering

if TYPE_CHECKING:
    from tests.live.state.world import StateWorld

pytestmark = pytest.mark.live


def test_deleted_while_it_is_stopped_nothing_is_done_and_the_journal_holds_everything(stated: StateWorld) -> None:
    assert stated.stop_daemon() == 0
    stated.delete_state()
    stated.start_daemon()
    stated.until_settled()
    stated.until("it holds everything", lambda: "journal: completed" in stated.journal_says())
    files = stated.git("-c", "safe.directory=*", "ls-tree", "-r", "--name-only", "HEAD", at=stated.journal)
    for kind, name in (("VirtualMachine", "steady"), ("VirtualMachine", "idle"), ("PersistentVolumeClaim", "idle-data"),
                       ("NetworkAttachmentDefinition", "lan")):  # fmt: skip
        assert f"{stated.namespace}/{kind}/{name}.yaml" in files
    assert "Change:" not in stated.journal_says("%B")


def test_deleted_while_it_runs_the_next_commit_is_followed(stated: StateWorld) -> None:
    from tests.live.state.world import small_vm

    stated.delete_state()
    stated.declare({"later.yaml": small_vm("later")}, "later")
    stated.until("the commit is followed", lambda: stated.is_there("later"))
    stated.until_settled()
    stated.until("the journal tells it", lambda: stated.key("later") in stated.journal_says("%B"))
    files = stated.git("-c", "safe.directory=*", "ls-tree", "-r", "--name-only", "HEAD", at=stated.journal)
    assert f"{stated.namespace}/VirtualMachine/steady.yaml" in files


def test_deleted_while_the_server_is_away_nothing_is_enforced_and_nothing_deleted(stated: StateWorld) -> None:
    assert stated.stop_daemon() == 0
    stated.delete_state()
    before = len(stated.events("source.unreachable"))
    away = stated.bare.with_name("moved.git")
    stated.bare.rename(away)
    try:
        stated.start_daemon()
        stated.until_told("source.unreachable", before + 1)
        stated.undefine_idle()
        said = stated.told()
        assert "Nothing has been accepted yet" in said
        stated.ask("reconcile")
        assert not stated.is_there("idle")
        assert stated.is_there("later")
    finally:
        away.rename(stated.bare)
    stated.ask("reconcile")
    stated.until("what was removed by hand is back", lambda: stated.is_there("idle"))
    stated.until_settled()


def test_a_removed_runtime_directory_is_made_again(stated: StateWorld) -> None:
    before = len(stated.events("socket.restored"))
    aside = stated.run.with_name("run-aside")  # in one step: the daemon makes the socket again as soon as it is gone
    stated.run.rename(aside)
    shutil.rmtree(aside)
    stated.until("the daemon can be asked again", lambda: is_answering(stated.run / "control.sock"))
    stated.until_told("socket.restored", before + 1)
    assert stated.ask("status")["daemon"] is True


def test_a_lost_key_restarts_nothing_and_is_said(stated: StateWorld) -> None:
    assert stated.stop_daemon() == 0
    before = len(stated.events("key.created"))
    kept = stated.key_file.read_bytes()
    stated.key_file.unlink()
    stated.start_daemon()
    stated.until_settled()
    stated.until_told("key.created", before + 1)
    row = stated.row("steady")
    assert (row["status"], row["state"]) == ("Running", "Ready"), row
    assert stated.ask("plan")["restart_required"] == []
    assert "recorded under another key" in stated.ask("plan")["text"]
    assert stated.stop_daemon() == 0
    stated.key_file.write_bytes(kept)
    stated.start_daemon()
    stated.until_settled()
    assert "another key" not in stated.ask("plan")["text"]
