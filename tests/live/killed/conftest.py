"""One host and one world for everything that is killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.requirement import libvirt_missing, require

if TYPE_CHECKING:
    from tests.live.killed.world import KilledWorld

_PROGRAMS = ("unshare", "ip", "losetup", "mkfs.ext4", "virtlogd", "libvirtd", "qemu-io")


def why_not() -> str:
    """Why nothing can be killed here, empty when it can."""
    if os.geteuid() != 0:
        return "a libvirtd and filesystems of one's own need root"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(missing)} not installed" if missing else libvirt_missing()


@pytest.fixture(scope="session")
def killed(demo_image: Path) -> Iterator[KilledWorld]:
    """A daemon, a repository and a libvirtd of this run's own; all of it is gone afterwards."""
    require(why_not())
    from tests.live.killed.host import Host, sweep_killed_hosts
    from tests.live.killed.world import KilledWorld

    sweep_killed_hosts()
    host = Host()
    try:
        host.make()
        world = KilledWorld(demo_image, host)
        try:
            world.open()
            yield world
        finally:
            world.close()
    finally:
        host.remove()


@pytest.fixture(autouse=True)
def mended(killed: KilledWorld) -> Iterator[None]:
    """A test that failed leaves the next ones a host that works."""
    yield
    if not killed.host.is_whole:
        killed.host.mend()
        killed.reconnect()
    killed.host.libvirt.thaw()
    killed.small.empty()
