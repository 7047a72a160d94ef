"""A journal that is damaged or cannot be written: said loudly, made whole, and nothing else depends on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.small_disk import SmallDisk, StateWorld

pytestmark = pytest.mark.live


def test_a_damaged_one_is_set_aside_rebuilt_and_said_loudly(stated: StateWorld) -> None:
    assert stated.stop_daemon() == 0
    oid = stated.git("-c", "safe.directory=*", "rev-parse", "HEAD", at=stated.journal).strip()
    newest = stated.journal / "objects" / oid[:2] / oid[2:]
    newest.chmod(0o600)
    newest.write_bytes(newest.read_bytes()[:-8])
    stated.start_daemon()
    stated.until("it is set aside", lambda: list(stated.state.glob("journal.git.damaged-*")))
    (aside,) = stated.state.glob("journal.git.damaged-*")
    stated.until("its successor holds everything", lambda: "set-aside, completed" in stated.journal_says())
    assert "lacks its end" in stated.journal_says("%B")
    (said,) = stated.until_told("journal.said")
    assert (said["level"], str(aside) in said["message"]) == ("error", True)
    assert str(aside) in stated.told()
    assert ("journal", "set-aside") in [(entry["action"], entry["result"]) for entry in stated.audit()]
    assert "DAMAGED" in stated.cli("history", "steady")
    shutil.rmtree(aside)
    assert "damaged" not in stated.notes()


@pytest.fixture
def small(stated: StateWorld) -> Iterator[SmallDisk]:
    """The state directory on a filesystem of its own."""
    from tests.small_disk import SmallDisk

    assert stated.stop_daemon() == 0
    disk = SmallDisk(stated.state, 3)
    try:
        stated.start_daemon()
        stated.until("the journal is there", lambda: stated.journal.exists() and stated.journal_says())
        yield disk
    finally:
        if stated.stop_daemon() != 0:
            stated.kill_daemon()
        disk.remove()
        stated.start_daemon()
        stated.until_settled()


def test_one_that_may_only_be_read_is_said_and_tried_again(stated: StateWorld, small: SmallDisk) -> None:
    assert stated.stop_daemon() == 0
    small.read_only(on=True)
    stated.start_daemon()
    stated.undefine_idle()
    stated.until("drift is corrected", lambda: stated.is_there("idle"))
    stated.until("it is said", lambda: "Read-only" in stated.notes())
    small.read_only(on=False)
    stated.ask("reconcile")
    stated.until("it is written", lambda: any(e["object"] == stated.key("idle") for e in stated.audit()), every_s=0.5)
