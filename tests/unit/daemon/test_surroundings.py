"""Lock, key, workers, notification, timers, event pump, log: the parts around the cycle, each on its own."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from reconciler.daemon.clock import SystemClock
from reconciler.daemon.event_pump import EventPump
from reconciler.daemon.key import ensure_key, keyed_digest, load_key, numbering_digest
from reconciler.daemon.lock import OwnerLock
from reconciler.daemon.log_setup import set_up_logging
from reconciler.daemon.notify import notify, watchdog_interval_s
from reconciler.daemon.threads import ThreadWorkers
from reconciler.daemon.timers import Poll, Timers
from reconciler.daemon.wake import Wake
from reconciler.model.errors import EngineError, LockedError, RequirementError
from reconciler.model.keys import ObjectKey
from reconciler.ports import EVERYTHING
from reconciler.settings import LogSettings
from tests.unit.daemon.parts import PATIENCE_S, eventually

WEB = ObjectKey("VirtualMachine", "default", "web")


def test_a_second_holder_is_refused_and_told_the_pid(tmp_path: Path) -> None:
    with OwnerLock("lab", "qemu:///system", tmp_path):
        with pytest.raises(LockedError, match=f"pid {os.getpid()}.*owner 'lab' on qemu:///system"):
            OwnerLock("lab", "qemu:///system", tmp_path).acquire()
        with OwnerLock("other", "qemu:///system", tmp_path), OwnerLock("lab", "qemu:///session", tmp_path):
            pass
    with OwnerLock("lab", "qemu:///system", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_removed_lock_file_is_no_way_past_the_next_holder(tmp_path: Path) -> None:
    first, second = OwnerLock("lab", "x:", tmp_path), OwnerLock("lab", "x:", tmp_path)
    stale = second._opened()
    first.acquire()
    first.release()
    with OwnerLock("lab", "x:", tmp_path):
        assert not second._is_there(stale)
        with pytest.raises(LockedError):
            second.acquire()
    os.close(stale)


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from reconciler.daemon.lock import OwnerLock;"
        "OwnerLock('lab', 'x:', Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"pid {holder.pid}"):
            OwnerLock("lab", "x:", tmp_path).acquire()
    finally:
        holder.kill()
        holder.wait()
    with OwnerLock("lab", "x:", tmp_path):
        pass


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "key"
    key, made = ensure_key(path)
    assert made
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_key(path) == (key, False)
    assert list(path.parent.iterdir()) == [path]


def test_a_key_open_to_others_or_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"x" * 32)
    path.chmod(0o640)
    with pytest.raises(RequirementError, match="chmod 600"):
        load_key(path)
    path.chmod(0o600)
    path.write_bytes(b"x" * 31)
    with pytest.raises(RequirementError, match="does not hold 32 bytes"):
        ensure_key(path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequirementError):
        ensure_key(path)
    assert not (tmp_path / "elsewhere").exists()


def test_digests() -> None:
    one, other = keyed_digest(b"1" * 32), keyed_digest(b"2" * 32)
    assert one(b"secret") == one(b"secret") != other(b"secret")
    assert len(one(b"secret")) == 12
    number = numbering_digest()
    assert [number(b"a"), number(b"b"), number(b"a")] == ["000000000001", "000000000002", "000000000001"]


def test_workers_keep_the_order_and_share_the_work() -> None:
    barrier = threading.Barrier(4)

    def meet(number: int) -> int:
        barrier.wait(PATIENCE_S)
        return number * 2

    assert ThreadWorkers(4).map(meet, range(4)) == [0, 2, 4, 6]


def test_workers_finish_before_they_raise() -> None:
    done: list[int] = []

    def act(number: int) -> None:
        if number in (1, 2):
            raise ValueError(str(number))
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(ValueError, match="1"):
        ThreadWorkers(4).map(act, range(5))
    assert sorted(done) == [0, 3, 4]


def test_background_work_of_one_name_runs_once_at_a_time() -> None:
    workers, gate = ThreadWorkers(), threading.Event()
    ran: list[int] = []

    def work() -> None:
        ran.append(1)
        gate.wait(PATIENCE_S)

    workers.background("import a", work)
    workers.background("import a", work)
    assert workers.is_under_way("import a")
    assert not workers.is_under_way("import b")
    gate.set()
    eventually(lambda: not workers.is_under_way("import a"))
    assert ran == [1]


def test_notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert notify("READY=1", "MAINPID=7")
        assert manager.recv(100) == b"READY=1\nMAINPID=7"
    assert not notify("READY=1")
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    assert watchdog_interval_s() == 5.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval_s() is None


def test_timers_wake_and_do_nothing_else() -> None:
    wakes: list[Wake] = []
    timers = Timers(
        wake=wakes.append,
        polls=[Poll(source=name, interval_s=0.1, jitter_s=0.0) for name in ("infra", "shop")],
        resync_s=0.25,
    )
    timers.start()
    try:
        timers.later(0.05, Wake(keys=frozenset({WEB})))
        eventually(
            lambda: (
                Wake(everything=True) in wakes
                and Wake(keys=frozenset({WEB})) in wakes
                and all(wakes.count(Wake(sources=frozenset({name}))) >= 2 for name in ("infra", "shop"))
            )
        )
        assert wakes.count(Wake(keys=frozenset({WEB}))) == 1
    finally:
        timers.stop()


class FakeEngine:
    """Only its events are asked for."""

    def __init__(self, rounds: list[list[ObjectKey] | EngineError]) -> None:
        self._rounds = rounds

    def events(self) -> Iterator[ObjectKey]:
        """The next round; then silence."""
        found = self._rounds.pop(0) if self._rounds else []
        if isinstance(found, EngineError):
            raise found
        yield from found
        if not self._rounds:
            time.sleep(60)


def test_the_pump_survives_a_lost_connection_and_then_looks_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.daemon.event_pump._PAUSE_S", 0.02)
    wakes: list[Wake] = []
    engine = FakeEngine([[WEB, EVERYTHING], EngineError("gone"), [WEB]])
    pump = EventPump(engine=engine, wake=wakes.append, clock=SystemClock())
    pump.start()
    eventually(lambda: len(wakes) >= 5)
    pump.stop()
    assert [wake.everything for wake in wakes] == [False, True, True, True, False]
    assert wakes[0].keys == wakes[4].keys == {WEB}
    assert all(wake.detected_at for wake in wakes)


def test_a_signal_that_does_not_end_the_wait_is_heard() -> None:
    """The kernel may give it to another thread; the interpreter handles it in the main one, which sleeps on."""
    code = (
        "import signal, threading, time\n"
        "from queue import SimpleQueue\n"
        "from reconciler.daemon.service import handled_signals, next_signal\n"
        "def other(): time.sleep(0.5); signal.pthread_kill(threading.get_ident(), signal.SIGTERM); time.sleep(200)\n"
        "queue = SimpleQueue()\n"
        "with handled_signals(queue):\n"
        "    threading.Thread(target=other, daemon=True).start()\n"
        "    print(next_signal(queue) == signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout == "True\n"


@pytest.fixture
def quiet_after() -> Iterator[None]:
    hook = threading.excepthook
    yield
    threading.excepthook = hook
    structlog.reset_defaults()


@pytest.mark.usefixtures("quiet_after")
def test_json_lines_stay_lines_whatever_they_hold() -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(format="json"), out)
    structlog.get_logger().info("change.applied", why="a\nb\x1b[31m", steps=["x\ny"], count=3)
    structlog.get_logger().debug("plan.computed")
    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    said = json.loads(lines[0])
    assert list(said)[:3] == ["timestamp", "level", "event"]
    assert "\x1b" not in said["why"]
    assert "\n" not in said["why"]
    assert said["steps"] == ["x y"]
    assert said["count"] == 3


@pytest.mark.usefixtures("quiet_after")
def test_the_console_never_obeys_what_it_shows() -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(format="console", level="debug"), out)
    structlog.get_logger().debug("source.ready", subject="\x1b]0;owned\x07\u202e")
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()
    assert "source.ready" in out.getvalue()


@pytest.mark.usefixtures("quiet_after")
def test_a_log_that_cannot_be_written_is_lost_and_nothing_else() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stream = os.fdopen(full, "w", buffering=1, closefd=False)
    set_up_logging(LogSettings(format="json"), stream)
    for _ in range(3):
        structlog.get_logger().error("change.failed", reason="x")
        logging.getLogger("library").error("y")
    with suppress(OSError):
        stream.close()
    os.close(full)
