"""Turns an engine's events into wake-ups."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from reconciler.daemon import events
from reconciler.daemon.wake import Wake
from reconciler.model.errors import EngineError
from reconciler.ports import EVERYTHING, Clock, Engine

_PAUSE_S = 2.0

_log = structlog.get_logger("gitvirt.events")


class EventPump:
    """A thread that listens to `Engine.events` until it is stopped, through lost connections too."""

    def __init__(self, *, engine: Engine, wake: Callable[[Wake], None], clock: Clock) -> None:
        """``wake`` is `CycleLoop.wake`."""
        self._engine = engine
        self._wake = wake
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more. The thread ends when the engine is closed or says its next event."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except EngineError as fault:
                _log.warning(events.EVENTS_LOST, error=str(fault), retry_after_s=_PAUSE_S)
            if self._stopping.wait(_PAUSE_S):
                return
            # What happened while nobody listened is not known.
            self._wake(Wake(everything=True, detected_at=self._clock.now()))

    def _listen(self) -> None:
        for key in self._engine.events():
            if self._stopping.is_set():
                return
            if key == EVERYTHING:
                self._wake(Wake(everything=True, detected_at=self._clock.now()))
            else:
                self._wake(Wake(keys=frozenset({key}), detected_at=self._clock.now()))
