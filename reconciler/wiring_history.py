"""The part of the composition root for `gitvirt history`: the journal, and the mirrors for what commits were about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

from reconciler.daemon.clock import SystemClock
from reconciler.journal.history import history_view
from reconciler.model.errors import SourceError
from reconciler.model.record import AuditEntry
from reconciler.settings import Settings
from reconciler.source.git_source import GitSource
from reconciler.wiring_journal import open_journal


def history(
    settings: Settings, vm: str, *, since: datetime | None, limit: int, patches: bool
) -> Iterator[Mapping[str, Any]]:
    """What became of one object, newest first. ``vm`` is as `Wanted` has it.

    Raises:
        JournalError: the journal cannot be read.
    """
    journal = open_journal(settings)
    followed = {source.name: source for source in settings.sources}

    @cache
    def source_of(name: str) -> GitSource | None:
        spec = followed.get(name)
        try:
            opened = GitSource(spec, state_directory=settings.state_directory, clock=SystemClock()) if spec else None
        except SourceError:
            # What a commit was about is a comfort: history is told without it.
            return None
        return opened

    @cache
    def subject_of(name: str, commit: str) -> str:
        source = source_of(name)
        found = source.revision(commit) if source is not None and commit else None
        return found.subject if found is not None else ""

    def versions_of(entry: AuditEntry) -> tuple[str, str]:
        return journal.versions(entry.commit, entry.key) if entry.key is not None else ("", "")

    entries = journal.entries(vm=vm, since=since)
    return islice(history_view(entries, subject_of=subject_of, versions_of=versions_of if patches else None), limit)
