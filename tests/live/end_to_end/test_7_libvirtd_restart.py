"""libvirtd dies and comes back: guests run on, and so does gitvirt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.manifests import vm

if TYPE_CHECKING:
    from tests.live.end_to_end.isolated_libvirt import IsolatedLibvirt
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture
def apart(world: World, demo_image: Path) -> Iterator[tuple[World, IsolatedLibvirt]]:
    """A world on a libvirtd of its own, and that libvirtd."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a libvirtd of one's own needs root, unshare and ip")
    from tests.live.end_to_end.isolated_libvirt import IsolatedLibvirt
    from tests.live.end_to_end.world import World

    host = IsolatedLibvirt(world.directory / "isolated")
    try:
        host.make()
        made = World(demo_image, host.uri)
        try:
            made.open()
            yield made, host
        finally:
            made.close()
    finally:
        host.remove()


def test_a_killed_libvirtd_touches_no_guest_and_drift_is_corrected_afterwards(
    apart: tuple[World, IsolatedLibvirt], corrected: Callable[[World, str, str, str], None]
) -> None:
    world, host = apart
    world.declare({"steady.yaml": vm("steady")}, "A VM that has to go on")
    world.until_running("steady")
    boot, pid = world.boot_id("steady"), host.qemu_pid(f"{world.namespace}_steady")
    world.until_settled()
    started_at, mark = world.row("steady")["facts"]["started_at"], world.mark()

    host.kill()
    os.kill(pid, 0)
    world.until(
        "gitvirt says that libvirt cannot be reached",
        lambda: any("libvirt" in message for message in world.ask("get", kind="vm")["messages"]),
    )
    world.declare({"second.yaml": vm("second", "Halted")}, "A VM that comes while libvirtd is gone")
    os.kill(pid, 0)
    host.start()
    world.reconnect()

    world.until_status("second", "Stopped")
    world.until_settled()
    assert host.qemu_pid(f"{world.namespace}_steady") == pid
    assert world.boot_id("steady") == boot
    row = world.row("steady")
    assert (row["status"], row["state"], row["facts"]["started_at"]) == ("Running", "Ready", started_at)
    told = world.git("log", "--format=%B", f"{mark}..HEAD", at=world.journal)
    assert world.key("steady") not in told

    mark = world.mark()
    world.domain("steady").undefine()
    corrected(world, "virsh undefine, after libvirtd was killed and came back", world.key("steady"), mark)
    assert world.domain("steady").isPersistent()
    assert world.boot_id("steady") == boot
