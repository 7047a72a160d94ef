"""The real clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
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
    boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
    return Moment(boot_id=boot_id, monotonic_s=clock.monotonic(), at=clock.now())
