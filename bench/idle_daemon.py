"""What a daemon costs that has nothing to do: a thousand domains that are as declared, a local repository, default timers.

The bound is a hundredth of one core, in the same seconds. A full look at the host comes every ten minutes by default; it
is asked for after the quiet minute, and a tenth of what it costs is added to that minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
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
        daemon = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "run", "--settings", str(settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_settled(work.parent / "run" / "control.sock", daemon)
            begun, used = time.monotonic(), _cpu_s(daemon.pid)
            time.sleep(MEASURED_S)
            taken, quiet = time.monotonic() - begun, _cpu_s(daemon.pid) - used
            ask(work.parent / "run" / "control.sock", "reconcile")
            time.sleep(5.0)
            look = _cpu_s(daemon.pid) - used - quiet
        finally:
            daemon.terminate()
            daemon.wait(timeout=30)
    print(f"    {quiet:.2f} s of CPU in a quiet {taken:.0f} s, {look:.2f} s for a full look", flush=True)
    what = f"idle daemon, {SCANNED} domains: CPU in {MEASURED_S:.0f} s"
    spent = quiet + look * taken / RESYNC_S
    return [Figure(what=what, bound="1 % of a core", measured=(spent,), bounds=(taken * SHARE,), aim=1.0)]


def _wait_until_settled(socket: Path, daemon: subprocess.Popen[bytes]) -> None:
    """Until the daemon has looked at everything once and then done nothing for a while."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            raise RuntimeError(f"the daemon ended with {daemon.returncode}")
        if socket.exists() and ask(socket, "status") is not None:
            before = _cpu_s(daemon.pid)
            time.sleep(3.0)
            if _cpu_s(daemon.pid) - before < 0.3:
                return
        time.sleep(0.5)
    raise RuntimeError("the daemon does not come to rest")


def _cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
