"""An import that takes its time delays nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.hands import AFFECT_CONFIG
from tests.live.end_to_end.manifests import IMAGE, vm

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_others_are_corrected_and_created_while_an_image_comes_in(
    alpha: World, corrected: Callable[[World, str, str, str], None]
) -> None:
    world = alpha
    image = IMAGE.format(name="slow-image", url=world.image_url(slow=True))
    world.declare({"slow.yaml": image, "late.yaml": vm("late", image="slow-image")}, "A VM from far away")
    row = world.until_status("slow-image", "ImportInProgress", "dv")
    assert world.row("late")["status"] == "Provisioning"

    mark = world.mark()
    world.domain("alpha").setMemoryFlags(80 << 10, AFFECT_CONFIG)
    corrected(world, "virsh setmem --config, during an import", world.key("alpha"), mark)
    begun = time.monotonic()
    world.declare({"quick.yaml": vm("quick", "Halted")}, "One from near by")
    world.until_status("quick", "Stopped")
    taken_s = time.monotonic() - begun
    row = world.row("slow-image", "dv")
    assert row["status"] == "ImportInProgress", "the import ended too early to show anything"
    assert row["facts"]["progress"].endswith("%")
    print(f"created beside an import in progress ({row['facts']['progress']}) within {taken_s:.1f} s of the push")

    world.until_status("slow-image", "Succeeded", "dv")
    world.until("late runs", lambda: world.runs("late"))
    world.declare({"late.yaml": vm("late", "Halted", image="slow-image", grace_s=0)}, "late has been seen")
    world.until_status("late", "Stopped")
    world.until_settled()
