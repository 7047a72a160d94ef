"""`make chaos`: commits go on while daemons are killed and pools are pulled, for as long as it is told; each round is accounted for."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import libvirt

from reconciler.model.errors import GitvirtError
from tests.chaos.faults import FAULTS
from tests.live.killed.accounting import Declared, violations
from tests.live.killed.conftest import why_not
from tests.live.killed.fleet import Fleet, bare_vm
from tests.live.killed.host import Host, sweep_killed_hosts
from tests.live.killed.world import KilledWorld

ROOT = Path(__file__).resolve().parents[2]
STEADY = ("steady0", "steady1")
SETTLE_S = 150.0
SWEEP_S = 10.0
NO_PROCESS = 0
MOST_KILLS = 4
"""Of one guest: it is started again later each time."""


class Chaos:
    """One run. ``random`` decides everything but how long things take."""

    def __init__(self, world: KilledWorld, random: Random) -> None:
        self.world = world
        self.random = random
        self.fleet = Fleet(random, "c", classes=("", "small"))
        self.patterns: dict[str, int] = {}
        self.gone: list[dict[str, str | None]] = []
        self.pids: dict[str, int] = {}
        self.kills = dict.fromkeys(STEADY, 0)

    def begin(self) -> None:
        """Two guests that run through all of it, and a few VMs."""
        self.fleet.add(8)
        steady = {f"{name}.yaml": bare_vm(name, "Always") for name in STEADY}
        self.world.declare({**self.fleet.files, **steady}, "What there is in the beginning")
        self.world.until_settled(SETTLE_S)
        self.pids = {name: self.world.qemu_pid(name) for name in STEADY}
        self._write_where_nothing_is()

    def round(self) -> tuple[str, list[str]]:
        """A commit, a fault in the middle of what follows from it, the mending; what was done, and what is wrong then."""
        with ExitStack() as mend:
            done = [self._commit()]
            done.append(self.random.choice(FAULTS)(self.world, self.random, mend))
            if self.random.random() < 0.4:
                done.append(self._commit())
            if self.random.random() < 0.25:
                done.append(self._kill_a_guest())
            time.sleep(self.random.uniform(0.2, 3.0))
        self.world.until("the daemon answers", lambda: self.world.ask("status"), 60)
        self.world.until_followed(SETTLE_S)
        self.world.approve_all(SETTLE_S)
        found = self._accounts()
        found += [f"{name} was restarted" for name, pid in self.pids.items() if self._pid(name) != pid]
        found += self._changed_disks()
        self._write_where_nothing_is()
        return "; ".join(done), found

    def _accounts(self) -> list[str]:
        """What is wrong on the host. What no event tells of is for a full look, which comes by itself every ten minutes, and for the
        sweeping up that follows it.
        """
        found = violations(self.world, self.patterns)
        deadline = time.monotonic() + SWEEP_S
        if found:
            self.world.look()
        while found and time.monotonic() < deadline:
            time.sleep(0.5)
            found = violations(self.world, self.patterns)
        return found

    def _commit(self) -> str:
        match self.random.randrange(5):
            case 0:
                self.fleet.add(self.random.randrange(1, 4))
                said = "more VMs"
            case 1 if len(self.fleet.names) > 4:
                names = self.fleet.names
                before = dict(self.fleet.files)
                deleted = self.fleet.delete(self.random.randrange(1, 3))
                self.gone.append(
                    {name: text for name, text in before.items() if name.split(".")[0].removesuffix("-data") in deleted}
                )
                said = f"without {len(names) - len(self.fleet.names)} VMs"
            case 2 if self.gone:
                self.fleet.files |= self.gone.pop()
                said = "some VMs back"
            case _:
                self.fleet.change(self.random.randrange(1, 5))
                said = "changed VMs"
        self.world.declare(self.fleet.files, said)
        return said

    def _kill_a_guest(self) -> str:
        """Its run strategy is Always, so another process takes its place; not too often, or it would be spared longer and longer."""
        name = self.random.choice(STEADY)
        if self.kills[name] == MOST_KILLS:
            return f"{name} was killed often enough"
        self.kills[name] += 1
        try:
            self.world.pull_the_plug(name)
        except (OSError, ValueError):
            return f"{name} was off"
        old, self.pids[name] = self.pids[name], NO_PROCESS
        self.world.host.mend()
        self.world.reconnect()
        self.world.until(
            f"{name} runs again", lambda: self.world.runs(name) and self._pid(name) not in (NO_PROCESS, old), SETTLE_S
        )
        self.pids[name] = self._pid(name)
        return f"QEMU of {name} killed"

    def _pid(self, name: str) -> int:
        """A guest's process. One that is just being started runs for libvirt before it has one."""
        try:
            return self.world.qemu_pid(name)
        except (OSError, ValueError):
            return NO_PROCESS

    def _disks(self) -> dict[str, str]:
        declared = Declared.of([text for text in self.fleet.files.values() if text])
        return declared.claims

    def _write_where_nothing_is(self) -> None:
        for claim, storage_class in self._disks().items():
            if claim not in self.patterns:
                self.patterns[claim] = self.random.randrange(1, 256)
                self.world.write(claim, self.patterns[claim], storage_class)

    def _changed_disks(self) -> list[str]:
        return [
            f"{claim} has not the data that were written to it"
            for claim, storage_class in self._disks().items()
            if claim in self.patterns and not self.world.reads(claim, self.patterns[claim], storage_class)
        ]


def main() -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Real processes killed, in a loop.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    if reason := why_not():
        print(f"chaos: {reason}", file=sys.stderr)
        return 1
    print(f"seed {options.seed}", flush=True)
    sweep_killed_hosts()
    rounds, wrong = 0, 0
    with ExitStack() as ending:
        host = Host()
        ending.callback(host.remove)
        host.make()
        world = KilledWorld(demo_image(), host)
        ending.callback(world.close)
        world.open()
        chaos = Chaos(world, Random(options.seed))
        chaos.begin()
        until = time.monotonic() + options.seconds
        while time.monotonic() < until:
            begun = time.monotonic()
            rounds += 1
            try:
                done, found = chaos.round()
            except (AssertionError, OSError, subprocess.SubprocessError, GitvirtError, libvirt.libvirtError) as error:
                done, found = "it did not come to rest", [str(error)]
            wrong += len(found)
            print(f"{rounds:4d}  {time.monotonic() - begun:5.1f} s  {done}", flush=True)
            for violation in found:
                print(f"      VIOLATION (seed {options.seed}): {violation}", flush=True)
            if done == "it did not come to rest":
                break
    print(f"{rounds} rounds, {wrong} violations (seed {options.seed})")
    return 1 if wrong else 0


def demo_image() -> Path:
    """The demo guest, which its builder keeps."""
    cache = Path(os.environ.get("GITVIRT_CACHE") or Path.home() / ".cache/gitvirt")
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / "demo-guest.qcow2"
    subprocess.run([str(ROOT / "demo/guest/build"), str(path)], check=True, timeout=300)
    return path


if __name__ == "__main__":
    sys.exit(main())
