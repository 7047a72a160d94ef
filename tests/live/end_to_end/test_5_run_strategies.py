"""A guest that ends: each runStrategy means what KubeVirt means by it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.manifests import vm

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]

NAMES = {"rerun": "RerunOnFailure", "once": "Once", "fragile": "Once", "manual": "Manual", "halted": "Halted"}


@pytest.fixture
def strategies(alpha: World) -> World:
    """``alpha`` (Always) and one VM for each other strategy; they begin as their strategies say."""
    world = alpha
    files = {f"{name}.yaml": vm(name, strategy, grace_s=5) for name, strategy in NAMES.items()}
    world.declare(dict(files), "A VM for each runStrategy")
    for name in ("rerun", "once", "fragile"):
        world.until(f"{name} was started", lambda name=name: started(world, name))
    for name in ("manual", "halted"):
        world.until_status(name, "Stopped")
    return world


def started(world: World, name: str) -> str:
    """When it was started last; empty for never."""
    row = world.row(name)
    return str(row["facts"].get("started_at", "")) if row else ""


def pull_the_plug(world: World, name: str) -> None:
    """The QEMU process is killed."""
    pid = int(Path(f"/run/libvirt/qemu/{world.namespace}_{name}.pid").read_text())
    os.kill(pid, signal.SIGKILL)


def stays_off(world: World, name: str, because: str) -> None:
    """Off, and a look at everything leaves it so."""
    row = world.until_status(name, "Stopped")
    assert row["facts"]["stopped_because"] == because
    world.ask("reconcile")
    assert not world.runs(name), f"{name} was started again"
    assert world.row(name)["state"] == "Ready"


def test_guests_that_fail_and_guests_that_shut_down(
    strategies: World, corrected: Callable[[World, str, str, str], None]
) -> None:
    world = strategies
    assert [world.row(name)["facts"]["stopped_because"] for name in ("manual", "halted")] == ["never-ran"] * 2
    mark, rerun = world.mark(), world.run_of("rerun")
    pull_the_plug(world, "rerun")
    pull_the_plug(world, "fragile")
    world.until("rerun runs again", lambda: world.run_of("rerun") not in (None, rerun))
    corrected(world, "kill -9 of the guest's QEMU (RerunOnFailure)", world.key("rerun"), mark)
    stays_off(world, "fragile", "failed")

    world.cli("start", "manual")
    running = ("alpha", "rerun", "once", "manual")
    for name in running:
        world.until_agent(name)
    mark, always = world.mark(), world.run_of("alpha")
    for name in running:
        world.shut_down_inside(name)
    for name in ("rerun", "once", "manual"):
        stays_off(world, name, "guest")
    world.until("Always runs again", lambda: world.run_of("alpha") not in (None, always))
    corrected(world, "poweroff in the guest (Always)", world.key("alpha"), mark)
    world.until_running("alpha")


def test_a_halted_vm_that_somebody_starts_is_stopped_and_one_that_an_operator_starts_runs(
    strategies: World,
) -> None:
    world = strategies
    world.domain("halted").create()
    world.until("halted is stopped again", lambda: not world.runs("halted"))
    world.until_status("halted", "Stopped")
    world.cli("start", "halted")
    assert world.runs("halted")
    world.until_agent("halted")
    world.ask("reconcile")
    assert world.runs("halted")
    world.shut_down_inside("halted")
    stays_off(world, "halted", "guest")
    world.cli("resume", "halted")
    world.until_settled()


def test_a_manual_vm_that_somebody_starts_or_stops_is_left_so(strategies: World) -> None:
    world = strategies
    world.cli("resume", "manual")
    if world.runs("manual"):
        world.domain("manual").destroy()
        world.until_status("manual", "Stopped")
    world.domain("manual").create()
    world.ask("reconcile")
    assert world.row("manual")["status"] == "Running"
    world.domain("manual").destroy()
    world.until_status("manual", "Stopped")
    world.ask("reconcile")
    assert not world.runs("manual")
    world.until_settled()
