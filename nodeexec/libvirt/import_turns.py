"""Whose turn it is: a few imports at a time, and fewer from one server, so that a slow one does not take every place. Who does
not get a place waits without a thread, and is told of when one is free.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.model.keys import ObjectKey


@dataclass(slots=True)
class ImportTurns:
    """``call`` hears which object may try again."""

    at_once: int
    at_once_a_host: int
    call: Callable[[ObjectKey], None]
    _busy: Counter[str] = field(default_factory=Counter)
    _waiting: dict[ObjectKey, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: ObjectKey, host: str) -> bool:
        """A place for work on ``key`` that reads from the server ``host`` (empty: from this host's disks); without
        one, it waits.
        """
        with self._lock:
            if not self._is_free(host):
                self._waiting.setdefault(key, host)
                return False
            self._waiting.pop(key, None)
            self._busy[host] += 1
            return True

    def leave(self, host: str) -> None:
        """The work is over; who waited longest is called."""
        with self._lock:
            self._busy[host] -= 1
            if not self._busy[host]:
                del self._busy[host]
            following = next((key for key, source in self._waiting.items() if self._is_free(source)), None)
            if following is not None:
                del self._waiting[following]
        if following is not None:
            self.call(following)

    def forget(self, key: ObjectKey) -> None:
        """It is not wanted any more."""
        with self._lock:
            self._waiting.pop(key, None)

    def waits(self, key: ObjectKey) -> bool:
        """Whether it was refused a place and not called since."""
        with self._lock:
            return key in self._waiting

    def _is_free(self, host: str) -> bool:
        crowded = bool(host) and self._busy[host] >= self.at_once_a_host
        return self._busy.total() < self.at_once and not crowded
