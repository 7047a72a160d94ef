"""When what an operator did for a time ends. ``gitvirt suspend --for 4h`` is four hours, whatever becomes of the time of day meanwhile.

Beside the end as a time of day, the marks keep where the kernel's clock will be then; what is observed tells the end as the clock reads now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconciler.model.live import Marks
from reconciler.model.moment import KernelTime, Moment
from reconciler.model.power import Override

ENDS = "ends"
"""Entry beside the marks."""


def ends_data(override: Override | None, suspended_until: datetime | None, now: Moment) -> dict[str, Any]:
    """What to keep of the ends that are given now, as JSON data; empty where nothing ends by itself."""
    ends = {"override": override.until if override else None, "suspended": suspended_until}
    kept = {name: round(now.end_of(until).monotonic_s, 3) for name, until in ends.items() if until is not None}
    return {"boot_id": now.boot_id, **kept} if kept else {}


def with_told_ends(marks: Marks, data: Any, now: Moment) -> Marks:
    """The marks with their ends as the clock reads now. Data that make no sense change nothing."""
    override, until = marks.override, marks.suspended_until
    if override is not None and override.until is not None:
        override = replace(override, until=now.told(override.until, _deadline(data, "override")))
    if until is not None:
        until = now.told(until, _deadline(data, "suspended"))
    same = override == marks.override and until == marks.suspended_until
    return marks if same else replace(marks, override=override, suspended_until=until)


def _deadline(data: Any, name: str) -> KernelTime | None:
    if not isinstance(data, Mapping) or not isinstance(data.get(name), int | float):
        return None
    return KernelTime(boot_id=str(data.get("boot_id", "")), monotonic_s=float(data[name]))
