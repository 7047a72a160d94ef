"""When something was done, by the kernel's clock, as it stands beside its date in marks and on trash items. A date alone would make a deletion
or restart of this hour an old one as soon as the time of day is set forward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.model.live import TrashItem
from reconciler.model.moment import KernelTime, Moment
from reconciler.model.power import RunHistory


def kernel_time_data(moment: Moment) -> dict[str, Any]:
    """That moment as JSON data."""
    return {"boot_id": moment.boot_id, "monotonic_s": round(moment.monotonic_s, 3)}


def kernel_time_from(data: Any) -> KernelTime | None:
    """The inverse of `kernel_time_data`; None for anything else."""
    if not isinstance(data, Mapping) or not isinstance(data.get("monotonic_s"), int | float):
        return None
    monotonic_s = float(data["monotonic_s"])
    return (
        KernelTime(boot_id=str(data.get("boot_id", "")), monotonic_s=monotonic_s)
        if math.isfinite(monotonic_s)
        else None
    )


def with_told_deletion(item: TrashItem, trashed: KernelTime | None, now: Moment) -> TrashItem:
    """The item with the time of its deletion as the clock reads now."""
    told = now.told(item.trashed_at, trashed)
    return item if told == item.trashed_at else replace(item, told_at=told)


def with_told_restart(history: RunHistory, restarted: KernelTime | None, now: Moment) -> RunHistory:
    """The history with the time of its last restart as the clock reads now."""
    if history.last_restart_at is None:
        return history
    return replace(history, last_restart_at=now.told(history.last_restart_at, restarted))
