"""Which part of a cycle is worth a commit: what was done, and what is wrong or waits in another way than before. Pure.

A guest that takes a minute to shut down or an import that fails the same way every half minute is one entry, not one
for each cycle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Result
from reconciler.model.plain_text import one_line
from reconciler.model.plan import Hold
from reconciler.model.problem import Problem
from reconciler.model.record import AppliedChange, CycleRecord, OperatorAction
from reconciler.model.revision import SourceEvent

ProblemIdentity = tuple[str, str, str, str, str]
"""Code, object, file, field path, message: what stays when lines above it move."""
EventIdentity = tuple[str, str, str]
"""What was judged, how, and of which head."""
_NUMBER = re.compile(r"\d+(\.\d+)?")
_SETTLED = (Result.APPLIED, Result.UNCHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noteworthy:
    """What a commit tells."""

    applied: tuple[AppliedChange, ...] = ()
    held: tuple[Hold, ...] = ()
    problems: tuple[Problem, ...] = ()
    operator: tuple[OperatorAction, ...] = ()
    source: tuple[SourceEvent, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.applied or self.held or self.problems or self.operator or self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the journal has told already. ``outcomes`` maps an object to its last unsettled outcome."""

    holds: frozenset[str] = frozenset()
    problems: frozenset[ProblemIdentity] = frozenset()
    outcomes: tuple[tuple[ObjectKey, str], ...] = ()
    source: frozenset[EventIdentity] = frozenset()

    def news(self, record: CycleRecord) -> Noteworthy:
        """The part of a cycle that was not told before."""
        outcomes = dict(self.outcomes)
        return Noteworthy(
            applied=tuple(
                done
                for done in record.applied
                if done.outcome.result != Result.UNCHANGED and outcomes.get(done.change.key) != _outcome(done)
            ),
            held=tuple(hold for hold in record.held if hold.hold_id not in self.holds),
            problems=tuple(problem for problem in record.problems if identity(problem) not in self.problems),
            operator=record.operator,
            source=tuple(event for event in record.source_events if event_identity(event) not in self.source),
        )

    def after(self, record: CycleRecord) -> Seen:
        """What is known once ``record`` has been written, or held nothing new."""
        outcomes = dict(self.outcomes)
        for done in record.applied:
            if done.outcome.result in _SETTLED:
                outcomes.pop(done.change.key, None)
            else:
                outcomes[done.change.key] = _outcome(done)
        return Seen(
            holds=frozenset(hold.hold_id for hold in record.held),
            problems=frozenset(identity(problem) for problem in record.problems),
            outcomes=tuple(outcomes.items()),
            source=frozenset(event_identity(event) for event in record.source_events),
        )


def identity(problem: Problem) -> ProblemIdentity:
    """What makes it the same problem in the next cycle."""
    key = str(problem.object) if problem.object else ""
    return (
        one_line(problem.code),
        one_line(key),
        one_line(problem.place.file),
        one_line(problem.path),
        one_line(problem.message),
    )


def event_identity(event: SourceEvent) -> EventIdentity:
    """What makes it the same event in the next cycle, and after a restart."""
    return (one_line(event.what), one_line(event.result), one_line(event.head))


def _outcome(done: AppliedChange) -> str:
    """An unsettled outcome without the numbers that count on while nothing else happens; empty for a settled one."""
    outcome = done.outcome
    if outcome.result in _SETTLED:
        return ""
    told = (str(done.change.action), str(outcome.result), outcome.reason, *outcome.steps)
    return _NUMBER.sub("#", "\n".join(told))
