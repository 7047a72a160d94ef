"""An object that was deleted and is still there: who keeps it, since when, and when to look again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nodeexec.kubevirt.marks import metadata_of, read_time, time_text
from reconciler.model.outcome import Result

DISKS = "gitvirt.io/disks"
"""Our own: the disks of this VM are not out of its hands yet."""
SOON_S = 2.0
LONGEST_S = 60.0
LONG_S = 300.0
"""Whoever has a finalizer on something and has not taken it off by then has to be looked at by a person."""


def is_held(document: Mapping[str, Any]) -> bool:
    """Whether a VM that is being deleted waits for its disks to be taken out of its hands."""
    metadata = metadata_of(document)
    return bool(metadata.get("deletionTimestamp")) and DISKS in (metadata.get("finalizers") or ())


def kept_by_finalizers(document: Mapping[str, Any], now: datetime) -> tuple[Result, str, float]:
    """How it stands, what to tell, and after how many seconds to look: seldom at what was kept for long. The event that it is
    gone comes by itself.
    """
    metadata = metadata_of(document)
    names = ", ".join(str(one) for one in metadata.get("finalizers") or ()) or "something"
    asked = read_time(metadata.get("deletionTimestamp"))
    # The time is the server's: where its clock is ahead of ours nothing has passed.
    age_s = max(0.0, (now - asked).total_seconds()) if asked is not None else 0.0
    again_s = min(max(SOON_S, age_s / 10), LONGEST_S)
    if asked is None or age_s < LONG_S:
        return Result.PROGRESSING, f"it is being deleted; the finalizer {names} keeps it for a while", again_s
    said = f"it was deleted at {time_text(asked)}, and the finalizer {names} still keeps it"
    return Result.RETRY, f"{said}: see why its controller does not take it off", again_s
