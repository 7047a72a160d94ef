"""QEMU processes that die: the run strategy decides what follows, more and more slowly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from reconciler.planning.power import BACKOFF_FIRST_S
from tests.live.end_to_end.manifests import claim
from tests.live.killed.accounting import violations
from tests.live.killed.fleet import bare_vm

if TYPE_CHECKING:
    from tests.live.killed.world import KilledWorld

pytestmark = [pytest.mark.live, pytest.mark.slow]

STRATEGIES = {"qalways": "Always", "qrerun": "RerunOnFailure", "qonce": "Once", "qmanual": "Manual"}


def test_the_run_strategy_decides_and_a_guest_that_keeps_dying_is_started_less_often(killed: KilledWorld) -> None:
    world = killed
    files: dict[str, str | None] = {"q-data.yaml": claim("q-data", "16Mi")}
    files |= {
        f"{name}.yaml": bare_vm(name, strategy, disks=("q-data",) * (name == "qalways"))
        for name, strategy in STRATEGIES.items()
    }
    world.declare(files, "A VM of each strategy")
    running = ("qalways", "qrerun", "qonce")
    for name in running:
        world.until(f"{name} runs", lambda name=name: world.runs(name))
    world.cli("start", "qmanual")
    world.until_settled()
    first = {name: world.qemu_pid(name) for name in STRATEGIES}
    for name in STRATEGIES:
        world.pull_the_plug(name)

    # At once, as a run of a minute would be no failed one; but not before its start is over, as that would be none at all.
    world.until("qalways runs again", lambda: world.runs_in_another("qalways", first["qalways"]))
    world.until_status("qalways", "Running")
    second, pulled_at = world.qemu_pid("qalways"), time.monotonic()
    world.pull_the_plug("qalways")
    row = world.until_status("qalways", "CrashLoopBackOff")
    assert row["facts"]["stopped_because"] == "failed"
    world.until("qrerun runs again", lambda: world.runs_in_another("qrerun", first["qrerun"]))
    for name in ("qonce", "qmanual"):
        assert world.until_status(name, "Stopped")["facts"]["stopped_because"] == "failed"
    world.until("qalways runs again, later", lambda: world.runs_in_another("qalways", second), every_s=0.1)
    assert time.monotonic() - pulled_at >= BACKOFF_FIRST_S
    world.cli("resume", "qmanual")
    world.declare(
        {f"{name}.yaml": bare_vm(name, disks=("q-data",) * (name == "qalways")) for name in STRATEGIES}, "Off with them"
    )
    world.until_settled()
    assert violations(world) == []
    world.declare(dict.fromkeys(files), "No more of them")
    world.approve_all()
    assert violations(world, ["q-data"]) == []
