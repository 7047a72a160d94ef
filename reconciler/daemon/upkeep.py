"""What the daemon stands on is still there: its lock, its socket, a clock that runs straight. Looked at every few seconds,
because no event tells of any of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from reconciler.daemon import events
from reconciler.daemon.clock_watch import ClockWatch
from reconciler.daemon.control import ControlServer
from reconciler.daemon.timers import Timers
from reconciler.daemon.wake import Wake
from reconciler.model.errors import GitvirtError
from reconciler.ports import Leadership

LOOK_S = 5.0
_END_S = 2.0

_log = structlog.get_logger("gitvirt.upkeep")


class Upkeep:
    """A thread of its own from `start` to `stop`."""

    def __init__(
        self,
        *,
        leadership: Leadership,
        control: ControlServer,
        timers: Timers,
        clock: ClockWatch,
        wake: Callable[[Wake], None],
        every_s: float = LOOK_S,
    ) -> None:
        self._leadership, self._control, self._timers, self._clock = leadership, control, timers, clock
        self._wake, self._every_s = wake, every_s
        self._stopping = threading.Event()
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.look()
            except GitvirtError as fault:
                self._say_once(str(fault))
            else:
                self._said = ""

    def look(self) -> None:
        """Look once, and put right what can be.

        Raises:
            GitvirtError: something cannot be put right now.
        """
        jumped_s = self._clock.jumped_s()
        if jumped_s:
            _log.warning(events.CLOCK_JUMPED, by_s=round(jumped_s, 3))
            self._timers.count_anew()
            self._wake(Wake(everything=True))
        if self._leadership.restore():
            _log.warning(events.LOCK_RESTORED, reason="somebody removed the lock file; it was made anew")
        if self._control.restore():
            _log.warning(events.SOCKET_RESTORED, reason="somebody removed the control socket; it was made anew")

    def _say_once(self, fault: str) -> None:
        if fault != self._said:
            _log.error(events.WORK_FAILED, work="upkeep", error=fault)
        self._said = fault
