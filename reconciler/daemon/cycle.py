"""One cycle: fetch, load, observe, plan, apply, look again, journal. Readable top to bottom.

A cycle decides from the revision, live state, the settings and the clock alone; what it keeps between runs are caches
and the spacing of retries, and losing them costs time, never correctness (law 1).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.daemon.cycle_execution import execute
from reconciler.daemon.cycle_look import Look, Lookout
from reconciler.daemon.cycle_retries import Retries
from reconciler.daemon.cycle_secrets import NO_SECRETS
from reconciler.daemon.cycle_sources import CycleSources
from reconciler.daemon.hold_book import HoldBook
from reconciler.daemon.loaded_files import KeptFiles
from reconciler.daemon.used_approvals import UsedApprovals
from reconciler.daemon.wake import Wake
from reconciler.manifests.limits import DEFAULT_REVISION_LIMITS, RevisionLimits
from reconciler.model.errors import EngineError, JournalError, SourceError, StalePlanError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation, Outdated
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Plan
from reconciler.model.policy import Mode, Policy
from reconciler.model.problem import Problem
from reconciler.model.record import AppliedChange, CycleRecord
from reconciler.model.resolved import DesiredState
from reconciler.model.revision import Revision, SourceStatus
from reconciler.model.status import ObjectStatus
from reconciler.ports import Clock, Engine, Journal, SecretStore, Source, Workers

ENGINE_RETRY_S = 5.0
_QUIET_RESULTS = (Result.UNCHANGED, Result.CONFLICT)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """What one cycle came to. ``plan`` is what is still to do after it; ``retry_after_s`` when to run again without any
    event (None: only an event or a timer can help). ``idle`` tells a cycle that found nothing to look at. ``sources`` are
    by name; a single one has the empty name. ``journal_news`` is what happened to the journal itself; ``outdated`` says why the cycle
    stood on an older look.
    """

    record: CycleRecord
    plan: Plan | None
    sources: Mapping[str, SourceStatus]
    problems: tuple[Problem, ...]
    retry_after_s: float | None
    finished_at: datetime
    journal_commit: str = ""
    journal_news: tuple[str, ...] = ()
    idle: bool = False
    outdated: Outdated | None = None


class Cycle:
    """The reconciler. One instance an engine; `run` is called by one thread at a time."""

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        engine: Engine,
        journal: Journal,
        clock: Clock,
        workers: Workers,
        policy: Policy,
        digest: Callable[[bytes], str],
        secrets: SecretStore = NO_SECRETS,
        file_cache: KeptFiles | None = None,
        limits: RevisionLimits = DEFAULT_REVISION_LIMITS,
        used_approvals: UsedApprovals | None = None,
    ) -> None:
        """``sources`` are those of ``policy.sources``, by name."""
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._workers = workers
        self._policy = policy
        self._lock = threading.RLock()
        self._told: tuple[ObjectStatus, ...] = ()
        self._sources = CycleSources(sources, engine, workers, policy, secrets, file_cache, limits, used_approvals)
        self._retries = Retries()
        self._lookout = Lookout(
            sources=self._sources, engine=engine, clock=clock, policy=policy, digest=digest, retries=self._retries
        )
        self._in_progress: dict[ObjectKey, AppliedChange] = {}
        self._heard: dict[ObjectKey, datetime] = {}
        self._told_faults: dict[ObjectKey, str] = {}
        self.holds = HoldBook()
        self.journal_fault = ""
        self.engine_fault = ""
        self.report: CycleReport | None = None

    def run(self, wake: Wake) -> CycleReport:
        """Do what ``wake`` asks for, and everything that follows from it.

        Raises:
            StalePlanError: the plan that was asked for is not what would be done now; nothing was.
        """
        with self._lock:
            started_at = self._clock.now()
            messages: list[str] = []
            statuses = self._sources.fetch(wake)
            has_new_revision = self._load(messages)
            scope = self._lookout.scope(wake)
            if self._sources.declared is None or not (scope is None or scope or has_new_revision or wake.operator):
                return self._finish(self._idle_record(started_at, wake, messages), None, statuses, None, idle=True)
            self._note_ages(scope, messages)
            try:
                before = self._lookout.at(scope, wake)
            except EngineError as error:
                self.engine_fault = str(error)
                record = self._idle_record(started_at, wake, [*messages, str(error)])
                return self._finish(record, None, statuses, ENGINE_RETRY_S)
            self.engine_fault = ""
            self._refuse_stale(before.plan, wake.plan_id)
            self.holds.note(before.plan)
            attempted = self._apply(before.plan, wake, scope)
            after = self._look_again(before, attempted, messages)
            self._note_disks(messages)
            finished = self._settle(after, attempted)
            record = self._record(started_at, wake, (*attempted, *finished), after, messages)
            return self._finish(record, after.plan, statuses, self._next_s(after))

    def plan_now(self) -> Plan:
        """What would be done now: observes everything, fetches nothing, changes nothing.

        Raises:
            SourceError: no revision was ever accepted.
            EngineError: the host cannot be observed.
        """
        with self._lock:
            messages: list[str] = []
            self._sources.look_for_secrets()
            self._load(messages)
            if self._sources.declared is None:
                said = [*messages, *(status.message for status in self._sources.statuses().values())]
                raise SourceError(next(filter(None, said), "no revision accepted yet"))
            return self._lookout.at(None, Wake(everything=True)).plan

    def status(self, *, patience_s: float = -1) -> tuple[ObjectStatus, ...]:
        """What is true of every object, as of the last look. With ``patience_s`` it does not wait longer than that for a cycle under
        way: then what was told last is told again.
        """
        if self._lock.acquire(timeout=patience_s):
            try:
                self._told = self._lookout.statuses(self._clock.now())
            finally:
                self._lock.release()
        return self._told

    @property
    def suspended(self) -> str:
        """Why nothing may be done at the moment; empty when it may."""
        return self._lookout.suspended

    @suspended.setter
    def suspended(self, reason: str) -> None:
        self._lookout.suspended = reason

    @property
    def journal_standing(self) -> tuple[str, ...]:
        """What a person has to know of the journal now."""
        return (*filter(None, (self.journal_fault,)), *self._journal.standing())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem of the accepted revisions."""
        return self._sources.problems

    @property
    def revisions(self) -> Mapping[str, Revision]:
        """The accepted revisions that were loaded, by the names of their sources."""
        return self._sources.revisions

    @property
    def source_statuses(self) -> Mapping[str, SourceStatus]:
        """How the last look at each remote went, by the names of the sources."""
        return self._sources.statuses()

    @property
    def desired(self) -> DesiredState | None:
        """What was wanted at the last look at the host."""
        return self._lookout.last.desired if self._lookout.last else None

    @property
    def observation(self) -> Observation | None:
        """The last look at the host."""
        return self._lookout.last.observation if self._lookout.last else None

    def _load(self, messages: list[str]) -> bool:
        """Make the accepted revisions the declared state; whether any is another than before."""
        has_new = self._sources.load(messages.append)
        if has_new:
            self._retries.forget()
        elif self._sources.changed:
            self._retries.forget(self._lookout.affected(self._sources.changed))
        return has_new

    def _apply(self, plan: Plan, wake: Wake, scope: frozenset[ObjectKey] | None) -> tuple[AppliedChange, ...]:
        """Carry out what is due, and remember how it went. ``scope`` are the objects that were looked at for a reason."""
        now_s = self._clock.monotonic()
        self._retries.forget(None if wake.is_asked_for_all else wake.asked_for)
        due = self._retries.due(plan.changes, now_s, scope)
        postponed = {change.key for change in plan.changes} - {change.key for change in due}
        attempted, waiting = execute(
            due,
            postponed=postponed,
            begin=self._lookout.begin,
            engine=self._engine,
            workers=self._workers,
            clock=self._clock,
        )
        now_s = self._clock.monotonic()
        for applied in attempted:
            self._retries.note(applied.change.key, applied.outcome, now_s)
        for key, outcome in waiting.items():
            self._retries.note(key, outcome, now_s)
        return tuple(self._with_event(applied, wake) for applied in attempted)

    def _with_event(self, applied: AppliedChange, wake: Wake) -> AppliedChange:
        """The change with the time of the event that it answers: of work that goes on, the one it began with."""
        key = applied.change.key
        heard_at = self._heard.pop(key, None) or wake.detected_at
        if applied.outcome.result not in (Result.APPLIED, Result.UNCHANGED):
            self._heard[key] = heard_at or applied.started_at
        return replace(applied, detected_at=heard_at)

    @staticmethod
    def _refuse_stale(plan: Plan, asked: str) -> None:
        if asked in ("", plan.plan_id):
            return
        at = ", ".join(f"{name}@{commit[:12]}" if name else commit[:12] for name, commit in plan.revisions.items())
        raise StalePlanError(
            f"plan {asked} is stale: the repository or what is live has changed since it was made. Now it is plan {plan.plan_id} "
            f"({len(plan.changes)} changes, {len(plan.held)} held) at {at}. Nothing was done; read `gitvirt plan` again."
        )

    def _note_ages(self, scope: frozenset[ObjectKey] | None, messages: list[str]) -> None:
        """Where trash expires, what was seen of its age is written down with each full look."""
        policy = self._policy
        if scope is not None or policy.trash_expire_after_s is None or policy.mode is Mode.REPORT:
            return
        outcome = self._engine.note_trash_ages()
        if outcome.is_fault:
            messages.append(f"the age of what is in the trash could not be noted: {outcome.reason}")

    def _note_disks(self, messages: list[str]) -> None:
        """What is there by now is remembered, so that what goes is known to be lost."""
        if self._policy.mode is Mode.REPORT:
            return
        outcome = self._engine.note_disks()
        if outcome.is_fault:
            messages.append(
                f"which disks are there could not be noted, so that one which is deleted would be made anew: {outcome.reason}"
            )

    def _look_again(self, before: Look, attempted: Collection[AppliedChange], messages: list[str]) -> Look:
        """Compare what was reached with what was planned; never assume."""
        if not attempted:
            return before
        try:
            return self._lookout.again(frozenset(applied.change.key for applied in attempted))
        except EngineError as error:
            self.engine_fault = str(error)
            messages.append(f"what was done could not be verified: {error}")
            self._lookout.is_blind = True
            return before

    def _settle(self, look: Look, attempted: Collection[AppliedChange]) -> list[AppliedChange]:
        """Work that was in progress and is done now, as changes that ended: the journal tells the end as well."""
        open_keys = {change.key for change in look.plan.changes} | {entry.key for entry in look.plan.blocked}
        open_keys |= {change.key for hold in look.plan.held for change in hold.changes}
        self._told_faults = {key: said for key, said in self._told_faults.items() if key in open_keys}
        self._heard = {key: at for key, at in self._heard.items() if key in open_keys}
        finished = []
        self._retries.settle(open_keys)
        just_ended = {applied.change.key for applied in attempted if applied.outcome.result is Result.APPLIED}
        for key in [key for key in self._in_progress if key not in open_keys]:
            begun = self._in_progress.pop(key)
            if key in just_ended:
                continue
            outcome = Outcome(result=Result.APPLIED, reason="finished", steps=())
            finished.append(replace(begun, outcome=outcome, ended_at=self._clock.now()))
        return finished

    def _record(
        self,
        started_at: datetime,
        wake: Wake,
        attempted: Collection[AppliedChange],
        look: Look,
        messages: Collection[str],
    ) -> CycleRecord:
        """What the journal is told: everything but repetition."""
        told = tuple(applied for applied in attempted if self._is_news(applied, wake))
        touched = {applied.change.key for applied in told} | wake.asked_for
        objects, owner = look.observation.objects, self._policy.owner
        found = self._journal.lacks(key for key, one in objects.items() if one.marks and one.marks.owner == owner)
        live = {key: objects.get(key) for key in sorted({*touched, *found})}
        return CycleRecord(
            started_at=started_at,
            ended_at=self._clock.now(),
            revisions=self._sources.revisions,
            applied=told,
            held=look.plan.held,
            problems=self.problems,
            operator=wake.operator,
            live={key: self._engine.document_of(thing) if thing else None for key, thing in live.items()},
            found=tuple(key for key in found if key not in touched),
            plan_id=look.plan.plan_id,
            detected_at=wake.detected_at,
            messages=tuple(messages),
            source_events=self._sources.events,
        )

    def _is_news(self, applied: AppliedChange, wake: Wake) -> bool:
        """Whether an outcome tells something that was not told already; who asks for something is told of each failure."""
        key, outcome = applied.change.key, applied.outcome
        if outcome.result in _QUIET_RESULTS:
            return False
        if outcome.result is Result.PROGRESSING:
            is_first = key not in self._in_progress
            self._in_progress.setdefault(key, applied)
            return is_first
        if outcome.is_fault:
            is_new = self._told_faults.get(key) != outcome.reason
            self._told_faults[key] = outcome.reason
            return is_new or wake.is_asked_for_all or key in wake.asked_for
        self._in_progress.pop(key, None)
        return True

    def _idle_record(self, started_at: datetime, wake: Wake, messages: Collection[str]) -> CycleRecord:
        """A cycle that did nothing; what waits and what is wrong is as before, and no news for the journal."""
        return CycleRecord(
            started_at=started_at,
            ended_at=self._clock.now(),
            revisions=self._sources.revisions,
            held=self._lookout.last.plan.held if self._lookout.last else (),
            problems=self.problems,
            operator=wake.operator,
            detected_at=wake.detected_at,
            messages=tuple(messages),
            source_events=self._sources.events,
        )

    def _next_s(self, look: Look) -> float | None:
        """When to run again without an event."""
        waits = [look.plan.retry_after_s, self._next_look_s()]
        if not all(self._retries.has_attempted(change.key) for change in look.plan.changes):
            waits.append(0.0)
        return min((wait for wait in waits if wait is not None), default=None)

    def _next_look_s(self) -> float | None:
        """When something that was tried, or could not be read, is due again."""
        waits = (self._retries.next_due_s(self._clock.monotonic()), self._lookout.gaps_due_s())
        return min((wait for wait in waits if wait is not None), default=None)

    def _finish(
        self,
        record: CycleRecord,
        plan: Plan | None,
        sources: Mapping[str, SourceStatus],
        retry_after_s: float | None,
        *,
        idle: bool = False,
    ) -> CycleReport:
        """Write the journal and report. A journal that cannot be written is said loudly; reconciliation goes on."""
        commit = ""
        try:
            is_worth_it = record.operator or record.source_events or self.journal_fault or not idle
            commit = self._journal.write(record) if is_worth_it else ""
            self.journal_fault = "" if is_worth_it else self.journal_fault
        except JournalError as error:
            self.journal_fault = f"journal: {error}"
            record = replace(record, messages=(*record.messages, self.journal_fault))
        if plan is not None:
            self.holds.note(plan)
        seen = self.observation
        self.report = CycleReport(
            record=record,
            plan=plan if plan is not None else (self._lookout.last.plan if self._lookout.last else None),
            sources=sources,
            problems=self.problems,
            retry_after_s=retry_after_s if not idle else self._next_look_s(),
            finished_at=self._clock.now(),
            journal_commit=commit,
            idle=idle,
            journal_news=self._journal.news(),
            outdated=Outdated(reason=self.engine_fault, since=seen.taken_at if seen else None)
            if self.engine_fault
            else None,
        )
        return self.report
