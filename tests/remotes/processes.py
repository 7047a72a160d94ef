"""Servers of the tests: started by path, on loopback, ended by their process group."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/lib/git-core"
_PATIENCE_S = 60.0


def program(name: str) -> str:
    """Where a program is; the tests' packages stand in deploy/host/test-packages.txt."""
    found = shutil.which(name, path=_SYSTEM_PATH)
    assert found, f"{name} is not installed: run deploy/host/prepare --tests"
    return found


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(path: Path) -> bool:
    """Whether somebody listens at a socket: its file is there a moment before that."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class Running:
    """A server process with its children, and where it writes what it says."""

    def __init__(self, arguments: list[str], log: Path, is_up: Callable[[], bool]) -> None:
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )
        self.log = log
        until = time.monotonic() + _PATIENCE_S
        while not is_up():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise AssertionError(f"{arguments[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it and what it started: its own process group, and nothing else."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
