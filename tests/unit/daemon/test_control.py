"""The control socket: who may ask, what comes back, and what a bad caller cannot do."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon.control import ControlServer, is_answering, user_name
from reconciler.daemon.control_client import RemoteFaultError, ask
from reconciler.daemon.control_protocol import MAX_REQUEST_BYTES, Request
from reconciler.model.errors import DaemonError, RequirementError, SourceError
from tests.unit.daemon.parts import PATIENCE_S


def handle(request: Request, user: str) -> Mapping[str, Any]:
    """Echoes; ``fail`` fails."""
    if request.verb == "fail":
        raise SourceError("the repository is away")
    return {"verb": request.verb, "arguments": dict(request.arguments), "user": user}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path / "control.sock", handle)
    server.start()
    yield tmp_path / "control.sock"
    server.stop()


def raw(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(60)
        channel.connect(str(path))
        try:
            channel.sendall(data)
            channel.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        while chunk := channel.recv(1 << 16):
            answer += chunk
        return answer


def test_a_request_and_its_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    answer = ask(path, "stop", {"name": "web", "for_s": 3.5})
    assert answer == {"verb": "stop", "arguments": {"name": "web", "for_s": 3.5}, "user": user_name(os.geteuid())}


def test_only_the_owner_may_open_it(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["control.sock"]


def test_a_fault_keeps_its_message_and_exit_code(path: Path) -> None:
    with pytest.raises(RemoteFaultError, match="the repository is away") as caught:
        ask(path, "fail")
    assert caught.value.exit_code == SourceError.exit_code


def test_nobody_there_is_no_fault(tmp_path: Path) -> None:
    assert ask(tmp_path / "none.sock", "status") is None
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    assert ask(stale, "status") is None


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b'{"verb": 3}\n', b'{"verb": "x", "arguments": []}\n'])
def test_nonsense_is_refused(path: Path, line: bytes) -> None:
    assert b'"ok":false' in raw(path, line)
    assert ask(path, "status") is not None


def test_too_long_a_request_is_refused_and_the_server_goes_on(path: Path) -> None:
    with pytest.raises(DaemonError):
        ask(path, "x", {"text": "x" * MAX_REQUEST_BYTES})
    assert ask(path, "status") is not None


def test_deep_nesting_is_refused(path: Path) -> None:
    assert b'"ok":false' in raw(path, b"[" * 50_000 + b"\n")
    assert ask(path, "status") is not None


def test_a_silent_caller_blocks_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.daemon.control._READ_TIMEOUT_S", PATIENCE_S)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(path))
        assert ask(path, "status") is not None
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.recv(1)


def test_a_stale_socket_is_taken_over_and_a_live_one_is_not(tmp_path: Path) -> None:
    where = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(where))
    first = ControlServer(where, handle)
    first.start()
    try:
        with pytest.raises(DaemonError, match="another daemon answers"):
            ControlServer(where, handle).start()
        assert is_answering(where)
    finally:
        first.stop()
    assert not where.exists()


def test_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="too long"):
        ControlServer(tmp_path / ("x" * 100) / "control.sock", handle).start()


def test_users_are_named() -> None:
    assert user_name(0) == "root"
    assert user_name(0, "alice") == "root (sudo by alice)"
    assert user_name(0, "al\nice") == "root"
    assert user_name(0, "root") == "root"
    assert user_name(54321, "alice") == "uid 54321"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_another_user_is_refused_even_when_the_mode_lets_him_in(path: Path) -> None:
    path.chmod(0o777)
    for parent in list(path.parents)[:3]:
        parent.chmod(0o755)
    code = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        's.sendall(b\'{"verb": "stop"}\\n\'); print(s.recv(10000).decode())\n'
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=100, check=True
    )
    assert "only root and the daemon's own user" in said.stdout


def test_many_at_once_are_all_served(path: Path) -> None:
    answers: list[object] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(ask(path, f"v{n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([answer for answer in answers if answer]) == 8
