"""Notices when somebody sets the clock. Waits and timers count by a clock that nobody sets; what is written down goes by
the one that tells the date, and that one can move by a year between two breaths.
"""

from __future__ import annotations

from reconciler.ports import Clock

NOTICEABLE_S = 2.0
"""A clock that is kept right moves by less at a time."""


class ClockWatch:
    """Compares the two clocks each time it is asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lead_s = self._measured()

    def jumped_s(self) -> float:
        """By how many seconds the clock was set since this was last asked; negative is back, 0 for not worth a word."""
        before, self._lead_s = self._lead_s, self._measured()
        moved_s = self._lead_s - before
        return moved_s if abs(moved_s) >= NOTICEABLE_S else 0.0

    def _measured(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
