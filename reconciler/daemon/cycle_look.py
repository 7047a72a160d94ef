"""Looking: which objects a wake-up is about, what they are now, what is wanted, and the plan between the two. What is known
from the looks before is kept; only what changed is worked out again (law 10).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconciler.daemon.clock_watch import ClockWatch
from reconciler.daemon.cycle_retries import Retries
from reconciler.daemon.cycle_scope import HOST_KINDS, LiveUsers, dependencies, merged, still_released
from reconciler.daemon.cycle_sources import CycleSources
from reconciler.daemon.cycle_status import StatusBook
from reconciler.daemon.wake import Wake
from reconciler.model.declared import Declared
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation
from reconciler.model.plan import Action, Change, Plan
from reconciler.model.policy import Policy
from reconciler.model.resolved import DesiredState
from reconciler.model.status import ObjectStatus
from reconciler.planning.missing_references import observable_references
from reconciler.planning.planner import Planner
from reconciler.planning.resolve import Resolver
from reconciler.planning.resolve_volume import CLAIM_KINDS
from reconciler.planning.safety import Approvals
from reconciler.ports import Clock, Engine

FIRST_GAP_LOOK_S = 2.0
LONGEST_GAP_LOOK_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An observation, what was wanted at the time, and the plan between them."""

    observation: Observation
    desired: DesiredState
    plan: Plan
    suspended: str


