"""Images that are damaged, or in somebody else's hands: said clearly, and left alone."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.manifests import claim
from tests.live.killed.accounting import violations
from tests.live.killed.fleet import bare_vm

if TYPE_CHECKING:
    from tests.live.killed.world import KilledWorld

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_damaged_image_is_told_and_never_touched(killed: KilledWorld) -> None:
    world = killed
    world.declare({"i1-data.yaml": claim("i1-data", "16Mi"), "i1.yaml": bare_vm("i1", disks=("i1-data",))}, "A VM")
    world.until_settled()
    path = world.volume("i1-data")
    whole = path.read_bytes()
    path.write_bytes(bytes(512) + whole[512:])
    damaged = path.read_bytes()
    world.look()
    said = world.row("i1-data", "pvc")["message"]
    print(said)
    assert f"{path} is damaged" in said
    world.declare(
        {"i1-data.yaml": claim("i1-data", "32Mi"), "i1.yaml": bare_vm("i1", "Always", disks=("i1-data",))},
        "Larger, and on",
    )
    world.until("the VM says why it does not start", lambda: "is damaged" in world.row("i1")["message"])
    assert path.read_bytes() == damaged
    path.write_bytes(whole)
    world.look()
    world.until("it runs when the image is whole again", lambda: world.runs("i1"))
    world.until_settled()
    world.declare({"i1.yaml": bare_vm("i1", disks=("i1-data",))}, "Off")
    world.until_settled()
    assert violations(world) == []


def test_an_image_that_somebody_else_has_open_waits_for_him(killed: KilledWorld) -> None:
    world = killed
    world.declare({"i2-data.yaml": claim("i2-data", "16Mi"), "i2.yaml": bare_vm("i2", disks=("i2-data",))}, "A VM")
    world.until_settled()
    path = world.volume("i2-data")
    holder = subprocess.Popen(
        ["qemu-io", "-f", "qcow2", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.read(8)  # its prompt: it has the image open
        world.declare(
            {"i2-data.yaml": claim("i2-data", "32Mi"), "i2.yaml": bare_vm("i2", "Always", disks=("i2-data",))}, "On"
        )
        said = world.until(
            "its row says why", lambda: (m := world.messages()) and "is open in another guest or program" in m and m
        )
        print("\n".join(line for line in said.splitlines() if "is open in" in line))
        assert not world.runs("i2")
    finally:
        holder.kill()
        holder.wait()
    world.until("it runs when nobody else has it", lambda: world.runs("i2"))
    world.until_settled()
    world.declare(dict.fromkeys(("i1.yaml", "i1-data.yaml", "i2.yaml", "i2-data.yaml")), "No more of them")
    world.approve_all()
    assert violations(world, ["i1-data", "i2-data"]) == []
