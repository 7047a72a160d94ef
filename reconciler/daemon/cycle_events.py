"""What a cycle came to, as events: each thing once, when it begins or changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reconciler.daemon.cycle import CycleReport
from reconciler.journal.novelty import Noteworthy, Seen
from reconciler.model.event import Event, EventType
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Result
from reconciler.model.plan import Action, Cause
from reconciler.model.problem import Severity
from reconciler.model.record import AppliedChange, AuditEntry
from reconciler.model.revision import SourceState, SourceStatus
from reconciler.model.status import ObjectStatus

_DONE = {
    Action.CREATE: "Created",
    Action.UPDATE: "Updated",
    Action.DELETE: "Deleted",
    Action.RESTART: "Restarted",
}
_BY_CAUSE = {Cause.DRIFT: "DriftCorrected", Cause.EXPIRY: "Expired"}
_NOT_DONE = {
    Result.PROGRESSING: "Progressing",
    Result.CONFLICT: "Postponed",
    Result.RETRY: "Retrying",
    Result.REFUSED: "Refused",
    Result.FAILED: "Failed",
    Result.UNKNOWN: "Unknown",
}
_WARNINGS = frozenset({"Retrying", "Refused", "Failed", "Unknown", "Held"})
_POWER = {"Running": "Started", "Stopped": "Stopped", "Paused": "Paused", "CrashLoopBackOff": "CrashLoopBackOff"}
_NUMBER = re.compile(r"\d+(\.\d+)?")
_INVALID = "not valid: "
_FIELDS = 5


class CycleEvents:
    """Remembers what it told."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._sources: dict[str, SourceState] = {}
        self._blocked: dict[ObjectKey, str] = {}
        self._power: dict[ObjectKey, str] = {}
        self._messages: frozenset[str] = frozenset()

    def of(self, report: CycleReport, statuses: Iterable[ObjectStatus]) -> tuple[Event, ...]:
        """What is new since the cycle before; ``statuses`` are those after this one."""
        news = self._seen.news(report.record)
        self._seen = self._seen.after(report.record)
        told, self._messages = self._messages, frozenset(report.record.messages)
        return (
            *self._of_sources(report),
            *_of_news(report, news),
            *self._of_power(report, statuses),
            *self._of_blocked(report),
            *(
                Event(at=report.record.ended_at, type=EventType.WARNING, reason="Message", message=text)
                for text in sorted(self._messages - told)
            ),
        )

    def _of_sources(self, report: CycleReport) -> Iterator[Event]:
        for name, status in sorted(report.sources.items()):
            if self._sources.get(name) is not status.state:
                self._sources[name] = status.state
                yield _of_source(report, name, status)

    def _of_power(self, report: CycleReport, statuses: Iterable[ObjectStatus]) -> Iterator[Event]:
        """Guests that run or do not, other than before; not what lies between."""
        now = {s.key: s for s in statuses if s.key.kind == "VirtualMachine" and s.printable_status in _POWER}
        for key, status in sorted(now.items()):
            word, before = status.printable_status, self._power.get(key)
            if before is not None and before != word:
                why = status.facts.get("stopped_because", "")
                message = f"{before} → {word}" + (f": {why}" if why and word != "Running" else "")
                kind = EventType.WARNING if word == "CrashLoopBackOff" else EventType.NORMAL
                yield Event(
                    at=report.record.ended_at, type=kind, reason=_POWER[word], message=message, object=key,
                    source=status.source,
                )  # fmt: skip
            self._power[key] = word

    def _of_blocked(self, report: CycleReport) -> Iterator[Event]:
        """What waits or cannot proceed; progress in per cent is no news."""
        entries = {entry.key: entry for entry in (report.plan.blocked if report.plan else ())}
        for key, entry in sorted(entries.items()):
            said = _NUMBER.sub("#", entry.by)
            if self._blocked.get(key) == said or entry.by.startswith(_INVALID):
                continue
            self._blocked[key] = said
            kind, reason = (EventType.NORMAL, "Waiting") if entry.waiting else (EventType.WARNING, "Blocked")
            yield Event(at=report.record.ended_at, type=kind, reason=reason, message=entry.by, object=key)
        self._blocked = {key: said for key, said in self._blocked.items() if key in entries}


