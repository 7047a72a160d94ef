"""Desired state + live state → `Plan`. Pure and deterministic: same input, same bytes, same ``plan_id``.

A `Planner` is kept from one cycle to the next. It remembers which objects need nothing, what is noted of them, and which other objects
that is true because of; those are thought about again only when one of them changed. Everything else is planned anew each
time: what is to be done or waits may depend on the clock, and there is little of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import merge
from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveVolume, Observation, TrashItem
from reconciler.model.plan import Action, Blocked, Change, Difference, Hold, Note, Plan, revisions_dict
from reconciler.model.policy import Policy
from reconciler.model.resolved import DesiredState, ResolvedNetwork, ResolvedResource, ResolvedVm, ResolvedVolume
from reconciler.planning.host_rules import cpu_strain, strain
from reconciler.planning.inventory import Inventory
from reconciler.planning.plan_absent import is_absent, is_leaving, plan_absent
from reconciler.planning.plan_network import plan_network
from reconciler.planning.plan_storage import plan_volume
from reconciler.planning.plan_trash import plan_trash
from reconciler.planning.plan_vm import plan_vm
from reconciler.planning.platform_order import in_platform_order
from reconciler.planning.proposal import SILENT, Circumstances, Proposal
from reconciler.planning.readiness import why_not_ready
from reconciler.planning.reads import Reads
from reconciler.planning.safety import Approvals, hold_large_classes, release_approved, split_by_mode
from reconciler.planning.waves import Unsettled, hold_later_waves, turns_of
from reconciler.ports import Engine

_TIER = {
    "Namespace": 0,
    "StorageClass": 0,
    "PodNetwork": 1,
    "NetworkAttachmentDefinition": 1,
    "PersistentVolumeClaim": 2,
    "DataVolume": 2,
    "VirtualMachine": 4,
}
_OTHER_TIER = 3
UNSERVED_LOOK_S = 10.0
"""How often to ask whether a platform serves a kind by now."""

NO_APPROVALS = Approvals()


def make_plan(
    desired: DesiredState,
    observation: Observation,
    *,
    policy: Policy,
    engine: Engine,
    now: datetime,
    **asked: Any,
) -> Plan:
    """What would be done now, thought about from nothing; ``asked`` as `Planner.plan` has it."""
    return Planner(policy, engine).plan(desired, observation, touched=None, now=now, **asked)


class Planner:
    """Plans for one host. ``thought_about`` are the objects that the last plan was worked out for anew."""

    def __init__(self, policy: Policy, engine: Engine) -> None:
        self._policy, self._engine = policy, engine
        self._reads = Reads()
        self._inventory = Inventory(policy.owner)
        self._unsettled: dict[ObjectKey, Proposal] = {}
        self._noted: dict[ObjectKey, tuple[Note, ...]] = {}
        self._notes: tuple[Note, ...] | None = ()
        self._absent: set[ObjectKey] = set()
        self._unready: dict[ObjectKey, str] = {}
        self._last: Observation | None = None
        self._at: datetime | None = None
        self.thought_about: frozenset[ObjectKey] = frozenset()

    @property
    def unsettled(self) -> Mapping[ObjectKey, Proposal]:
        """The proposals of the last plan that say more than notes: what is to be done, or waits."""
        return self._unsettled

    def plan(
        self,
        desired: DesiredState,
        observation: Observation,
        *,
        touched: Collection[ObjectKey] | None,
        now: datetime,
        approvals: Approvals = NO_APPROVALS,
        asked: frozenset[ObjectKey] = frozenset(),
        restarts: frozenset[ObjectKey] = frozenset(),
        failed: frozenset[ObjectKey] = frozenset(),
        suspended: str = "",
        seen: Mapping[ObjectKey, Mapping[str, Any]] | None = None,
        up_to_date: bool = True,
        in_the_end: bool = False,
    ) -> Plan:
        """What would be done now.

        ``touched`` are the objects that are wanted differently, or are different on the host, than at the last plan; None
        means any. ``approvals`` are what a person released; ``asked`` are objects an operator acts on just now, ``restarts``
        VMs a person asked to restart; ``failed`` are objects whose last attempt did not end well; ``suspended`` is the
        reason when everything is; ``seen`` are the applied documents of objects when they were last seen on the host: one
        that vanished since is drift, not news from Git; ``up_to_date`` says that every repository could be looked at lately.
        ``in_the_end`` asks for all that is to be done at last: no sync wave waits for another one.
        """
        around = Circumstances(
            desired=desired,
            observation=observation,
            policy=self._policy,
            engine=self._engine,
            now=now,
            inventory=self._inventory,
            failed=failed,
            restarts=restarts,
            asked=asked,
            seen=seen or {},
            up_to_date=up_to_date,
            in_the_end=in_the_end,
        )
        self._look(around, touched)
        unready = None if in_the_end else self._unready
        return _assembled(
            around, dict(sorted(self._unsettled.items())), self._kept_notes(), unready, approvals, suspended
        )

    def _look(self, around: Circumstances, touched: Collection[ObjectKey] | None) -> None:
        """Bring what is remembered up to date. What needs nothing goes by the clock only in what is over by now, and stays so until
        the clock is set back.
        """
        live, last = around.observation, self._last
        was_set_back = self._at is not None and around.now < self._at
        self._at = around.now
        if last is None or touched is None or was_set_back or _is_another_host(last, live):
            old = last.objects if last is not None else {}
            dirty = {*around.desired.objects, *live.objects, *old, *self._unsettled, *self._noted}
            self._reads = Reads()
            self._inventory.count(live.objects)
        else:
            dirty = set(touched)
            self._inventory.recount(dirty, last.objects, live.objects)
            dirty |= self._reads.readers(dirty) | self._unsettled.keys() | self._absent
            dirty |= _in_other_trash(last.trash, live.trash)
            dirty |= around.asked | around.restarts | around.failed
        self._last = live
        for key in dirty:
            if is_absent(key, around):
                self._absent.add(key)
            else:
                self._absent.discard(key)
        for key in dirty:
            self._think(key, around)
        self.thought_about = frozenset(dirty)

    def _think(self, key: ObjectKey, around: Circumstances) -> None:
        """One object; what it read is kept where it needs nothing."""
        around.looked_at.clear()
        proposal = plan_absent(key, around) if key in self._absent else _proposal(key, around)
        is_settled = replace(proposal, notes=()) == SILENT
        self._keep(key, proposal.notes if is_settled else ())
        if is_settled:
            self._unsettled.pop(key, None)
            self._reads.note(key, around.looked_at)
        else:
            self._unsettled[key] = proposal
            self._reads.note(key, ())
        why = why_not_ready(around.desired.objects.get(key), around.observation.objects.get(key), around)
        if why:
            self._unready[key] = why
        else:
            self._unready.pop(key, None)

    def _keep(self, key: ObjectKey, notes: tuple[Note, ...]) -> None:
        """What is noted of an object that needs nothing."""
        if notes == self._noted.get(key, ()):
            return
        self._notes = None
        if notes:
            self._noted[key] = notes
        else:
            del self._noted[key]

    def _kept_notes(self) -> tuple[Note, ...]:
        """All of those, by object; put in order only when one of them is another."""
        if self._notes is None:
            self._notes = tuple(note for _, notes in sorted(self._noted.items()) for note in notes)
        return self._notes


def _is_another_host(before: Observation, after: Observation) -> bool:
    """Whether other things can be read or had than before."""
    pairs = ((one.unreadable, one.unserved, one.host.cpus) for one in (before, after))
    return next(pairs) != next(pairs)


def _in_other_trash(before: Sequence[TrashItem], after: Sequence[TrashItem]) -> set[ObjectKey]:
    """The objects of items that came or went."""
    items = [{item.item: item.key for item in trash} for trash in (before, after)]
    return {key for _, key in items[0].items() ^ items[1].items()}


def _proposal(key: ObjectKey, around: Circumstances) -> Proposal:
    why = around.observation.unserved.get(key.kind) if key in around.desired.objects else None
    if why is not None and around.live(key) is None:
        # Nobody tells when the kind is served.
        blocked = Blocked(key=key, by=why, retry_after_s=UNSERVED_LOOK_S)
        return Proposal(blocked=blocked, retry_after_s=UNSERVED_LOOK_S)
    match around.desired.objects.get(key):
        case (ResolvedNetwork() | ResolvedResource()) as plain:
            return plan_network(plain, around)
        case ResolvedVolume() as volume:
            return plan_volume(volume, around)
        case ResolvedVm() as vm:
            note = cpu_strain(vm, around.observation.host)
            return plan_vm(vm, around).with_note(note) if note is not None else plan_vm(vm, around)
    match around.live(key):
        case LiveVolume(attached_to=ObjectKey() as made_for):
            around.live(made_for)  # what it was generated for decides about it: thought about again when that one goes
    return SILENT


def _assembled(
    around: Circumstances,
    proposals: Mapping[ObjectKey, Proposal],
    kept: Sequence[Note],
    unready: Mapping[ObjectKey, str] | None,
    approvals: Approvals,
    suspended: str,
) -> Plan:
    """What all objects propose, held back where a rule says so, in order. ``kept`` are the notes on those that need nothing; ``unready``
    is what is done and not ready, None lets no sync wave wait.
    """
    desired = around.desired
    wanted_changes = [p.change for p in proposals.values() if p.change is not None] + plan_trash(around)
    free, mode_holds = split_by_mode(wanted_changes, around, suspended=suspended)
    own_holds = [hold for p in proposals.values() for hold in p.held]
    released, own_holds = release_approved(own_holds, approvals)
    free += [change for hold in released for change in hold.changes]
    waiting = [key for key, p in proposals.items() if p.blocked is not None and is_leaving(key, around)]
    free, blast_holds, let_go = hold_large_classes(free, around, approvals=approvals, waiting=waiting)
    if around.policy.on_cluster:
        free = in_platform_order(free)
    holds = [*own_holds, *mode_holds, *blast_holds]
    if unready is not None:
        said = {key: p.blocked for key, p in proposals.items() if p.blocked is not None}
        beside = Unsettled(held=tuple(holds), blocked=said, unready=unready)
        free, wave_holds, go_ahead = hold_later_waves(free, around, beside, approvals)
        holds, let_go = [*holds, *wave_holds], [*let_go, *go_ahead]
    free, deferred = defer_the_unready(free, around)
    free += [change for key in deferred if (change := proposals[key].meanwhile) is not None]
    turns = turns_of(free, around)
    changes = tuple(sorted(free, key=lambda change: _order(change, turns[change.key])))
    holds.sort(key=lambda hold: (hold.rule, hold.hold_id))
    blocked = tuple(_blocked(around, proposals, deferred))
    notes = tuple(merge(kept, (note for p in proposals.values() for note in p.notes), key=lambda note: note.key))
    notes += tuple(strain(desired.promised_memory_mib, wanted_changes, around.observation.host))
    staged = {key: p.restart_required for key, p in proposals.items() if p.restart_required}
    waits = [p.retry_after_s for p in proposals.values() if p.retry_after_s is not None]
    revisions = {reading.source: reading.revision for reading in desired.readings.values()}
    return Plan(
        plan_id=plan_id(revisions, changes, tuple(holds), blocked, notes, staged),
        revisions=revisions,
        changes=changes,
        held=tuple(holds),
        blocked=blocked,
        notes=notes,
        restart_required=staged,
        released=(*released, *let_go),
        retry_after_s=min(waits, default=None),
    )


def plan_id(
    revisions: Mapping[str, str],
    changes: tuple[Change, ...],
    holds: tuple[Hold, ...],
    blocked: tuple[Blocked, ...],
    notes: tuple[Note, ...],
    staged: dict[ObjectKey, tuple[Difference, ...]],
) -> str:
    """The hash of all that the plan says, but for waiting times and progress, which move by themselves."""
    content = {
        **revisions_dict(revisions),
        "changes": [change.to_dict() for change in changes],
        "held": [hold.to_dict() for hold in holds],
        "blocked": [str(entry.key) for entry in blocked],
        "notes": [[str(note.key), note.code] for note in notes],
        "restart_required": [[str(key), [d.path for d in differences]] for key, differences in sorted(staged.items())],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def defer_the_unready(changes: list[Change], around: Circumstances) -> tuple[list[Change], dict[ObjectKey, Blocked]]:
    """Take out changes that need what neither is there nor is done by a change of this plan (it is held, or waits itself)."""
    deferred: dict[ObjectKey, Blocked] = {}
    while True:
        planned = {change.key for change in changes}
        late = {
            change.key: unmet
            for change in changes
            if (unmet := tuple(n for n in change.needs if n not in planned and not _is_settled(n, change, around)))
        }
        if not late:
            return changes, deferred
        changes = [change for change in changes if change.key not in late]
        for key, unmet in late.items():
            by = f"waits for {', '.join(str(need) for need in unmet)}"
            deferred[key] = Blocked(key=key, by=by, by_keys=unmet, waiting=True)


def _is_settled(need: ObjectKey, change: Change, around: Circumstances) -> bool:
    """Whether a needed object is as the change needs it: gone for a deletion, ready for anything else."""
    live = around.live(need)
    if change.action is Action.DELETE:
        return live is None
    match live:
        case LiveVolume():
            return live.is_usable
        case LiveNetwork():
            return live.active
    return live is not None


def _order(change: Change, wave: int) -> tuple[bool, int, int, ObjectKey]:
    """By sync waves, and in each namespaces, networks, storage, other kinds, VMs; then deletions in reverse."""
    tier = _TIER.get(change.key.kind, _OTHER_TIER)
    leaves = change.action is Action.DELETE
    return leaves, wave, (-tier if leaves else tier), change.key


def _blocked(
    around: Circumstances,
    proposals: Mapping[ObjectKey, Proposal],
    deferred: dict[ObjectKey, Blocked],
) -> list[Blocked]:
    """Why objects do not proceed: found by their proposals, by what they need, by resolving, or by checking."""
    found = deferred | {key: p.blocked for key, p in proposals.items() if p.blocked is not None}
    for key, (reason, by_keys) in around.desired.blocked.items():
        found.setdefault(
            key, Blocked(key=key, by=f"blocked by {', '.join(map(str, by_keys))}: {reason}", by_keys=by_keys)
        )
    for key, reason in around.desired.invalid.items():
        live = around.live(key)
        held = "; it is held at its last applied document" if live is not None and live.marks is not None else ""
        found.setdefault(key, Blocked(key=key, by=f"not valid: {reason}{held}"))
    return [entry for key, entry in sorted(found.items())]
