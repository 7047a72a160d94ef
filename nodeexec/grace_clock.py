"""How long guests have had to shut down, by a clock that nobody sets: a date that jumps ahead by a year must not pull the
plug on a guest that is just writing its disks.
"""

from __future__ import annotations

from datetime import datetime

from reconciler.model.keys import ObjectKey
from reconciler.ports import Clock


class GraceClock:
    """Counts from when a request was first seen here. One that another process made counts from the time of day that the
    marks tell, once; one from the future begins now.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[ObjectKey, tuple[datetime, float]] = {}

    def passed_s(self, key: ObjectKey, requested_at: datetime) -> float:
        """Seconds since the guest was first asked to shut down at ``requested_at``."""
        now_s = self._clock.monotonic()
        known = self._since.get(key)
        if known is None or known[0] != requested_at:
            gone_s = max(0.0, (self._clock.now() - requested_at).total_seconds())
            known = self._since[key] = (requested_at, now_s - gone_s)
        return now_s - known[1]

    def forget(self, key: ObjectKey) -> None:
        """The guest is off."""
        self._since.pop(key, None)
