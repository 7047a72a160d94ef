"""The clock of the daemon is set, by libfaketime: the kernel's own stays as it is for everybody else."""

from __future__ import annotations

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


def test_a_year_forward_and_a_day_back_stop_nothing(stated: StateWorld, clock: Path) -> None:
    from tests.live.state.world import small_vm

    before = len(stated.events("cycle.finished"))
    for count, by in enumerate(("+365d", "-1d"), 1):
        clock.write_text(by)
        stated.until_told("clock.jumped", count)
        name = f"clock{count}"
        stated.declare({f"{name}.yaml": small_vm(name)}, f"after {by}")
        stated.until("polls go on", lambda name=name: stated.is_there(name))
        stated.undefine_idle()
        stated.until("drift is corrected", lambda: stated.is_there("idle"))
    said = [round(event["by_s"] / 86400) for event in stated.events("clock.jumped")[-2:]]
    assert said == [365, -366]
    assert len(stated.events("cycle.finished")) - before < 30, "no storm"
    stated.until_settled()
    assert stated.cli("trash", "list", "-o", "name") == ""
    commits = stated.journal_says("%cd").splitlines()
    assert any("2027" in at for at in commits)
