"""Says in the log what a cycle came to: what changed, what failed, what waits; and each of it once, not every cycle."""

from __future__ import annotations

from typing import Any

import structlog

from reconciler.daemon import events
from reconciler.daemon.cycle import CycleReport
from reconciler.model.live import HostFacts
from reconciler.model.outcome import Result
from reconciler.model.plan import Cause, Plan
from reconciler.model.problem import Problem
from reconciler.model.record import AppliedChange
from reconciler.model.revision import SourceState, SourceStatus

_SHORT_HASH = 12
_MAX_DIFFERENCES = 10

_log = structlog.get_logger("gitvirt.cycle")

_EVENT_OF = {
    Result.APPLIED: events.CHANGE_APPLIED,
    Result.PROGRESSING: events.CHANGE_PROGRESSED,
    Result.CONFLICT: events.CHANGE_POSTPONED,
    Result.RETRY: events.CHANGE_POSTPONED,
}


class CycleLog:
    """A listener of the loop. Remembers what it said, so that a fault that stays is said when it begins and ends."""

    def __init__(self) -> None:
        self._plan_id = ""
        self._sources: dict[str, tuple[str, str]] = {}
        self._problems: frozenset[Problem] = frozenset()
        self._blocked: frozenset[tuple[str, str]] = frozenset()
        self._messages: tuple[str, ...] = ()
        self._host = ("", "")

    def __call__(self, report: CycleReport) -> None:
        """Log one cycle."""
        for name, status in report.sources.items():
            self._say_source(name, status)
        self._say_problems(frozenset(report.problems))
        for applied in report.record.applied:
            _say_change(applied, report)
        for action in report.record.operator:
            key = {"object": str(action.key)} if action.key else {}
            _log.info(events.OPERATOR_ASKED, verb=action.verb, by=action.by, **key, **dict(action.arguments))
        if report.plan is not None:
            self._say_plan(report.plan)
        for said in report.journal_news:
            _log.error(events.JOURNAL_SAID, message=said)
        if report.record.messages != self._messages:
            self._messages = report.record.messages
            for message in self._messages:
                _log.warning(events.MESSAGE_SAID, message=message)
        took_s = (report.record.ended_at - report.record.started_at).total_seconds()
        say = _log.info if report.record.applied else _log.debug
        say(
            events.CYCLE_FINISHED,
            took_s=round(took_s, 3),
            revision=_revision(report),
            applied=len(report.record.applied),
            remaining=len(report.plan.changes) if report.plan else 0,
        )

    def tell_host(self, host: HostFacts) -> None:
        """Say once what the guests run on, and again when that changes."""
        facts = (host.hypervisor, host.accelerator)
        if facts == self._host:
            return
        self._host = facts
        if host.accelerator == "qemu":
            _log.warning(
                events.HOST_OBSERVED,
                hypervisor=host.hypervisor,
                accelerator="QEMU emulation",
                reason="no working KVM here; guests are slower",
            )
        else:
            named = {"kvm": "KVM"}.get(host.accelerator, host.accelerator)
            _log.info(events.HOST_OBSERVED, hypervisor=host.hypervisor, accelerator=named)

    def _say_source(self, name: str, source: SourceStatus) -> None:
        now = (str(source.state), source.message)
        if now == self._sources.get(name, ("", "")):
            return
        self._sources[name] = now
        named = {"source": name} if name else {}
        if source.state is SourceState.READY:
            _log.info(events.SOURCE_READY, head=source.head[:_SHORT_HASH], **named)
        elif source.state is SourceState.UNREACHABLE:
            _log.warning(events.SOURCE_UNREACHABLE, reason=source.message, **named)
        else:
            _log.warning(events.SOURCE_REFUSED, state=str(source.state), reason=source.message, **named)

    def _say_problems(self, problems: frozenset[Problem]) -> None:
        for problem in sorted(problems - self._problems, key=lambda p: (p.place, p.code, p.path)):
            say = _log.error if problem.severity == "error" else _log.warning
            facts: dict[str, Any] = {"code": problem.code, "place": str(problem.place), "message": problem.message}
            if problem.object is not None:
                facts["object"] = str(problem.object)
            say(events.PROBLEM_FOUND, **facts)
        self._problems = problems

    def _say_plan(self, plan: Plan) -> None:
        blocked = frozenset((str(entry.key), entry.by) for entry in plan.blocked)
        for key, by in sorted(blocked - self._blocked):
            _log.info(events.OBJECT_BLOCKED, object=key, by=by)
        self._blocked = blocked
        if plan.plan_id == self._plan_id:
            return
        self._plan_id = plan.plan_id
        for hold in plan.held:
            objects = [str(change.key) for change in hold.changes][:_MAX_DIFFERENCES]
            _log.warning(events.CHANGE_HELD, hold=hold.hold_id, rule=hold.rule, reason=hold.reason, objects=objects)
        _log.debug(
            events.PLAN_COMPUTED,
            plan=plan.plan_id,
            changes=len(plan.changes),
            held=len(plan.held),
            blocked=len(plan.blocked),
            restart_required=len(plan.restart_required),
        )


def _say_change(applied: AppliedChange, report: CycleReport) -> None:
    change, outcome = applied.change, applied.outcome
    facts: dict[str, Any] = {
        "object": str(change.key),
        "action": str(change.action),
        "cause": str(change.cause),
        "impact": str(change.impact),
        "why": change.reason,
    }
    if change.source:
        facts["source"] = change.source
    if outcome.steps:
        facts["steps"] = list(outcome.steps)
    if change.differences:
        facts["fields"] = [difference.path for difference in change.differences][:_MAX_DIFFERENCES]
    if outcome.result in _EVENT_OF:
        if outcome.reason:
            facts["reason"] = outcome.reason
        _log.info(_EVENT_OF[outcome.result], **facts)
    elif outcome.is_fault:
        _log.error(events.CHANGE_FAILED, **facts, result=str(outcome.result), reason=outcome.reason)
    if outcome.result is Result.APPLIED and change.cause is Cause.DRIFT:
        detected = report.record.detected(applied)
        took = {"after_s": round((applied.ended_at - detected).total_seconds(), 3)} if detected else {}
        _log.info(events.DRIFT_CORRECTED, object=str(change.key), **took)


def _revision(report: CycleReport) -> str:
    """The commit, or ``NAME@COMMIT`` of each of several sources."""
    commits = ((name, revision.commit[:_SHORT_HASH]) for name, revision in sorted(report.record.revisions.items()))
    return " ".join(f"{name}@{commit}" if name else commit for name, commit in commits)