class Lookout:
    """Looks, and remembers. ``last`` is the last look, ``suspended`` why nothing may be done at the moment, else empty;
    ``is_blind`` says that what was seen last is not to be relied on.
    """

    def __init__(
        self,
        *,
        sources: CycleSources,
        engine: Engine,
        clock: Clock,
        policy: Policy,
        digest: Callable[[bytes], str],
        retries: Retries,
    ) -> None:
        self._sources = sources
        self._engine = engine
        self._clock = clock
        self._clock_watch = ClockWatch(clock)
        self._policy = policy
        self._retries = retries
        self._resolver = Resolver(policy, digest)
        self._planner = Planner(policy, engine)
        self._statuses = StatusBook(engine, policy.owner)
        self._users = LiveUsers()
        self._observation: Observation | None = None
        self._seen: dict[ObjectKey, Mapping[str, Any]] = {}
        self._released: frozenset[tuple[ObjectKey, Action]] = frozenset()
        self._let_go: dict[str, frozenset[tuple[ObjectKey, Action]]] = {}
        self._gaps_due_at: float | None = None
        self._gap_delay_s = 0.0
        self.last: Look | None = None
        self.is_blind = False
        self.suspended = ""

    def statuses(self, now: datetime) -> tuple[ObjectStatus, ...]:
        """What is true of every object, as of the last look."""
        look = self.last
        if look is None:
            return ()
        return self._statuses.read(look.desired, look.observation, look.plan, self._retries.outcomes, now)

    def again(self, touched: frozenset[ObjectKey]) -> Look:
        """Look at objects that something was done to, and at those that this may be the end of a wait for.

        Raises:
            EngineError: the host cannot be observed.
        """
        return self.at(touched | self.affected(touched) | self._users.used_by(touched), Wake())

    def begin(self, changes: Collection[Change]) -> None:
        """These changes are attempted now: approvals that let any of them go are used up."""
        if self._let_go:
            begun = {(change.key, change.action) for change in changes}
            self._sources.end_approvals([one for one, let_go in self._let_go.items() if not let_go.isdisjoint(begun)])
            self._let_go = {one: let_go for one, let_go in self._let_go.items() if let_go.isdisjoint(begun)}

    def scope(self, wake: Wake) -> frozenset[ObjectKey] | None:
        """The objects to look at; None means all of them, an empty set none."""
        look = self.last
        if self._clock_watch.jumped_s():
            # What happened when, and what ends when, is told as the clock read at the look before.
            return None
        if wake.everything or wake.approvals or self.is_blind or look is None or look.suspended != self.suspended:
            return None
        if self.gaps_due_s() == 0.0:
            return None
        due = self._retries.due_keys(self._clock.monotonic())
        named = wake.keys | wake.asked_for | due
        if look.plan.retry_after_s is not None:
            named |= {entry.key for entry in look.plan.blocked if entry.retry_after_s is not None}
            named |= {key for key, said in self._planner.unsettled.items() if said.retry_after_s is not None}
        # A wave that ends lets the next one go: nobody else says so.
        named |= {change.key for change in look.plan.changes if not self._retries.has_attempted(change.key)}
        changed = {key for key in self.affected(self._sources.changed) if self._is_observed(key)}
        return frozenset(named | changed | self.affected(named))

    def gaps_due_s(self) -> float | None:
        """Seconds until a full look shall find out whether what could not be read can be read now; None when everything was."""
        return None if self._gaps_due_at is None else max(0.0, self._gaps_due_at - self._clock.monotonic())

    def affected(self, keys: Collection[ObjectKey]) -> set[ObjectKey]:
        """The objects themselves, and those about which something else may be true because of them."""
        if self.last is None:
            return set(keys)
        waiting = (self.last.desired.objects.get(key) for key in self._planner.unsettled)
        on_them = {one.key for one in waiting if one is not None and not dependencies(one).isdisjoint(keys)}
        return {*keys, *self._resolver.readers(keys), *on_them}

    def at(self, scope: frozenset[ObjectKey] | None, wake: Wake) -> Look:
        """Observe, resolve, plan: of what is known already only what changed.

        Raises:
            EngineError: the host cannot be observed.
        """
        moved = self._observe(scope)
        observation, declared = self._observation, self._sources.declared
        assert declared is not None and observation is not None  # noqa: S101  (callers checked)
        changed = self._sources.take_changed()
        first = self.last is None
        desired = self._resolver.update(declared, observation, None if first else changed | moved)
        touched = changed | moved | self._resolver.touched
        plan = self._planner.plan(
            desired,
            observation,
            touched=None if first else touched,
            now=self._clock.now(),
            approvals=Approvals(ids=wake.approvals, confined=self._sources.approvals, changes=self._released),
            asked=frozenset(action.key for action in wake.operator if action.key),
            restarts=wake.restarts,
            failed=self._retries.failed,
            suspended=self.suspended,
            seen=self._seen,
            up_to_date=self._sources.up_to_date,
        )
        self._statuses.note(None if first or scope is None else touched | self._planner.thought_about)
        self._sources.use_approvals([hold.hold_id for hold in plan.released])
        self._released = still_released(self._released, plan, desired, observation)
        self._let_go |= {hold.hold_id: frozenset((c.key, c.action) for c in hold.changes) for hold in plan.released}
        self._remember(touched, desired, observation)
        self.last = Look(observation=observation, desired=desired, plan=plan, suspended=self.suspended)
        return self.last

    def _observe(self, scope: frozenset[ObjectKey] | None) -> frozenset[ObjectKey]:
        """Look at the host; the objects that are others than they were at the last look.

        Raises:
            EngineError: the host cannot be observed.
        """
        old = self._observation
        if scope is not None and not scope:
            return frozenset()
        fresh = self._engine.observe(None if scope is None else self._with_references(self._of_trash(scope)))
        if scope is None and self._sources.declared is not None:
            fresh = self._with_named(fresh, self._sources.declared)
        self.is_blind = self.is_blind and scope is not None
        self._observation, moved = merged(old, fresh)
        self._space_gap_looks(full=scope is None)
        self._users.move(moved, old.objects if old is not None else {}, self._observation.objects)
        self._sources.settle(self._observation)
        return moved

    def _of_trash(self, scope: frozenset[ObjectKey]) -> frozenset[ObjectKey]:
        """An item of the trash is looked at as a part of the object that it was."""
        items = {item.expiry_key: item.key for item in self._observation.trash} if self._observation is not None else {}
        return frozenset(items.get(key, key) for key in scope)

    def _space_gap_looks(self, *, full: bool) -> None:
        """A pool that is mounted again makes no event, so it is looked for: soon at first, then less often."""
        observation = self._observation
        if observation is None or not (observation.unreadable or observation.deletions_unknown):
            self._gaps_due_at, self._gap_delay_s = None, 0.0
        elif full or self._gaps_due_at is None:
            self._gap_delay_s = min(max(2 * self._gap_delay_s, FIRST_GAP_LOOK_S), LONGEST_GAP_LOOK_S)
            self._gaps_due_at = self._clock.monotonic() + self._gap_delay_s

    def _remember(self, touched: Collection[ObjectKey], desired: DesiredState, observation: Observation) -> None:
        """The applied documents of what was seen here, for as long as it is here or declared."""
        for key in touched:
            live = observation.objects.get(key)
            if live is not None and live.marks and live.marks.owner == self._policy.owner and live.marks.applied:
                self._seen[key] = live.marks.applied
            elif key not in desired.present:
                self._seen.pop(key, None)

    def _with_references(self, keys: Collection[ObjectKey]) -> frozenset[ObjectKey]:
        """And what VMs and volumes among them share names with on a platform, which may be there without being declared."""
        declared = self._sources.declared
        if not self._policy.on_cluster or declared is None:
            return frozenset(keys)
        documents = (declared.documents.get(key) for key in keys if key.kind == "VirtualMachine")
        references = (one for document in documents if document is not None for one in observable_references(document))
        named = {*keys, *(key for one in references for key in one.keys)}
        # A claim and a DataVolume of one name are one volume, whoever made the other one.
        volumes = {key._replace(kind=kind) for key in keys if key.kind in CLAIM_KINDS for kind in CLAIM_KINDS}
        return frozenset(named | volumes)

    def _is_observed(self, key: ObjectKey) -> bool:
        """Whether something that can be looked at stands for an object."""
        return self._policy.on_cluster or key.kind in HOST_KINDS

    def _with_named(self, fresh: Observation, declared: Declared) -> Observation:
        """A full look finds what is owned; what is declared and not among it may be there as somebody else's."""
        named = {key for key in declared.present if self._is_observed(key)}
        missing = self._with_references(named) - set(fresh.objects)
        if not missing:
            return fresh
        whole, _ = merged(fresh, self._engine.observe(missing))
        return replace(whole, asked=None)
