"""The real clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from reconciler.model.moment import Moment
from reconciler.ports import Clock

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """`reconciler.ports.Clock` on this machine's time."""

    def now(self) -> datetime:
        """The time of day, in UTC, with its time zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


def moment(clock: Clock) -> Moment:
    """Now on this machine, by both clocks."""
    return Moment(boot_id=_boot_id(), monotonic_s=clock.monotonic(), at=clock.now())


@cache
def _boot_id() -> str:
    """The same for as long as this process lives."""
    return _BOOT_ID.read_text(encoding="ascii").strip()
