"""What a daemon costs that has nothing to do: a thousand domains that are as declared, a local repository, default timers.

The bound is a hundredth of one core, in the same seconds. A full look at the host comes every ten minutes by default; it
is asked for after the quiet minute, and a tenth of what it costs is added to that minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figure import Figure
from bench.libvirt_domains import SCANNED, bench_core, define_all
from reconciler.daemon.control_client import ask

MEASURED_S = 60.0
SHARE = 0.01
RESYNC_S = 600.0
READY_S = 120.0


def measure() -> list[Figure]:
    """One minute of an idle daemon."""
    with bench_core() as (core, work):
        define_all(core, work, SCANNED)
        core.engine.close()
        settings = work.parent / "settings.yaml"
        idle = measured(settings, work.parent / "run" / "control.sock")
    what = f"idle daemon, {SCANNED} domains: CPU in {MEASURED_S:.0f} s"
    return [idle.figure(what)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Seconds of CPU of a daemon: in a quiet minute (``taken_s`` long), and for the full look that comes once in `RESYNC_S`."""

    quiet_s: float
    taken_s: float
    look_s: float

    def figure(self, what: str) -> Figure:
        """Its share of one core, with the minute's part of a full look."""
        spent = self.quiet_s + self.look_s * self.taken_s / RESYNC_S
        return Figure(what=what, bound="1 % of a core", measured=(spent,), bounds=(self.taken_s * SHARE,), aim=1.0)


def measured(settings: Path, socket: Path) -> Idle:
    """A daemon of these settings from its start on; what it has to do first is printed and not counted."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "run", "--settings", str(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_settled(socket, daemon)
        begun, used = time.monotonic(), cpu_s(daemon.pid)
        time.sleep(MEASURED_S)
        taken, quiet = time.monotonic() - begun, cpu_s(daemon.pid) - used
        ask(socket, "reconcile")
        time.sleep(5.0)
        look = cpu_s(daemon.pid) - used - quiet
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)
    print(
        f"    a daemon: {used:.2f} s of CPU until it came to rest, {quiet:.2f} s in a quiet {taken:.0f} s, {look:.2f} s for a full look",
        flush=True,
    )
    return Idle(quiet_s=quiet, taken_s=taken, look_s=look)


def wait_until_settled(socket: Path, daemon: subprocess.Popen[bytes]) -> None:
    """Until the daemon has looked at everything once and then done nothing for a while."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            raise RuntimeError(f"the daemon ended with {daemon.returncode}")
        if socket.exists() and ask(socket, "status") is not None:
            before = cpu_s(daemon.pid)
            time.sleep(3.0)
            if cpu_s(daemon.pid) - before < 0.3:
                return
        time.sleep(0.5)
    raise RuntimeError("the daemon does not come to rest")


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
