"""Prometheus metrics of one daemon, in a registry of their own. No label carries a name that a repository chose; ``source``
is a name of the settings, empty for a single one.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from reconciler.model.outcome import Result
from reconciler.model.plan import Cause, Plan
from reconciler.model.problem import Problem, Severity
from reconciler.model.record import CycleRecord
from reconciler.model.revision import SourceState, SourceStatus
from reconciler.model.status import ObjectState, ObjectStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# A series a counter that says when it was made, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

_CYCLE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_DRIFT_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """What a daemon counts. Fed after each cycle, from the cycle's thread; read from any."""

    def __init__(self, *, now: Callable[[], datetime], leads: Callable[[], bool] = lambda: True) -> None:
        """``now`` is the clock that ages are measured with; ``leads`` says whether this process may act."""
        self._now = now
        self.registry = CollectorRegistry()
        r = self.registry
        self._cycles = Counter("gitvirt_cycles", "Cycles that ended", ["result"], registry=r)
        self._cycle_s = Histogram(
            "gitvirt_cycle_duration_seconds", "How long a cycle took", buckets=_CYCLE_BUCKETS_S, registry=r
        )
        self._changes = Counter(
            "gitvirt_changes", "Changes that were attempted", ["kind", "action", "result"], registry=r
        )
        self._drift = Counter("gitvirt_drift_corrected", "Drift that was corrected", ["kind"], registry=r)
        self._drift_s = Histogram(
            "gitvirt_drift_correction_seconds",
            "From the first event to the corrected object",
            buckets=_DRIFT_BUCKETS_S,
            registry=r,
        )
        self._problems = Gauge("gitvirt_problems", "Problems of the accepted revision", ["severity"], registry=r)
        self._planned = Gauge(
            "gitvirt_plan_objects",
            "What the last plan left: changes to do, held for a person, blocked, staged for a restart",
            ["what"],
            registry=r,
        )
        self._objects = Gauge("gitvirt_objects", "Objects, by kind and state", ["kind", "state"], registry=r)
        self._vms = Gauge("gitvirt_vms", "Virtual machines, by printable status", ["status"], registry=r)
        self._source = Gauge(
            "gitvirt_source_state", "1 for the state that a source is in", ["source", "state"], registry=r
        )
        self._fetched_at = Gauge(
            "gitvirt_source_checked_timestamp_seconds", "Last look at the remote", ["source"], registry=r
        )
        self._fetch_age = Gauge(
            "gitvirt_source_checked_age_seconds", "Time since the last look at the remote", ["source"], registry=r
        )
        self._ended_at = Gauge(
            "gitvirt_cycle_last_success_timestamp_seconds", "When the last cycle ended that could be run", registry=r
        )
        self._suspended = Gauge("gitvirt_suspended", "1 while reconciliation of everything is suspended", registry=r)
        leader = Gauge("gitvirt_leader", "1 for the replica that acts, 0 for those that stand by", registry=r)
        leader.set_function(lambda: float(leads()))
        self._journal = Gauge("gitvirt_journal_failing", "1 while the journal cannot be written", registry=r)
        self._checked_at: dict[str, datetime | None] = {}
        for result in ("ok", "failed"):
            self._cycles.labels(result)

    def cycle_ended(
        self,
        *,
        record: CycleRecord,
        plan: Plan | None,
        sources: Mapping[str, SourceStatus],
        problems: Sequence[Problem],
        objects: Iterable[ObjectStatus],
        suspended: bool = False,
        journal_failing: bool = False,
    ) -> None:
        """Count one cycle."""
        self._ended_at.set(record.ended_at.timestamp())
        self._suspended.set(float(suspended))
        self._journal.set(float(journal_failing))
        self._cycles.labels("ok").inc()
        self._cycle_s.observe(max(0.0, (record.ended_at - record.started_at).total_seconds()))
        for applied in record.applied:
            change, result = applied.change, applied.outcome.result
            self._changes.labels(change.key.kind, str(change.action), str(result)).inc()
            if change.cause is Cause.DRIFT and result is Result.APPLIED:
                self._drift.labels(change.key.kind).inc()
                detected_at = record.detected(applied)
                if detected_at is not None:
                    self._drift_s.observe(max(0.0, (applied.ended_at - detected_at).total_seconds()))
        for severity in Severity:
            self._problems.labels(str(severity)).set(sum(1 for problem in problems if problem.severity is severity))
        if plan is not None:
            self._planned.labels("changes").set(len(plan.changes))
            self._planned.labels("held").set(sum(len(hold.changes) for hold in plan.held))
            self._planned.labels("blocked").set(len(plan.blocked))
            self._planned.labels("restart_required").set(len(plan.restart_required))
        for name, status in sources.items():
            self._tell_source(name, status)
        self._count_objects(list(objects))

    def cycle_failed(self) -> None:
        """Count a cycle that could not be."""
        self._cycles.labels("failed").inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _tell_source(self, name: str, status: SourceStatus) -> None:
        for state in SourceState:
            self._source.labels(name, str(state)).set(float(status.state is state))
        if name not in self._checked_at:
            self._fetch_age.labels(name).set_function(lambda: self._age_s(name))
        self._checked_at[name] = status.checked_at
        if status.checked_at is not None:
            self._fetched_at.labels(name).set(status.checked_at.timestamp())

    def _count_objects(self, objects: Sequence[ObjectStatus]) -> None:
        states = Tally((status.key.kind, str(status.state)) for status in objects)
        kinds = {status.key.kind for status in objects} | {"VirtualMachine"}
        self._objects.clear()
        for kind in kinds:
            for state in ObjectState:
                if states[kind, str(state)] or state is ObjectState.READY:
                    self._objects.labels(kind, str(state)).set(states[kind, str(state)])
        vms = Tally(status.printable_status for status in objects if status.key.kind == "VirtualMachine")
        self._vms.clear()
        for printable, count in vms.items():
            self._vms.labels(printable).set(count)

    def _age_s(self, source: str) -> float:
        at = self._checked_at[source]
        return float("nan") if at is None else max(0.0, (self._now() - at).total_seconds())
