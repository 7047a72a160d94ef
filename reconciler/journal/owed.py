"""Cycles that could not be recorded, kept in memory until they can: a full disk must not leave a hole in the audit."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from reconciler.journal.novelty import Seen
from reconciler.model.keys import ObjectKey
from reconciler.model.record import CycleRecord

OWED_LIMIT = 100
"""Cycles that tell something; while a disk is full there are few, and a process must not grow for as long as it is."""


class Owed:
    """Oldest first. What is beyond the limit is counted, and its objects are written down anew when it is over."""

    def __init__(self) -> None:
        self.records: deque[CycleRecord] = deque()
        self.missing = 0
        self.stale: set[ObjectKey] = set()
        self._seen: Seen | None = None
        self._reason = ""
        self._since: datetime | None = None
        self._until: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.records or self.missing)

    def keep(self, record: CycleRecord, seen: Seen, reason: str) -> None:
        """Keep a record that could not be written; not one that tells nothing beyond those kept before. ``seen`` is what
        the journal tells.
        """
        known = self._seen or seen
        self._seen, self._reason = known.after(record), reason
        if not known.news(record):
            return
        self._since, self._until = self._since or record.ended_at, record.ended_at
        if len(self.records) < OWED_LIMIT:
            self.records.append(record)
        else:
            self.missing += 1
            self.stale.update(record.live)

    def notice(self) -> str:
        """What the first commit after it says; empty when nothing is owed."""
        if not self or self._since is None or self._until is None:
            return ""
        missing = f" {self.missing} MORE CYCLES ARE MISSING;" if self.missing else ""
        return (
            f"THE JOURNAL COULD NOT BE WRITTEN from {self._since:%Y-%m-%d %H:%M:%S} to {self._until:%Y-%m-%d %H:%M:%S} UTC "
            f"({self._reason}). {len(self.records)} cycles of that time follow late, each with its own time;{missing} "
            "what a restart of gitvirt lost with its memory is told by the daemon's log alone."
        )

    def settle(self) -> None:
        """The missing ones are told, and nothing is owed."""
        self.missing, self._seen, self._since = 0, None, None
