"""A source whose looks at the remote go on beside the cycle: a slow server never delays the correction of drift."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from reconciler.daemon.back_off import BackOff
from reconciler.model.revision import Revision, Snapshot, SourceState, SourceStatus
from reconciler.ports import Clock, Source

PATIENCE_S = 2.0
"""Most looks, and most fetches of a commit, end within it; then everything happens in one cycle, as a person expects."""


class PatientSource:
    """`reconciler.ports.Source`: `fetch` waits `PATIENCE_S` at most (and not at all for a remote that failed the last time),
    then answers with what was known before; ``on_late`` is called when the look has ended after all. `is_due` spaces the looks at a remote that does not answer.
    """

    def __init__(
        self, source: Source, *, name: str, clock: Clock, on_late: Callable[[], None], patience_s: float = PATIENCE_S
    ) -> None:
        self._source = source
        self._name = name
        self._on_late = on_late
        self._patience_s = patience_s
        self._back_off = BackOff(clock.monotonic)
        self._lock = threading.Lock()
        self._approvals: set[str] = set()
        self._ended: threading.Event | None = None
        self._again = self._is_late = False
        self._begun_at = clock.now()
        self._now = clock.now

    def fetch(self, approvals: Collection[str] = ()) -> SourceStatus:
        """See `Source.fetch`. While a look is under way another one is only noted: it follows, because what was asked for
        may have come after the first one looked.
        """
        with self._lock:
            self._approvals.update(approvals)
            ended = threading.Event()
            is_first = self._ended is None
            if is_first:
                self._ended, self._is_late, self._begun_at = ended, False, self._now()
            self._again = not is_first
            patience_s = 0.0 if self._back_off.is_failing else self._patience_s
        if not is_first:
            return self.status()
        threading.Thread(target=self._work, args=(ended,), name=f"source {self._name}".rstrip(), daemon=True).start()
        if not ended.wait(patience_s):
            with self._lock:
                self._is_late = not ended.is_set()
        return self.status()

    def is_due(self) -> bool:
        """Whether the timer may look: not while a look is under way, nor too soon after one that failed."""
        with self._lock:
            return self._ended is None and self._back_off.is_due()

    def status(self) -> SourceStatus:
        """See `Source.status`. A look that takes long is told, with the time since when."""
        known = self._source.status()
        with self._lock:
            if self._ended is None or not self._is_late:
                return known
            told = f"A look at the remote has been under way since {self._begun_at:%H:%M:%S} UTC."
        return replace(known, message=f"{known.message} {told}".lstrip())

    def accepted(self) -> Snapshot | None:
        """See `Source.accepted`."""
        return self._source.accepted()

    def confirm(self, commit: str) -> None:
        """See `Source.confirm`."""
        self._source.confirm(commit)

    def refuse(self, commit: str, reason: str) -> bool:
        """See `Source.refuse`."""
        return self._source.refuse(commit, reason)

    def read_blob(self, blob: str) -> bytes:
        """See `Source.read_blob`."""
        return self._source.read_blob(blob)

    def revision(self, commit: str) -> Revision | None:
        """See `Source.revision`."""
        return self._source.revision(commit)

    def _work(self, ended: threading.Event) -> None:
        is_late = False
        try:
            while self._look():
                pass
        finally:
            with self._lock:
                self._ended, is_late = None, self._is_late
                ended.set()
        if is_late:
            self._on_late()

    def _look(self) -> bool:
        """Look once; whether to look again at once."""
        with self._lock:
            approvals, self._approvals, self._again = frozenset(self._approvals), set(), False
        failed = self._source.fetch(approvals).state is SourceState.UNREACHABLE
        with self._lock:
            self._back_off.note(failed=failed)
            return self._again and not failed
