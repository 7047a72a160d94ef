"""What one cycle saw and did: the input of the journal and of the status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Cause, Change, Hold, Impact
from reconciler.model.problem import Problem
from reconciler.model.revision import Revision, SourceEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedChange:
    """A change and how it ended. ``detected_at`` is when the event came in that led to its first attempt."""

    change: Change
    outcome: Outcome
    started_at: datetime
    ended_at: datetime
    detected_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """Something a person asked the daemon for. ``by`` is the peer's user name; ``arguments`` are free of secrets."""

    verb: str
    by: str
    at: datetime
    key: ObjectKey | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRecord:
    """One cycle. ``source_events`` is what the looks at the repositories have to put on record. ``live`` maps each touched
    object to its live state as plain data, redacted, None for one that is gone; those in ``found`` nothing was done to: the
    journal did not hold them. ``detected_at`` is when the first event that
    woke the cycle came in (drift is measured from there). ``revisions`` are the accepted ones by the names of their sources;
    a single source has the empty name.
    """

    started_at: datetime
    ended_at: datetime
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    applied: tuple[AppliedChange, ...] = ()
    held: tuple[Hold, ...] = ()
    problems: tuple[Problem, ...] = ()
    operator: tuple[OperatorAction, ...] = ()
    live: Mapping[ObjectKey, Mapping[str, Any] | None] = field(default_factory=dict)
    found: tuple[ObjectKey, ...] = ()
    plan_id: str = ""
    detected_at: datetime | None = None
    messages: tuple[str, ...] = ()
    source_events: tuple[SourceEvent, ...] = ()

    def detected(self, done: AppliedChange) -> datetime | None:
        """When drift was heard of whose correction has ended; None for any other change, and where nobody heard."""
        ended = done.change.cause is Cause.DRIFT and done.outcome.result is Result.APPLIED
        return (done.detected_at or self.detected_at) if ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of ``gitvirt audit``: a change (or an operator's action) as the journal tells it. ``revision`` is a commit of
    the source named ``source`` (empty for the only one).
    """

    commit: str
    at: datetime
    cause: Cause
    action: Action | str
    key: ObjectKey | None
    impact: Impact | None
    result: str
    revision: str
    author: str
    reason: str
    differences: tuple[str, ...] = ()
    source: str = ""
