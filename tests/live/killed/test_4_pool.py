"""A pool that is taken away, read-only, full or robbed: nothing is made in the place of data, and all goes on when it is mended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.manifests import IMAGE, claim
from tests.live.killed.accounting import violations
from tests.live.killed.fleet import bare_vm

if TYPE_CHECKING:
    from tests.live.killed.world import KilledWorld

pytestmark = [pytest.mark.live, pytest.mark.slow]

PATTERN = 0x42


@pytest.fixture
def small(killed: KilledWorld) -> Iterator[KilledWorld]:
    """The world with a running VM ``p1`` and a stopped one ``p2`` whose disks are in the small pool, and have something in them."""
    world = killed
    names = ("p1", "p2")
    world.declare(
        {f"{name}-data.yaml": claim(f"{name}-data", "16Mi", "small") for name in names}, "Disks in the small pool"
    )
    world.until_settled()
    if "p1.yaml" not in world._files:
        for name in names:
            world.write(f"{name}-data", PATTERN, "small")
    world.declare(
        {"p1.yaml": bare_vm("p1", "Always", disks=("p1-data",)), "p2.yaml": bare_vm("p2", disks=("p2-data",))}
    )
    world.until("p1 runs", lambda: world.runs("p1"))
    world.until_settled()
    pid = world.qemu_pid("p1")
    yield world
    assert world.qemu_pid("p1") == pid, "the guest was restarted"


def cleaned_up(world: KilledWorld, *names: str) -> None:
    """Without what a test was for, all is as it was, and accounted for."""
    if names:
        world.declare({f"{name}.yaml": None for name in names}, f"{', '.join(names)} were for this only")
    world.approve_all()
    assert world.reads("p2-data", PATTERN, "small")
    assert violations(world, [name for name in names if name.endswith("-data")]) == []


def row_of(world: KilledWorld, name: str, kind: str = "pvc") -> tuple[str, str]:
    row = world.row(name, kind) or {"status": "", "message": ""}
    return row["status"], row["message"]


def everything_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_a_pool_that_is_not_mounted_is_unknown_and_nothing_is_made_where_it_was(small: KilledWorld) -> None:
    world = small
    world.small.take_away()
    world.look()
    world.until("the status says so", lambda: "Is its filesystem mounted?" in world.messages())
    world.declare(
        {
            "p3-data.yaml": claim("p3-data", "16Mi", "small"),
            "p3.yaml": bare_vm("p3", disks=("p3-data",)),
            "p2.yaml": bare_vm("p2", "Always", disks=("p2-data",)),
            "p1.yaml": None,
        },
        "Another disk, a VM to start, and one less, while the pool is away",
    )
    world.until("p2 says why it does not start", lambda: "Is its filesystem mounted?" in row_of(world, "p2", "vm")[1])
    world.kill_daemon()
    world.start_daemon()
    world.look()
    assert everything_below(world.small.target) == []
    assert world.runs("p1")
    assert not world.runs("p2")
    world.declare(
        {"p1.yaml": bare_vm("p1", "Always", disks=("p1-data",)), "p2.yaml": bare_vm("p2", disks=("p2-data",))},
        "As it was",
    )
    world.until_followed()
    world.small.mount()
    world.until_status("p3-data", "Succeeded", "pvc")
    world.until_settled()
    cleaned_up(world, "p3", "p3-data")


def test_a_pool_that_libvirt_does_not_know_any_more(small: KilledWorld) -> None:
    world = small
    pool = world.connection.storagePoolLookupByName(world.pool_names["small"])
    pool.destroy()
    pool.undefine()
    world.until("the status says what to do", lambda: "virsh pool-define-as" in world.messages())
    world.declare({"p4-data.yaml": claim("p4-data", "16Mi", "small")}, "A disk while the pool is not defined")
    world.until("its row says why", lambda: "does not exist in libvirt" in row_of(world, "p4-data")[1])
    assert not world.volume("p4-data", "small").exists()
    world.define_small_pool()
    world.until_status("p4-data", "Succeeded", "pvc")
    cleaned_up(world, "p4-data")


def test_a_read_only_pool_refuses_loudly_and_is_worked_in_again_when_it_is_not(small: KilledWorld) -> None:
    world = small
    world.small.make_read_only()
    try:
        world.declare({"p5-data.yaml": claim("p5-data", "16Mi", "small")}, "A disk in a read-only pool")
        world.until("its row says why", lambda: "Read-only file system" in row_of(world, "p5-data")[1])
    finally:
        world.small.make_writable()
    world.until_status("p5-data", "Succeeded", "pvc")
    cleaned_up(world, "p5-data")


def test_a_full_pool_fails_what_needs_room_and_leaves_nothing_half_made(small: KilledWorld) -> None:
    world = small
    world.small.fill()
    try:
        image = IMAGE.format(name="p6-image", url=world.image_url()).replace(
            "storage: {", "storage: {storageClassName: small, ", 1
        )
        world.declare(
            {
                "p6-data.yaml": claim("p6-data", "16Mi", "small"),
                "p6-image.yaml": image,
                "p2-data.yaml": claim("p2-data", "24Mi", "small"),
            },
            "A disk, an image and growth, and no room",
        )
        for name, kind in (("p6-data", "pvc"), ("p6-image", "dv")):
            said = world.until(
                f"{name} says why",
                lambda name=name, kind=kind: (
                    (m := row_of(world, name, kind)[1]) and ("No space" in m or "full" in m) and m
                ),
            )
            print(f"{name}: {said}")
        world.kill_daemon()
        world.start_daemon()
        incoming = [path for path in (world.small.target / ".gitvirt/incoming").rglob("*") if path.is_file()]
        assert [path.name for path in incoming if path.stat().st_size > 1 << 16] == []
        assert not world.volume("p6-data", "small").exists()
    finally:
        world.small.empty()
    for name, kind in (("p6-data", "pvc"), ("p6-image", "dv")):
        world.until_status(name, "Succeeded", kind)
    world.until("p2's disk has grown", lambda: world.row("p2-data", "pvc")["facts"]["size_bytes"] == str(24 << 20))
    cleaned_up(world, "p6-data", "p6-image")


def test_a_volume_that_was_removed_by_hand_is_lost_and_comes_back_from_the_open_file(small: KilledWorld) -> None:
    world = small
    volume, other = world.volume("p1-data", "small"), world.volume("p2-data", "small")
    aside = world.directory / "p2-backup"
    shutil.copyfile(other, aside)
    volume.unlink()
    other.unlink()
    # Nobody tells the daemon.
    world.until("p2's disk is lost", lambda: row_of(world, "p2-data")[0] == "Lost")
    world.until("p1's disk is lost", lambda: row_of(world, "p1-data")[0] == "Lost")
    said = row_of(world, "p1-data")[1]
    print(said)
    assert f"{volume} is gone" in said and "/proc/PID/fd" in said and "gitvirt.io/fresh-disk" in said
    world.declare(
        {"p1.yaml": bare_vm("p1", disks=("p1-data",)), "p2.yaml": bare_vm("p2", "Always", disks=("p2-data",))},
        "The wrong moment",
    )
    world.until("p2 says why it does not start", lambda: "is Lost" in row_of(world, "p2", "vm")[1])
    world.declare({"p1.yaml": None, "p1-data.yaml": None}, "An even worse one")
    world.until("p1 says why it stays", lambda: "removed from Git" in row_of(world, "p1", "vm")[1])
    world.kill_daemon()
    world.start_daemon()
    world.look()
    assert world.runs("p1") and not world.runs("p2")
    assert not volume.exists() and not other.exists()

    world.declare(
        {
            "p1-data.yaml": claim("p1-data", "16Mi", "small"),
            "p1.yaml": bare_vm("p1", "Always", disks=("p1-data",)),
            "p2.yaml": bare_vm("p2", disks=("p2-data",)),
        },
        "As it was",
    )
    world.until_followed()
    shutil.copyfile(open_file_of(world.qemu_pid("p1"), volume), volume)
    shutil.copyfile(aside, other)
    aside.unlink()
    for name in ("p1-data", "p2-data"):
        world.until_status(name, "Succeeded", "pvc")
    cleaned_up(world)


def open_file_of(pid: int, path: Path) -> Path:
    """The file that a process has open and that has no name any more."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        # Its mount may have been taken away and put back since it was opened, so the whole path need not be told.
        if os.readlink(entry).endswith(f"/{path.name} (deleted)"):
            return entry
    raise AssertionError(f"{pid} does not have {path} open")


def test_a_new_disk_in_place_of_a_lost_one_is_made_when_a_person_says_so(small: KilledWorld) -> None:
    world = small
    world.declare({"p7-data.yaml": claim("p7-data", "16Mi", "small")}, "A disk that no VM uses")
    world.until_status("p7-data", "Succeeded", "pvc")
    volume = world.volume("p7-data", "small")
    volume.unlink()
    world.until_status("p7-data", "Lost", "pvc")
    said = row_of(world, "p7-data")[1]
    loss = said.rpartition("gitvirt.io/fresh-disk: ")[2].split()[0]
    world.declare({"p7-data.yaml": claim("p7-data", "16Mi", "small", fresh_disk=loss)}, "It is gone for good")
    world.until_status("p7-data", "Succeeded", "pvc")
    cleaned_up(world, "p7-data")