def _of_source(report: CycleReport, name: str, status: SourceStatus) -> Event:
    is_ready = status.state is SourceState.READY
    revision = report.record.revisions.get(name)
    at = f"at {revision.commit[:12]}: {revision.subject}" if revision is not None else "read"
    word = "".join(part.capitalize() for part in str(status.state).split("-"))
    return Event(
        at=status.checked_at or report.record.ended_at,
        type=EventType.NORMAL if is_ready else EventType.WARNING,
        reason=f"Source{word}",
        message=": ".join(filter(None, (name, at if is_ready else status.message))),
        source=name,
    )


def _of_news(report: CycleReport, news: Noteworthy) -> Iterator[Event]:
    at = report.record.ended_at
    for action in news.operator:
        told = ", ".join(f"{name}={value}" for name, value in sorted(action.arguments.items()))
        message = f"{action.by} asked for {action.verb}" + (f" ({told})" if told else "")
        yield Event(at=action.at, type=EventType.NORMAL, reason="Asked", message=message, object=action.key)
    for found in news.source:
        kind = EventType.NORMAL if found.result == "accepted" else EventType.WARNING
        yield Event(
            at=at, type=kind, reason=f"{found.what.capitalize()}{found.result.capitalize()}", message=found.message
        )
    for problem in news.problems:
        kind = EventType.WARNING if problem.severity is Severity.ERROR else EventType.NORMAL
        message = f"{problem.place}: {problem.message} ({problem.code})"
        yield Event(at=at, type=kind, reason="Problem", message=message, object=problem.object)
    for done in news.applied:
        yield _of_change(done)
    for hold in news.held:
        how = f"; `gitvirt approve {hold.hold_id}` releases it" if hold.approvable else ""
        for change in hold.changes:
            yield Event(
                at=at, type=EventType.WARNING, reason="Held", message=f"{change.action}: {hold.reason}{how}",
                object=change.key, source=change.source,
            )  # fmt: skip


def _of_change(done: AppliedChange) -> Event:
    change, outcome = done.change, done.outcome
    reason = _reason(change.action, change.cause, outcome.result)
    fields = [difference.path for difference in change.differences]
    came_to = outcome.reason if outcome.reason not in change.reason else ""
    shown = ", ".join(fields[:_FIELDS]) + (f" and {len(fields) - _FIELDS} more" if len(fields) > _FIELDS else "")
    return Event(
        at=done.ended_at,
        type=EventType.WARNING if reason in _WARNINGS else EventType.NORMAL,
        reason=reason,
        message="; ".join(filter(None, (change.reason, came_to, shown))),
        object=change.key,
        source=change.source,
    )


def _reason(action: Action, cause: Cause, result: Result) -> str:
    if result in (Result.APPLIED, Result.UNCHANGED):
        return _BY_CAUSE.get(cause, _DONE[action])
    return _NOT_DONE[result]


def event_of_entry(entry: AuditEntry) -> Event:
    """An entry of the journal as the event that it was."""
    if isinstance(entry.action, Action) and entry.result in tuple(Result):
        reason = _reason(entry.action, entry.cause, Result(entry.result))
    elif entry.result in ("held", "asked"):
        reason = entry.result.capitalize()
    else:
        reason = str(entry.action).capitalize()
    is_warning = reason in _WARNINGS or entry.result in ("error", "refused")
    asked = f"{entry.author} asked for {entry.action}" if reason == "Asked" else ""
    return Event(
        at=entry.at,
        type=EventType.WARNING if is_warning else EventType.NORMAL,
        reason=reason,
        message="; ".join(filter(None, (asked, entry.reason))),
        object=entry.key,
        source=entry.source,
    )
