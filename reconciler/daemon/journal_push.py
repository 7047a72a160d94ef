"""The journal's copy elsewhere, brought up to date beside the cycle: after each commit, again after faults, never by force."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pygit2
import structlog

from reconciler.daemon import events
from reconciler.daemon.back_off import BackOff
from reconciler.journal.git_journal import GitJournal
from reconciler.journal.joining import drop_draft, make_draft
from reconciler.model.errors import GitvirtError
from reconciler.model.keys import ObjectKey
from reconciler.model.plain_text import one_line
from reconciler.model.record import AuditEntry, CycleRecord
from reconciler.ports import Clock, JournalRemote

PATIENCE_S = 5.0
"""What a start waits for the history elsewhere, and an end for the last of its own to be there."""

_ATTEMPTS = 3
"""A branch that others move all the time is left alone for a while after so many."""

_log = structlog.get_logger("gitvirt.journal")


class PushedJournal:
    """`reconciler.ports.Journal` that has a copy elsewhere. Whatever happens there, writing and reading are those of the journal here."""

    def __init__(self, journal: GitJournal, remote: JournalRemote, clock: Clock, *, place: Path) -> None:
        """``place`` is where history that comes from elsewhere lies until it is taken over. Nothing is asked yet."""
        self._journal, self._remote, self._place = journal, remote, place
        self._back_off = BackOff(clock.monotonic)
        self._monotonic = clock.monotonic
        self._changed = threading.Condition()
        self._is_due, self._stopping, self._is_last = True, False, False
        self._attempted = threading.Event()
        self._thread: threading.Thread | None = None
        self._pushed = ""
        self._fault = ""

    def begin(self, patience_s: float = PATIENCE_S) -> None:
        """Look at the copy, which a journal without any history here goes on from. Waits for that only so long; what comes later is joined."""
        self._thread = threading.Thread(target=self._work, name="journal push", daemon=True)
        self._thread.start()
        if not self._journal.head():
            self._attempted.wait(patience_s)

    def finish(self, patience_s: float = PATIENCE_S) -> None:
        """Let what was written last be pushed, for so long; then no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(patience_s)
            if self._thread.is_alive():
                _log.warning(events.JOURNAL_NOT_PUSHED, reason="it took too long", remote=self._remote.shown)

    def write(self, record: CycleRecord) -> str:
        """See `Journal.write`."""
        commit = self._journal.write(record)
        if commit:
            with self._changed:
                self._is_due = True
                self._changed.notify_all()
        return commit

    def lacks(self, keys: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """See `Journal.lacks`."""
        return self._journal.lacks(keys)

    def news(self) -> tuple[str, ...]:
        """See `Journal.news`."""
        return self._journal.news()

    def standing(self) -> tuple[str, ...]:
        """See `Journal.standing`; and why the copy is behind."""
        fault = self._fault
        return (*self._journal.standing(), *((f"the journal is not pushed: {fault}",) if fault else ()))

    def entries(
        self, *, vm: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> Iterable[AuditEntry]:
        """See `Journal.entries`."""
        return self._journal.entries(vm=vm, since=since, limit=limit)

    def _work(self) -> None:
        try:
            while self._wait():
                self._attempt()
                self._attempted.set()
        finally:
            drop_draft(self._place)
            self._remote.close()

    def _wait(self) -> bool:
        """Until there is something to push and a failure lies far enough back; at the end one more time, which begins after the end
        was called for. Whether to go on.
        """
        with self._changed:
            while not self._stopping and not (self._is_due and self._back_off.is_due()):
                self._changed.wait(self._back_off.left_s() if self._is_due else None)
            if self._is_last or (self._stopping and not self._is_due):
                return False
            self._is_due, self._is_last = False, self._stopping
            return True

    def _attempt(self) -> None:
        try:
            fault = self._bring_up_to_date()
        except (GitvirtError, pygit2.GitError, OSError) as error:
            fault = one_line(str(error), 500)
        if fault and fault != self._fault:
            _log.warning(events.JOURNAL_NOT_PUSHED, reason=fault, remote=self._remote.shown)
        self._fault = fault
        with self._changed:
            self._back_off.note(failed=bool(fault))
            self._is_due = self._is_due or bool(fault)

    def _bring_up_to_date(self) -> str:
        """Push, joining what others pushed meanwhile; the fault, or nothing."""
        for _ in range(_ATTEMPTS):
            head = self._journal.head()
            if head and head == self._pushed:
                return ""
            theirs = self._remote.push(self._journal.path, head)
            if not theirs:
                self._pushed = head
                if head:
                    _log.info(events.JOURNAL_PUSHED, commit=head[:12], remote=self._remote.shown)
                return ""
            make_draft(self._place, self._journal.path, head)
            self._remote.fetch(self._place, theirs)
            is_new = self._journal.take_over(self._place, theirs, self._remote.shown)
            told = events.JOURNAL_TAKEN if is_new else events.JOURNAL_JOINED
            _log.warning(told, commit=theirs[:12], remote=self._remote.shown)
            drop_draft(self._place)
        return f"{self._remote.shown} is moved by somebody else all the time"
