"""``kill -9`` of the daemon in the middle of large changes, again and again: in the end all is as declared, once, and no guest noticed."""

from __future__ import annotations

import os
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.manifests import IMAGE, claim, network, vm
from tests.live.killed.accounting import violations
from tests.live.killed.fleet import Fleet

if TYPE_CHECKING:
    from tests.live.killed.world import KilledWorld

pytestmark = [pytest.mark.live, pytest.mark.slow]

SEED = int(os.environ.get("GITVIRT_KILL_SEED") or time.time_ns() % 1_000_000)
KILLS = int(os.environ.get("GITVIRT_KILLS", "3"))


def kill_while_it_works(world: KilledWorld, random: Random, kills: int) -> None:
    """Kill it at random moments; one time in three again right after it came up."""
    for number in range(kills):
        time.sleep(random.uniform(0.1, 1.6))
        world.kill_daemon()
        world.start_daemon_unheard()
        if number % 3 == 2:
            time.sleep(random.uniform(0.3, 0.9))
            world.kill_daemon()
            world.start_daemon_unheard()
    world.until("the daemon answers", lambda: world.ask("status"))


def test_a_large_apply_survives_any_number_of_kills(killed: KilledWorld) -> None:
    world, random = killed, Random(SEED)
    print(f"GITVIRT_KILL_SEED={SEED} GITVIRT_KILLS={KILLS}")
    world.declare(
        {"steady-data.yaml": claim("steady-data", "32Mi"), "steady.yaml": vm("steady", disks=("steady-data",))}
    )
    world.until_running("steady")
    world.until("its disk is mounted", lambda: " /data " in world.guest("steady", "cat /proc/mounts"))
    world.guest("steady", "echo 'written before' > /data/ledger && sync")
    before = world.lives(["steady"])

    fleet = Fleet(random)
    fleet.add(12)
    others = {
        "late.yaml": IMAGE.format(name="late-image", url=world.image_url()),
        "clone.yaml": vm("clone", "Halted"),
        "back.yaml": network("back", world.bridge(2), world.subnet(2)),
        "idle.yaml": vm("idle", "Halted", nics=("back",), image="late-image"),
    }
    world.declare({**fleet.files, **others}, "Twelve small VMs, two that boot, an image and a network")
    kill_while_it_works(world, random, KILLS)
    world.until_settled()
    assert violations(world) == []
    ever = {f"{name}-data" for name in fleet.names}
    world.write("m00-data", 0x5A)

    fleet.change(7)
    gone = fleet.delete(3)
    fleet.add(2)
    world.declare(fleet.files, "Seven others than before, three gone, two new")
    kill_while_it_works(world, random, KILLS)
    world.until_settled()
    assert violations(world, ever) == []
    if "m00" not in gone:
        assert world.reads("m00-data", 0x5A)
    world.revert()
    world.until_settled()
    assert violations(world, ever) == []
    assert world.reads("m00-data", 0x5A)
    assert world.lives(["steady"]) == before
    assert world.guest("steady", "cat /data/ledger") == "written before"
    world.declare({name: None for name in world._files if name[0] in "m" or name in others}, "Enough of them")
    world.approve_all()
    assert violations(world, ever) == []
