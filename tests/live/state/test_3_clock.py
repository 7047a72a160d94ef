"""The clock of the daemon is set, by libfaketime: the kernel's own stays as it is for everybody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.requirement import require

if TYPE_CHECKING:
    from tests.live.state.world import StateWorld

pytestmark = pytest.mark.live


@pytest.fixture
def clock(stated: StateWorld) -> Iterator[Path]:
    """The file that says how far the daemon's date is from the real one."""
    from tests.live.state.world import FAKETIME

    require("" if FAKETIME else "libfaketime is not installed: run deploy/host/prepare --tests")
    file = stated.directory / "clock"
    file.write_text("+0")
    stated.again(
        LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(file), FAKETIME_NO_CACHE="1", DONT_FAKE_MONOTONIC="1"
    )
    yield file
    stated.again()
    stated.until_settled()


def set_to(clock: Path, by: str) -> None:
    """In one step: the daemon reads the file whenever it asks for the time, and half of it would be another jump."""
    new = clock.with_suffix(".new")
    new.write_text(by)
    new.rename(clock)


def test_a_year_forward_and_a_day_back_stop_nothing(stated: StateWorld, clock: Path) -> None:
    from tests.live.state.world import small_vm

    before, begun = len(stated.events("cycle.finished")), time.monotonic()
    jumps = len(stated.events("clock.jumped"))
    for count, by in enumerate(("+365d", "-1d"), 1):
        set_to(clock, by)
        stated.until_told("clock.jumped", jumps + count)
        name = f"clock{count}"
        stated.declare({f"{name}.yaml": small_vm(name)}, f"after {by}")
        stated.until("polls go on", lambda name=name: stated.is_there(name))
        stated.undefine_idle()
        stated.until("drift is corrected", lambda: stated.is_there("idle"))
    said = [round(event["by_s"] / 86400) for event in stated.events("clock.jumped")[jumps:]]
    assert said == [365, -366]
    # Cycles that did something, of which there are few, but for retries a second apart.
    assert len(stated.events("cycle.finished")) - before < 30 + time.monotonic() - begun, "no storm"
    stated.until_settled()
    assert stated.cli("trash", "list", "-o", "name") == ""
    assert max(map(int, stated.journal_says("%ct").split())) > time.time() + 300 * 86400
