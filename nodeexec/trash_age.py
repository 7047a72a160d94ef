"""How long a trash item was seen to lie there. Two clocks have to agree on it, so that no wrong time of day makes anything old.

An item ages while the host is up, by what both the kernel's clock since boot and the time of day say has passed since the
age was last noted on the item itself. A host that was off, a note that was lost and a clock that was set back make it
younger, never older.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.model.moment import Moment

NOTE_INTERVAL_S = 3600.0
"""How often an age is noted: what a reboot can take from it at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashAge:
    """A note on an item: seen for ``aged_s`` seconds by ``noted``."""

    aged_s: float
    noted: Moment


def age_at(age: TrashAge | None, now: Moment) -> float:
    """Seconds that an item was seen to lie in the trash; 0 where nothing was noted."""
    if age is None:
        return 0.0
    return age.aged_s + max(0.0, _passed_s(age.noted, now))


def is_due(age: TrashAge | None, now: Moment) -> bool:
    """Whether the age should be noted again."""
    if age is None or age.noted.boot_id != now.boot_id:
        return True
    passed_s = now.monotonic_s - age.noted.monotonic_s
    return not 0.0 <= passed_s < NOTE_INTERVAL_S


def noted(age: TrashAge | None, now: Moment) -> TrashAge:
    """The note to write now."""
    return TrashAge(aged_s=age_at(age, now), noted=now)


def age_data(age: TrashAge) -> dict[str, Any]:
    """A note as JSON data."""
    return {
        "aged_s": round(age.aged_s, 3),
        "boot_id": age.noted.boot_id,
        "monotonic_s": round(age.noted.monotonic_s, 3),
        "noted_at": age.noted.at.isoformat(),
    }


def age_from(data: Any) -> TrashAge | None:
    """The inverse of `age_data`; None for anything else: what cannot be read was not seen."""
    if not isinstance(data, Mapping):
        return None
    try:
        aged_s, monotonic_s = float(data["aged_s"]), float(data["monotonic_s"])
        at = datetime.fromisoformat(data["noted_at"])
        boot_id = str(data["boot_id"])
    except (KeyError, TypeError, ValueError):
        return None
    if not (math.isfinite(aged_s) and math.isfinite(monotonic_s)) or aged_s < 0 or at.tzinfo is None:
        return None
    return TrashAge(aged_s=aged_s, noted=Moment(boot_id=boot_id, monotonic_s=monotonic_s, at=at))


def _passed_s(before: Moment, now: Moment) -> float:
    if before.boot_id != now.boot_id:
        return 0.0
    return min(now.monotonic_s - before.monotonic_s, (now.at - before.at).total_seconds())
