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

    @property
    def kernel_time(self) -> KernelTime:
        """Now, by the kernel's clock."""
        return KernelTime(boot_id=self.boot_id, monotonic_s=self.monotonic_s)

    def end_of(self, until: datetime) -> KernelTime:
        """The end of a time that begins now, so that it lasts as long as it was meant to."""
        return KernelTime(boot_id=self.boot_id, monotonic_s=self.monotonic_s + (until - self.at).total_seconds())

    def told(self, written: datetime, by_kernel: KernelTime | None) -> datetime:
        """Something past or to come as the clock reads now: the date that was ``written`` for it, or where the time of day was
        set since, what it is by the kernel's clock, to the next full minute. After a reboot the time of day is all there is.
        """
        if by_kernel is None or by_kernel.boot_id != self.boot_id:
            return written
        at = self.at + timedelta(seconds=by_kernel.monotonic_s - self.monotonic_s)
        if abs((at - written).total_seconds()) <= JUMP_S:
            return written
        return at.replace(second=0, microsecond=0) + _MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTime:
    """A point in time by the kernel's clock, which counts from a boot."""

    boot_id: str
    monotonic_s: float
