"""libvirtd and virtlogd killed, stopped for a while, and standing still: guests run on, gitvirt says so, waits, and goes on by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.manifests import claim, vm
from tests.live.killed.accounting import violations
from tests.live.killed.fleet import Fleet

if TYPE_CHECKING:
    from tests.live.killed.world import KilledWorld

pytestmark = [pytest.mark.live, pytest.mark.slow]

STANDS_STILL_S = 120.0
"""At most: as soon as it is told, libvirtd goes on."""


@pytest.fixture
def steady(killed: KilledWorld) -> Iterator[KilledWorld]:
    """The world with a guest that runs, and has to have gone on when the test is over."""
    killed.declare(
        {"steady-data.yaml": claim("steady-data", "32Mi"), "steady.yaml": vm("steady", disks=("steady-data",))}
    )
    killed.until_running("steady")
    before = killed.lives(["steady"])
    yield killed
    if killed.host.is_whole:
        killed.until_settled()
        assert killed.lives(["steady"]) == before
        assert violations(killed) == []


def test_libvirtd_killed_in_the_middle_of_a_large_apply_and_stopped_for_a_while(steady: KilledWorld) -> None:
    world, fleet = steady, Fleet(Random(1), "l")
    fleet.add(6)
    world.declare(fleet.files, "Six VMs, while libvirtd dies")
    prefix = f"{world.namespace}_l"
    world.until(
        "the first is made",
        lambda: any(d.name().startswith(prefix) for d in world.connection.listAllDomains()),
        every_s=0.02,
    )
    world.host.libvirt.kill()
    world.until("the status says so", lambda: "libvirt cannot be reached" in world.messages())
    world.until("readiness says so", lambda: world.ready()[0] == 503 or "libvirt" in world.ready()[1])
    world.declare({"l00.yaml": None, "l00-data.yaml": None}, "One is not wanted any more, while libvirtd is away")
    time.sleep(1)
    assert world.volume("steady-data").exists()
    world.host.libvirt.start()
    world.reconnect()
    world.until_settled()
    assert violations(world) == []
    world.declare(dict.fromkeys(fleet.files), "No more of them")
    world.approve_all()


def test_a_libvirtd_that_stands_still_holds_up_work_and_not_the_answer(steady: KilledWorld) -> None:
    world = steady
    fleet = Fleet(Random(2), "f")
    fleet.add(1)
    thaw = threading.Timer(STANDS_STILL_S, world.host.libvirt.thaw)
    world.host.libvirt.freeze()
    thaw.start()
    try:
        world.declare(fleet.files, "One more, while libvirtd stands still")
        world.until("the status tells", lambda: "has not ended within" in world.messages(), STANDS_STILL_S)
        assert world.ask("get", kind="vm", name="steady")["objects"][0]["status"] == "Running"
        assert thaw.is_alive(), "nothing was told until libvirtd went on"
    finally:
        thaw.cancel()
        world.host.libvirt.thaw()
    world.until_status("f00", "Stopped")
    world.declare(dict.fromkeys(fleet.files), "No more of it")
    world.approve_all()


def test_a_guest_outlives_its_virtlogd_and_starts_wait_for_a_new_one(steady: KilledWorld) -> None:
    world, fleet = steady, Fleet(Random(3), "v")
    world.host.libvirt.kill_logd()
    fleet.add(1, "Always")
    world.declare(fleet.files, "One that has to start, without a virtlogd")
    world.until("the status says why", lambda: "virtlogd" in world.messages())
    assert not world.runs("v00")
    world.host.libvirt.start_logd()
    world.until("it runs", lambda: world.runs("v00"))
    world.until_settled()
    assert violations(world) == []
    world.declare(dict.fromkeys(fleet.files), "No more of it")
    world.approve_all()
