"""The daemon from its first breath to its last: everything around the cycle, started in order and stopped in reverse."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Protocol, TypeVar

import structlog

from reconciler.daemon import events
from reconciler.daemon.control import ControlServer
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.event_pump import EventPump
from reconciler.daemon.loop import CycleLoop
from reconciler.daemon.notify import READY, STOPPING, notify
from reconciler.daemon.timers import Timers
from reconciler.daemon.wake import Wake
from reconciler.ports import Engine
from reconciler.web.server import WebServer

T = TypeVar("T")

DRAIN_S = 8.0
"""How long the cycle under way may take to end after SIGTERM; with the rest, the process is gone within 10 s."""

SIGNAL_LOOK_S = 1.0

CALL_TIMEOUT_S = 100.0
CRASHED = 70
"""Exit code after a broken invariant (EX_SOFTWARE of sysexits)."""

LED_BY_ANOTHER = 75
"""Exit code when another replica took over: started again, this one stands by (EX_TEMPFAIL of sysexits)."""

LOST_DRAIN_S = 2.0
"""What the cycle under way may take to see that it may not act any more."""

ENDED = 0
LOST = -1
"""No signals have these numbers: the cycle's thread has ended; another replica leads."""

_log = structlog.get_logger("gitvirt.daemon")


class LoopTurn:
    """`operations.Turn` on the daemon's cycle thread."""

    in_daemon = True

    def __init__(self, loop: Callable[[], CycleLoop]) -> None:
        """``loop`` gives the loop; it does not exist yet when its operations are made."""
        self._loop = loop

    def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` between two cycles, not before the first."""
        until_s = time.monotonic() + CALL_TIMEOUT_S
        self.wait_for_first_cycle()
        return self._loop().call(function, timeout_s=max(0.0, until_s - time.monotonic()))

    def run(self, wake: Wake) -> CycleReport:
        """One cycle, on the cycle's thread."""
        return self._loop().run(wake)

    def wait_for_first_cycle(self) -> None:
        """Wait for the loop."""
        self._loop().wait_for_first(CALL_TIMEOUT_S)

    def tell(self, wake: Wake) -> None:
        """Wake the loop."""
        self._loop().wake(wake)


class Stoppable(Protocol):
    """Something that is started once and stopped once."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End, without waiting long."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a daemon is made of. ``web`` is empty when the settings turn it off."""

    engine: Engine
    loop: CycleLoop
    timers: Timers
    pump: EventPump
    control: ControlServer
    web: tuple[WebServer, ...]
    upkeep: Stoppable


class Daemon:
    """Runs in the foreground until a signal, or until the cycle meets a broken invariant."""

    def __init__(self, parts: Parts, *, signals: SimpleQueue[int]) -> None:
        """``signals`` gets the number of each signal, from the loop `ENDED` when its thread has ended, and `LOST`."""
        self._parts = parts
        self._signals = signals
        self._lost = False

    def run(self) -> int:
        """Start, serve, drain; the exit code.

        Raises:
            GitvirtError: something cannot be started; what was started is stopped again.
        """
        parts = self._parts
        started: list[Stoppable] = []
        with handled_signals(self._signals):
            try:
                services: Sequence[Stoppable] = [
                    parts.control, *parts.web, parts.loop, parts.pump, parts.timers, parts.upkeep
                ]  # fmt: skip
                for service in services:
                    service.start()
                    started.append(service)
                tell_web(parts.web)
                parts.loop.wake(Wake(fetch=True, everything=True))
                notify(READY, f"MAINPID={os.getpid()}")
                self._serve()
            finally:
                notify(STOPPING)
                for service in reversed(started):
                    service.stop()
        return self._drain()

    def _serve(self) -> None:
        while True:
            number = next_signal(self._signals)
            if number == signal.SIGHUP:
                self._parts.loop.wake(Wake(fetch=True, everything=True))
                continue
            self._lost = number == LOST
            said = {ENDED: "the cycle ended", LOST: "another replica leads"}
            name = said.get(number) or signal.Signals(number).name
            _log.info(events.DAEMON_STOPPING, reason=name, drain_s=self._drain_s)
            return

    @property
    def _drain_s(self) -> float:
        return LOST_DRAIN_S if self._lost else DRAIN_S

    def _drain(self) -> int:
        drained = self._parts.loop.join(self._drain_s)
        if drained:
            self._parts.engine.close()
        crash = self._parts.loop.crash
        _log.info(events.DAEMON_STOPPED, drained=drained)
        if crash is not None:
            return CRASHED
        code = LED_BY_ANOTHER if self._lost else 0
        if not drained:
            # Steps are idempotent and the marks say how far they came; waiting longer would break the promise of 10 s.
            os._exit(code)
        return code


def next_signal(signals: SimpleQueue[int]) -> int:
    """Wait for a signal.

    A signal that comes between the interpreter's last look and the wait does not end the wait, and its handler runs when
    this thread does: so it wakes now and then.
    """
    while True:
        with suppress(Empty):
            return signals.get(timeout=SIGNAL_LOOK_S)


def tell_web(servers: Sequence[WebServer]) -> None:
    """Log where they listen."""
    for server in servers:
        _log.info(events.WEB_STARTED, listen=server.address, webhook=server.has_webhook)


@contextmanager
def handled_signals(queue: SimpleQueue[int]) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP go to the queue (its ``put`` may be called from a signal handler, an Event's ``set``
    may not); a second SIGINT while draining ends the process the hard way.
    """
    asked_to_stop = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked_to_stop
        if number == signal.SIGINT and asked_to_stop:
            os._exit(128 + number)
        asked_to_stop = asked_to_stop or number != signal.SIGHUP
        queue.put(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, handle)
    yield
