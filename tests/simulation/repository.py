"""A Git repository and its journal in memory, with the troubles that remotes have."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from reconciler.model.errors import SourceError
from reconciler.model.keys import ObjectKey
from reconciler.model.record import AuditEntry, CycleRecord
from reconciler.model.revision import Revision, Snapshot, SourceState, SourceStatus
from reconciler.ports import Clock

_MESSAGES = {
    SourceState.UNREACHABLE: "the remote did not answer",
    SourceState.REF_MISSING: "the branch is gone",
    SourceState.REWRITTEN: "the branch's history was rewritten",
    SourceState.EMPTY: "the revision holds no manifest",
    SourceState.PATH_MISSING: "the path is not in the revision",
}


class Remote:
    """The repository elsewhere. ``trouble`` is what a look at it comes to, READY for none. ``lines`` tells for each revision
    to which line of history it belongs: revisions of another line are no descendants.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.blobs: dict[str, bytes] = {}
        self.snapshots: list[Snapshot] = []
        self.lines: list[int] = []
        self.trouble = SourceState.READY

    def commit(
        self, files: Mapping[str, str], subject: str, *, approvals: tuple[str, ...] = (), rewrites: bool = False
    ) -> str:
        """Add a revision; returns its hash."""
        entries: dict[str, str] = {}
        for path, text in sorted(files.items()):
            data = text.encode()
            blob = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            self.blobs[blob] = data
            entries[path] = blob
        number = len(self.snapshots)
        commit = hashlib.sha1(f"{number} {entries}".encode(), usedforsecurity=False).hexdigest()
        revision = Revision(commit=commit, author="Ada", email="ada@example.org", subject=subject, approvals=approvals)
        self.snapshots.append(Snapshot(revision=revision, files=entries))
        self.lines.append((self.lines[-1] if self.lines else 0) + rewrites)
        return commit


class MemorySource:
    """`ports.Source` over a `Remote`. ``accepted_index`` is what a state directory would remember; None after its loss."""

    def __init__(self, remote: Remote, clock: Clock, accepted_index: int | None = None) -> None:
        self._remote = remote
        self._clock = clock
        self.accepted_index = accepted_index
        self._status = SourceStatus(state=SourceState.NEVER, checked_at=None)

    def fetch(self, approvals: Collection[str] = ()) -> SourceStatus:
        """Look once; only a good look moves the accepted revision."""
        state, head, approval = self._remote.trouble, len(self._remote.snapshots) - 1, ""
        if state is SourceState.READY and self._is_rewritten(head):
            known = f"{self._remote.name} {self.accepted_index} {head}"
            approval = hashlib.sha1(known.encode(), usedforsecurity=False).hexdigest()[:12]
            state = SourceState.READY if approval in approvals else SourceState.REWRITTEN
        if state is SourceState.READY:
            self.accepted_index, approval = head, ""
        self._status = SourceStatus(
            state=state,
            checked_at=self._clock.now(),
            message=_MESSAGES.get(state, ""),
            approval=approval,
            approval_reason="the branch's history was rewritten" if approval else "",
        )
        return self._status

    def _is_rewritten(self, head: int) -> bool:
        """Whether what was accepted is no ancestor of the head."""
        lines = self._remote.lines
        return self.accepted_index is not None and lines[self.accepted_index] != lines[head]

    def status(self) -> SourceStatus:
        """What the last look came to."""
        return self._status

    def accepted(self) -> Snapshot | None:
        """The accepted revision."""
        return None if self.accepted_index is None else self._remote.snapshots[self.accepted_index]

    def confirm(self, commit: str) -> None:
        """Nothing is ever refused here, so that nobody asks what was good before."""

    def refuse(self, commit: str, reason: str) -> bool:
        """See `Source.refuse`."""
        raise AssertionError(f"{commit} is small enough, and was refused: {reason}")

    def read_blob(self, blob: str) -> bytes:
        """A file's bytes.

        Raises:
            SourceError: it is not there.
        """
        if blob not in self._remote.blobs:
            raise SourceError(f"{blob} is not in the repository")
        return self._remote.blobs[blob]

    def revision(self, commit: str) -> Revision | None:
        """A commit's facts."""
        return next((s.revision for s in self._remote.snapshots if s.revision.commit == commit), None)


class MemoryJournal:
    """`ports.Journal` that keeps the records."""

    def __init__(self) -> None:
        self.records: list[CycleRecord] = []

    def write(self, record: CycleRecord) -> str:
        """Keep a record that tells something."""
        if not (record.applied or record.messages or record.operator):
            return ""
        self.records.append(record)
        return f"{len(self.records):040x}"

    def lacks(self, keys: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Nothing: it is never lost."""
        return ()

    def news(self) -> tuple[str, ...]:
        """Nothing happens to it."""
        return ()

    def standing(self) -> tuple[str, ...]:
        """Nothing is wrong with it."""
        return ()

    def entries(
        self, *, vm: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> Iterable[AuditEntry]:
        """Nothing: decisions never read the journal."""
        return ()
