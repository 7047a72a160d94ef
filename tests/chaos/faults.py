"""What goes wrong in a round: each fault begins, lasts a while, and is mended. Chance comes from the seed alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from random import Random

from tests.live.killed.world import KilledWorld

Fault = Callable[[KilledWorld, Random, ExitStack], str]
"""Begins it, puts on the stack what mends it, and says what was done."""


def daemon_killed(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """Once, or a few times close together."""
    times = random.choice((1, 1, 2, 3))
    for _ in range(times):
        time.sleep(random.uniform(0.0, 1.5))
        world.kill_daemon()
        world.start_daemon_unheard()
    mend.callback(lambda: world.until("the daemon answers", lambda: world.ask("status"), 60))
    return f"daemon killed {times} times"


def libvirtd_killed(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """And away for a while."""
    time.sleep(random.uniform(0.0, 1.0))
    world.host.libvirt.kill()

    def back() -> None:
        world.host.mend()
        world.reconnect()

    mend.callback(back)
    return "libvirtd killed"


def both_killed(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """libvirtd, and then the daemon, which comes up without one."""
    said = libvirtd_killed(world, random, mend)
    world.kill_daemon()
    world.start_daemon_unheard()
    return f"{said}, and the daemon"


def libvirtd_frozen(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """It stands still."""
    time.sleep(random.uniform(0.0, 0.5))
    world.host.libvirt.freeze()
    mend.callback(world.host.libvirt.thaw)
    return "libvirtd stands still"


def logd_killed(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """The console logs have nobody at their other end."""
    del random
    world.host.libvirt.kill_logd()
    mend.callback(world.host.mend)
    return "virtlogd killed"


def pool_taken_away(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """Its filesystem is not mounted."""
    time.sleep(random.uniform(0.0, 0.5))
    world.small.take_away()
    mend.callback(world.small.mount)
    return "the small pool is not mounted"


def pool_read_only(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """Nothing can be written there."""
    time.sleep(random.uniform(0.0, 0.5))
    world.small.make_read_only()
    mend.callback(world.small.make_writable)
    return "the small pool is read-only"


def pool_full(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """There is no room, or next to none."""
    leave_kib = random.choice((0, 0, 100, 400))
    world.small.fill(leave_kib)
    mend.callback(world.small.empty)
    return f"the small pool has {leave_kib} KiB left"


def volume_gone(world: KilledWorld, random: Random, mend: ExitStack) -> str:
    """Somebody moves a disk away, and back."""
    volumes = sorted(world.small.target.glob("*.qcow2"))
    if not volumes:
        return "nothing to move away"
    volume = random.choice(volumes)
    aside = volume.parent / ".gitvirt" / f"aside-{volume.name}"
    volume.rename(aside)
    world.look()

    def put_back() -> None:
        assert not volume.exists(), f"something took the place of {volume.name}"
        aside.rename(volume)

    mend.callback(put_back)
    return f"{volume.name} is moved away"


FAULTS: tuple[Fault, ...] = (
    daemon_killed, daemon_killed, libvirtd_killed, both_killed, libvirtd_frozen, logd_killed, pool_taken_away, pool_read_only,
    pool_full, volume_gone,
)  # fmt: skip
