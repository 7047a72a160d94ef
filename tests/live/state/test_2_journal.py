"""A journal that is damaged or cannot be written: said loudly, made whole, and nothing else depends on it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.live.state.world import StateWorld

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
    said = next(event for event in stated.until_told("journal.said") if str(aside) in event["message"])
    assert said["level"] == "error"
    assert str(aside) in stated.told()
    assert ("journal", "set-aside") in [(entry["action"], entry["result"]) for entry in stated.audit()]
    shutil.rmtree(aside)
    assert "damaged" not in stated.notes()
