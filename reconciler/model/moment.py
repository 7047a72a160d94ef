"""Now, by two clocks: one that people and programs set, and one that only the kernel counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

JUMP_S = 60.0
"""What the time of day may stray from the kernel's clock without having been set."""

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """``monotonic_s`` counts since the boot ``boot_id``, ``at`` is the time of day in UTC."""

    boot_id: str
    monotonic_s: float
    at: datetime

    def end_of(self, until: datetime) -> Deadline:
        """The end of a time that begins now, so that it lasts as long as it was meant to."""
        return Deadline(boot_id=self.boot_id, monotonic_s=self.monotonic_s + (until - self.at).total_seconds())

    def told(self, until: datetime, deadline: Deadline | None) -> datetime:
        """The end of a time as the clock reads now: ``until`` as it was written, or where the time of day was set since, when
        the kernel's clock comes to it, to the next full minute. After a reboot the time of day is all there is.
        """
        if deadline is None or deadline.boot_id != self.boot_id:
            return until
        end = self.at + timedelta(seconds=deadline.monotonic_s - self.monotonic_s)
        if abs((end - until).total_seconds()) <= JUMP_S:
            return until
        return end.replace(second=0, microsecond=0) + _MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The end of a time by the kernel's clock."""

    boot_id: str
    monotonic_s: float
