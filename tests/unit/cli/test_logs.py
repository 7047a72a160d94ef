"""``gitvirt logs`` as a command: on a file that grows, and on none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.commands import run
from tests.unit.daemon.parts import PATIENCE_S, eventually

pytestmark = pytest.mark.usefixtures("logging_as_before")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "consoles").mkdir()
    file = tmp_path / "settings.yaml"
    file.write_text(f"engine: {{libvirt: {{consoleLogs: {tmp_path}/consoles}}}}\n")
    return file


def logs(settings: Path, *arguments: str) -> tuple[int, str, str]:
    return run("logs", "--settings", str(settings), *arguments)


def test_the_past_and_its_end(settings: Path) -> None:
    file = settings.parent / "consoles" / "prod_web.log"
    file.with_name("prod_web.log.0").write_text("\x1b[1mone\x1b[0m\n")
    file.write_bytes(b"two\r\nthree\r\nlogin: ")
    assert logs(settings, "--vm", "prod/web")[1] == "one\ntwo\nthree\nlogin: \n"
    assert logs(settings, "--vm", "web", "-n", "prod", "--tail", "2")[1] == "three\nlogin: \n"
    told = [json.loads(line) for line in logs(settings, "--vm", "prod/web", "-o", "json")[1].splitlines()]
    assert told[0] == {"vm": "prod_web", "line": "one"} and told[-1]["line"] == "login: "
    assert "\x1b[1m" in logs(settings, "--vm", "prod/web", "-o", "raw")[1]


def test_what_is_not_there(settings: Path) -> None:
    code, out, err = logs(settings, "--vm", "web")
    assert (code, out) == (1, "") and "default_web.log" in err
    assert logs(settings, "--vm", "../../etc/passwd")[0] == 16


def test_follow_goes_through_a_rotation_until_ctrl_c(settings: Path) -> None:
    file = settings.parent / "consoles" / "default_web.log"
    out = settings.parent / "out"
    with out.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "logs", "--settings", str(settings), "--vm", "web", "-f"],
            stdout=stream, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        file.write_text("one\n")
        eventually(lambda: out.read_text() == "one\n")
        file.rename(file.with_name("default_web.log.0"))
        file.write_text("two\nlogin: ")
        eventually(lambda: out.read_text() == "one\ntwo\nlogin: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    finally:
        process.kill()
        process.wait()
