"""The audit, and where it is pushed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from reconciler.model.keys import ObjectKey
from reconciler.model.record import AuditEntry, CycleRecord


class Journal(Protocol):
    """The audit: written, shown, never read to decide."""

    def write(self, record: CycleRecord) -> str:
        """Store one cycle as one commit; returns its hash, or an empty string when there was nothing to record.

        Raises:
            JournalError: it cannot be written. Reconciliation goes on; the fault is said loudly.
        """
        ...

    def lacks(self, keys: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Of the objects that are there, the next few whose live state the journal does not hold: after it was lost, set
        aside or could not be written. Most of the time there are none, and ``keys`` is not read. Never raises.
        """
        ...

    def news(self) -> tuple[str, ...]:
        """What happened to the journal itself since this was last asked: it was damaged and set aside, or written late."""
        ...

    def standing(self) -> tuple[str, ...]:
        """What a person has to know of the journal for as long as it is so."""
        ...

    def entries(
        self, *, vm: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> Iterable[AuditEntry]:
        """What happened, newest first."""
        ...


class JournalRemote(Protocol):
    """A branch elsewhere that keeps a copy of the journal. ``shown`` names it without credentials. For one thread at a time."""

    shown: str

    def push(self, repository: Path, head: str) -> str:
        """Move the branch forward to ``head`` (empty: there is nothing yet) of the repository; empty when it stands there now. Else the commit at
        which it stands, from which ``head`` does not descend: then nothing was written. It never moves in any other way.

        Raises:
            SourceError: no answer, or a refusal.
        """
        ...

    def fetch(self, into: Path, commit: str) -> None:
        """Bring a commit with all its history into a bare repository.

        Raises:
            SourceError: it did not arrive whole.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
