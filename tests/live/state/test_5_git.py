"""A Git server that stops, hangs, lies or goes back in time: guests run on, and the last accepted revision is enforced."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.remotes.broken import Write, git_server

if TYPE_CHECKING:
    from tests.live.state.world import StateWorld

pytestmark = pytest.mark.live


@dataclass
class Server:
    """What it answers from now on."""

    mode: str = "honest"

    def answer(self, said: bytes, write: Write) -> None:
        """As the mode says."""
        match self.mode:
            case "garbage":
                write(b"zzzz" + bytes(range(256)) * 20)
            case "cut":
                write(said[: len(said) // 2])
            case "slow":
                time.sleep(3)
                write(said)
            case _:
                write(said)


@pytest.fixture
def server(stated: StateWorld) -> Iterator[Server]:
    """The world's repository behind a server that can be told what to answer."""
    made = Server()
    source = yaml.safe_load(stated.settings.read_text())["source"]
    with git_server(stated.bare, refs=made.answer, pack=made.answer) as url:
        stated.set_settings(source={**source, "url": url})
        stated.again()
        stated.until("the server is followed", lambda: "ready" in str(stated.ask("status")["source"]["state"]).lower())
        yield made
    stated.set_settings(source=source)
    stated.again()
    stated.until_settled()


def test_whatever_it_answers_what_was_accepted_is_enforced(stated: StateWorld, server: Server) -> None:
    from tests.live.state.world import small_vm

    for mode in ("garbage", "cut", "slow"):
        server.mode = mode
        name = f"served-{mode}"
        stated.declare({f"{name}.yaml": small_vm(name)}, f"while it is {mode}")
        stated.undefine_idle()
        stated.until("drift is corrected meanwhile", lambda: stated.is_there("idle"))
        if mode != "slow":
            stated.until("it is said", lambda: "stays enforced" in stated.ask("status")["source"]["message"])
            assert not stated.is_there(name)
        server.mode = "honest"
        stated.ask("reconcile")
        stated.until("the commit is followed", lambda name=name: stated.is_there(name))
    server.mode = "garbage"
    stated.again()
    stated.undefine_idle()
    stated.until("after a restart, too", lambda: stated.is_there("idle"))
    server.mode = "honest"


def test_one_that_goes_back_in_time_deletes_nothing(stated: StateWorld) -> None:
    from tests.live.state.world import small_vm

    before = stated.git("rev-parse", "HEAD").strip()
    head = stated.declare({"newest.yaml": small_vm("newest")}, "newest")
    stated.until("it is followed", lambda: stated.is_there("newest"))
    stated.git("update-ref", "refs/heads/main", before, at=stated.bare)
    stated.until("it is said", lambda: "does not descend" in stated.ask("status")["source"]["message"])
    assert stated.is_there("newest")
    assert stated.ask("plan")["changes"] == []
    stated.git("update-ref", "refs/heads/main", head, at=stated.bare)
    stated.ask("reconcile")
    stated.until_settled()
