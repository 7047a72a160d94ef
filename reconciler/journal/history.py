"""The history of one object: from the journal's entries, what became of it and because of what. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from reconciler.journal.audit import audit_dict
from reconciler.journal.reading import JOURNAL
from reconciler.model.outcome import Result
from reconciler.model.plan import Action
from reconciler.model.record import AuditEntry

_PASSING = ("held", str(Result.PROGRESSING), str(Result.CONFLICT), str(Result.RETRY))


def is_history(entry: AuditEntry) -> bool:
    """Whether an entry tells of something that became of its object, not of what was under way or waited; or of the
    journal, where that has a hole.
    """
    if entry.result == "asked" or entry.action == JOURNAL:
        return True
    return entry.action in tuple(Action) and entry.result not in _PASSING


def history_view(
    entries: Iterable[AuditEntry],
    *,
    subject_of: Callable[[str, str], str],
    versions_of: Callable[[AuditEntry], tuple[str, str]] | None,
) -> Iterator[dict[str, Any]]:
    """Each entry as plain data, with the subject of its commit (``subject_of`` a source's name and a commit), and with the
    change of the live state (``versions_of``) as a unified diff where that is asked for.
    """
    for entry in filter(is_history, entries):
        view = {**audit_dict(entry), "subject": subject_of(entry.source, entry.revision)}
        if versions_of is not None:
            view["patch"] = patch(*versions_of(entry))
        yield view


def patch(before: str, after: str) -> str:
    """Two texts as a unified diff; empty for equal ones."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "live before", "live after", lineterm="")
    return "".join(f"{line}\n" for line in lines)
