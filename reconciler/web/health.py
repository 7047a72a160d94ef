"""Whether the daemon lives and whether it does its work, as two answers for whoever watches it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

LONG_CYCLE_S = 60.0
"""A cycle that takes longer than this waits for something that does not answer, or has very much to do."""

Answer = tuple[bool, str]
"""Good or not, and a sentence."""


class Watched(Protocol):
    """What can be asked how it is."""

    def alive(self) -> Answer:
        """For /healthz: anything but ok asks to restart the process."""
        ...

    def ready(self) -> Answer:
        """For /readyz."""
        ...


class Health:
    """Ready after the first cycle that saw a revision and the host; not ready again while cycles cannot run, or one does not
    end.
    """

    def __init__(self, *, is_alive: Callable[[], bool], monotonic: Callable[[], float] = time.monotonic) -> None:
        """``is_alive`` says whether the cycle's thread runs; ``monotonic`` gives seconds that never go back."""
        self._is_alive = is_alive
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._fault = "no cycle has ended yet"
        self._began_at: float | None = None

    def cycle_began(self) -> None:
        """A cycle is under way."""
        with self._lock:
            self._began_at = self._monotonic()

    def cycle_ended(self, fault: str = "") -> None:
        """A cycle ended; ``fault`` says why it could not do its work, empty when it could."""
        with self._lock:
            self._fault = fault
            self._began_at = None

    def alive(self) -> Answer:
        """For /healthz: anything but ok asks to restart the process."""
        return (True, "ok") if self._is_alive() else (False, "the cycle's thread has ended")

    def ready(self) -> Answer:
        """For /readyz."""
        alive, said = self.alive()
        if not alive:
            return alive, said
        with self._lock:
            if self._fault:
                return False, self._fault
            taken_s = 0.0 if self._began_at is None else self._monotonic() - self._began_at
            if taken_s > LONG_CYCLE_S:
                return False, f"a cycle has been under way for {taken_s:.0f} s; does the hypervisor answer?"
            return True, "ok"
