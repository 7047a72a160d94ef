"""Whether the daemon lives and whether it does its work, as two answers for whoever watches it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

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
    """Ready after the first cycle that saw a revision and the host; not ready again while cycles cannot run."""

    def __init__(self, *, is_alive: Callable[[], bool]) -> None:
        """``is_alive`` says whether the cycle's thread runs."""
        self._is_alive = is_alive
        self._lock = threading.Lock()
        self._fault = "no cycle has ended yet"

    def cycle_ended(self, fault: str = "") -> None:
        """A cycle ended; ``fault`` says why it could not do its work, empty when it could."""
        with self._lock:
            self._fault = fault

    def alive(self) -> Answer:
        """For /healthz: anything but ok asks to restart the process."""
        return (True, "ok") if self._is_alive() else (False, "the cycle's thread has ended")

    def ready(self) -> Answer:
        """For /readyz."""
        alive, said = self.alive()
        if not alive:
            return alive, said
        with self._lock:
            return (False, self._fault) if self._fault else (True, "ok")
