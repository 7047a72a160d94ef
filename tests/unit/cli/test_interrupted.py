"""Ctrl-C at any moment of a command: nothing but the exit code, and nothing stays behind.

The interrupt comes at a fact, not at a time: the process sends it to itself when it first imports, opens or locks what is named.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.wiring_lead import acting
from tests.unit.daemon.homes import Home
from tests.unit.daemon.parts import PATIENCE_S

_INTERRUPTED, _KILLED = 130, -signal.SIGINT
_DRIVER = """
import os, signal, sys
event, told, *sys.argv[1:] = sys.argv[1:]
left = [told]
def interrupt(name, values):
    if left and name == event and told in str(values):
        left.clear()
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(interrupt)
from reconciler.__main__ import main
try:
    main()
finally:
    print("reached" if not left else "not reached", flush=True)
"""
"""Audit events are https://docs.python.org/3/library/audit_events.html."""


def interrupted(home: Home, event: str, told: str, *command: str) -> tuple[int, str]:
    """(exit code, standard error) of a command that is interrupted when an audit event tells of ``told``."""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, event, told, *command, "--settings", str(home.settings_file)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == _KILLED or done.stdout.endswith("\nreached\n") or done.stdout == "reached\n", done
    return done.returncode, done.stderr


def left_behind(directory: Path) -> list[str]:
    """Sockets, and files that were to become others."""
    return [path.name for path in directory.rglob("*") if path.is_socket() or "tmp" in path.name or "half" in path.name]


@pytest.mark.parametrize(
    ("event", "told", "command", "code"),
    [
        ("import", "typer", ("plan",), _KILLED),
        ("import", "'reconciler.cli.output'", ("plan",), _KILLED),
        ("import", "'rich.text'", ("status",), _KILLED),
        ("open", "settings.yaml", ("plan",), _INTERRUPTED),
        ("import", "'reconciler.wiring'", ("apply",), _INTERRUPTED),
        ("fcntl.flock", "", ("apply",), _INTERRUPTED),
        ("import", "'reconciler.wiring_daemon'", ("run",), _INTERRUPTED),
        ("fcntl.flock", "", ("run",), _INTERRUPTED),
        ("import", "'reconciler.wiring_events'", ("events", "--watch"), _KILLED),
        ("open", "settings.yaml", ("events", "--watch"), _INTERRUPTED),
    ],
)
def test_it_ends_without_a_word(home: Home, event: str, told: str, command: tuple[str, ...], code: int) -> None:
    assert interrupted(home, event, told, *command) == (code, "")
    assert left_behind(home.directory) == []
    with acting(home.settings):
        pass


def test_a_daemon_that_begins_to_listen_has_begun(home: Home) -> None:
    code, said = interrupted(home, "socket.bind", "control", "run")
    assert code == 0
    assert "Traceback" not in said and "ignored" not in said
    assert left_behind(home.directory) == []
