"""Standard output and standard error that cannot be written: a full disk, a closed descriptor, a reader that went away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.errors import OutputError
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import PATIENCE_S
from tests.unit.daemon.test_daemon_process import Process

_SAMPLE = str(Path.cwd() / "sample-repo")
_FULL = "/dev/full"


def call(*arguments: str, to: str, unbuffered: str = "", home: Home | None = None) -> tuple[int, str]:
    """(exit code, standard error) of a command as a shell starts it, with its streams led elsewhere."""
    named = ["--settings", str(home.settings_file)] if home else []
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m reconciler "$@" {to}', sys.executable, *arguments, *named],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def with_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose daemon has done its first cycle."""
    home = make_home(tmp_path_factory.mktemp("home"), {"web.yaml": vm_text("web")})
    daemon = Process(home)
    try:
        daemon.wait_for("change.applied", 3)
        yield home
    finally:
        daemon.process.kill()
        daemon.process.wait()


def told(said: str) -> bool:
    """One line: what, where, why, and what next."""
    return (
        said.count("\n") == 1
        and said.startswith(f"gitvirt: standard output ({_FULL}) cannot be written: No space left on device. ")
        and "Make room there, or write elsewhere" in said
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("plan", "--help"),
        ("validate", _SAMPLE),
        ("plan", "--head", _SAMPLE),
        ("plan", "--head", _SAMPLE, "-o", "yaml"),
        ("xml", _SAMPLE),
    ],
)
def test_a_full_disk_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    code, said = call(*arguments, to=f">{_FULL}")
    assert (code, told(said)) == (OutputError.exit_code, True), said


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "vm"),
        ("status",),
        ("events", "--watch", "-o", "json"),
    ],
)
def test_so_it_is_beside_a_daemon(with_daemon: Home, arguments: tuple[str, ...]) -> None:
    code, said = call(*arguments, to=f">{_FULL}", home=with_daemon)
    assert (code, told(said)) == (OutputError.exit_code, True), said


def test_following_a_console_ends(tmp_path: Path) -> None:
    (tmp_path / "default_web.log").write_text("login: ")
    code, said = call(
        "logs", "--vm", "web", "-f", "-o", "raw", "--set", f"engine.libvirt.consoleLogs={tmp_path}", to=f">{_FULL}"
    )
    assert (code, told(said)) == (OutputError.exit_code, True), said


def test_what_was_asked_for_is_done_all_the_same(home: Home) -> None:
    code, said = call("apply", to=f">{_FULL}", home=home)
    assert (code, told(said)) == (OutputError.exit_code, True), said
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "audit", "-o", "json", "--settings", str(home.settings_file)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    assert "VirtualMachine/default/web" in done.stdout


def test_streams_that_are_not_buffered_lose_nothing_silently() -> None:
    code, said = call("plan", "--head", _SAMPLE, to=f">{_FULL}", unbuffered="1")
    assert (code, told(said)) == (OutputError.exit_code, True), said


def test_a_closed_output_is_one_that_cannot_be_written() -> None:
    code, said = call("settings", to=">&-")
    assert code == OutputError.exit_code
    assert (
        said.startswith("gitvirt: standard output cannot be written: Bad file descriptor. ") and said.count("\n") == 1
    )


def test_where_nothing_can_be_told_the_exit_code_tells() -> None:
    # With -detailed-exitcode 1 is an error, whichever.
    assert call("plan", "--head", _SAMPLE, "-detailed-exitcode", to=f">{_FULL} 2>&1") == (1, "")
    assert call("get", "nonsense", to=f"2>{_FULL}") == (2, "")
    assert call("plan", to="2>&-") == (11, "")


def test_completion_says_nothing(with_daemon: Home) -> None:
    assert call("__names", "vm", str(with_daemon.settings_file), to=f">{_FULL}") == (0, "")


def test_a_reader_that_went_away_is_no_fault() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "plan", "--head", _SAMPLE, "-o", "json"],
        stdout=writing, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_daemon_goes_on_without_its_table(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web", run_strategy="Halted")})
    (tmp_path / "out").symlink_to(_FULL)
    daemon = Process(home, "--show-table")
    started.append(daemon.process)
    assert _FULL in daemon.wait_for("table.lost")[0]["reason"]
    home.commit({"db.yaml": vm_text("db", run_strategy="Halted")}, "add db")
    daemon.wait_for("change.applied", 5)
    assert not daemon.events("cycle.failed")
    assert daemon.end() == OutputError.exit_code
