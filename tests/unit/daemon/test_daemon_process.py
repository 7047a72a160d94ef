"""The daemon as a process: signals, the socket, the lock, readiness, and the way out."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.wiring_lead import acting
from tests.log_lines import log_lines
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import PATIENCE_S, eventually


class Process:
    """``gitvirt run`` on a home."""

    def __init__(self, home: Home, *arguments: str, **environment: str) -> None:
        self.home = home
        self.log = home.directory / "log"
        self.out = home.directory / "out"
        self._started = time.monotonic()
        with self.log.open("wb") as log, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "reconciler", "run", "--settings", str(home.settings_file), *arguments],
                stdout=out,
                stderr=log,
                env={**os.environ, **environment},
            )

    def events(self, name: str) -> list[dict[str, Any]]:
        """Log lines of one event."""
        return [said for said in log_lines(self.log) if said["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Log lines of one event, once there are enough."""
        eventually(lambda: len(self.events(name)) >= count or self.process.poll() is not None)
        found = self.events(name)
        assert len(found) >= count, self.log.read_text()
        return found

    def end(self, number: int = signal.SIGTERM, timeout_s: float = PATIENCE_S) -> int:
        """Signal it; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


def gitvirt(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command beside the daemon."""
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments, "--settings", str(home.settings_file)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_its_life(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    home = make_home(
        tmp_path, {"web.yaml": vm_text("web")}, web={"listen": "127.0.0.1:0"}, log={"level": "debug", "format": "json"}
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        daemon = Process(home, NOTIFY_SOCKET=str(tmp_path / "notify"))
        started.append(daemon.process)
        assert manager.recv(100).startswith(b"READY=1")
        listen = daemon.wait_for("web.started")[0]["listen"]
        daemon.wait_for("change.applied", 3)

        host, _, port = listen.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()

        second = gitvirt(home, "run")
        assert second.returncode == 15
        assert f"pid {daemon.process.pid}" in second.stderr
        assert "Traceback" not in second.stderr

        shown = gitvirt(home, "get", "vm")
        assert re.search(r"default +web +Running +True", shown.stdout), shown
        home.commit({"db.yaml": vm_text("db")}, "add db")
        eventually(lambda: any(e["object"].endswith("/db") for e in daemon.events("change.applied")))

        cycles = len(daemon.events("cycle.finished"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("cycle.finished", cycles + 1)

        assert daemon.end() == 0
        assert manager.recv(100) == b"STOPPING=1"
    assert daemon.events("daemon.stopped")[0]["drained"] is True
    assert not home.settings.control_socket.exists()
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    audit = gitvirt(home, "audit", "--vm", "db", "-o", "json")
    assert [(e["action"], e["cause"], e["author"].split()[0]) for e in json.loads(audit.stdout)["items"]] == [
        ("create", "commit", "Ann")
    ]


def test_ctrl_c_is_a_good_end_and_the_table_is_shown(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web", run_strategy="Halted")})
    daemon = Process(home, "--show-table")
    started.append(daemon.process)
    eventually(lambda: b"What to type next" in daemon.out.read_bytes())
    assert daemon.end(signal.SIGINT) == 0
    text = daemon.out.read_text()
    assert re.search(r"default +web +Stopped", text)
    assert f"gitvirt --settings {home.settings_file} audit" in text
    assert text.count("NAMESPACE") == 1


def test_a_repository_that_is_away_does_not_end_it(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web")}, web={"listen": "127.0.0.1:0"})
    away = tmp_path / "moved"
    home.repository.rename(away)
    daemon = Process(home)
    started.append(daemon.process)
    daemon.wait_for("source.unreachable")
    host, _, port = daemon.wait_for("web.started")[0]["listen"].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 503
    connection.close()
    away.rename(home.repository)
    daemon.wait_for("source.ready")
    daemon.wait_for("change.applied", 3)
    assert daemon.end() == 0


def test_without_a_repository_it_says_what_to_set(tmp_path: Path) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web")}, source={"interval": "5s"})
    done = gitvirt(home, "run")
    assert done.returncode == 11
    assert "set source.url" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_it_ends_in_time_although_a_cycle_hangs(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web")})
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import time\n"
        "import nodeexec.simulated.engine as engine\n"
        "def hang(self, change):\n"
        f"    open({str(tmp_path / 'hangs')!r}, 'w').close()\n"
        "    time.sleep(120)\n"
        "engine.SimulatedEngine.apply = hang\n"
    )
    daemon = Process(home, PYTHONPATH=f"{site}:{Path.cwd()}")
    started.append(daemon.process)
    eventually((tmp_path / "hangs").exists)
    before = time.monotonic()
    assert daemon.end() == 0
    assert 5 < time.monotonic() - before < 60
    assert daemon.events("daemon.stopped")[0]["drained"] is False
    with acting(home.settings):
        """The kernel let go of the lock; taking it properly also removes its file."""


def test_without_files_to_open_it_says_so_and_goes_on_when_it_can(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web")}, log={"level": "info", "format": "json"})
    daemon = Process(home)
    started.append(daemon.process)
    daemon.wait_for("change.applied", 3)
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (5, hard))
    home.commit({"db.yaml": vm_text("db")}, "add db")
    assert "Too many open files" in daemon.wait_for("source.unreachable")[0]["reason"]
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: any(e["object"].endswith("/db") for e in daemon.events("change.applied")))
    assert daemon.end() == 0
