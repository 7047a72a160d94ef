"""Which objects a wake-up is about, and how a partial look joins the last full one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveObject, LiveVolume, Observation
from reconciler.model.multimap import MultiMap
from reconciler.model.persistent import persistent, with_changes
from reconciler.model.plan import Action, Plan
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm, ResolvedVolume
from reconciler.planning.resolve_volume import CLAIM_KINDS

HOST_KINDS = frozenset({"VirtualMachine", "NetworkAttachmentDefinition", *CLAIM_KINDS})
"""Kinds that something on a host stands for."""


def dependencies(wanted: Resolved) -> frozenset[ObjectKey]:
    """The objects whose state decides what can be done about this one."""
    match wanted:
        case ResolvedVm():
            return frozenset((*wanted.claims, *wanted.networks))
        case ResolvedVolume() if wanted.source.claim is not None:
            source = wanted.source.claim
            return frozenset(ObjectKey(kind, source.namespace, source.name) for kind in CLAIM_KINDS)
    return frozenset()


def merged(old: Observation | None, fresh: Observation) -> tuple[Observation, frozenset[ObjectKey]]:
    """The last full reading brought up to date, and the objects that are others than before. Of a partial reading, what was
    asked for and is not there is gone.
    """
    if old is None or fresh.asked is None:
        before: Mapping[ObjectKey, LiveObject] = old.objects if old is not None else {}
        keys = {*before, *fresh.objects}
        moved = frozenset(key for key in keys if before.get(key) != fresh.objects.get(key))
        return replace(fresh, objects=persistent(fresh.objects)), moved
    asked = fresh.asked
    moved = frozenset(key for key in {*asked, *fresh.objects} if old.objects.get(key) != fresh.objects.get(key))
    identities = {(key.kind, key.namespace, key.name) for key in asked}
    read_again = {item.item for item in fresh.trash}
    kept_trash = tuple(
        item
        for item in old.trash
        if item.item not in read_again and (item.key.kind, item.key.namespace, item.key.name) not in identities
    )
    kept_gaps = tuple(gap for gap in old.unreadable if gap.key is None or gap.key not in asked)
    whole = replace(
        old,
        taken_at=fresh.taken_at,
        host=fresh.host,
        unserved=fresh.unserved,
        objects=with_changes(persistent(old.objects), {key: fresh.objects.get(key) for key in moved}),
        trash=(*kept_trash, *fresh.trash),
        deletions=fresh.deletions,
        deletions_unknown=fresh.deletions_unknown,
        unreadable=tuple(dict.fromkeys((*kept_gaps, *fresh.unreadable))),
    )
    return whole, moved


class LiveUsers:
    """Which volumes and networks of the host live VMs use: who uses them may be another matter when a VM changed."""

    def __init__(self) -> None:
        self._used: MultiMap[ObjectKey, ObjectKey] = MultiMap()

    def move(
        self,
        moved: Collection[ObjectKey],
        before: Mapping[ObjectKey, LiveObject],
        after: Mapping[ObjectKey, LiveObject],
    ) -> None:
        """Some objects are others than before."""
        for key in moved:
            self._used.move(key, _users(before.get(key)), _users(after.get(key)))

    def used_by(self, vms: Collection[ObjectKey]) -> set[ObjectKey]:
        """Everything that any of the VMs uses."""
        return {thing for vm in vms for thing in self._used.of(vm)}


def _users(live: LiveObject | None) -> frozenset[ObjectKey]:
    return frozenset(live.used_by) if isinstance(live, LiveVolume | LiveNetwork) else frozenset()


def still_released(
    released: frozenset[tuple[ObjectKey, Action]], plan: Plan, desired: DesiredState, observation: Observation
) -> frozenset[tuple[ObjectKey, Action]]:
    """What approvals let go and is not done yet: deletions until the object is gone or wanted again, restarts while they
    are planned, what is made while it waits for what it needs. An approval counts once.
    """
    let_go = released | {(change.key, change.action) for hold in plan.released for change in hold.changes}
    planned = {(change.key, change.action) for change in plan.changes}
    waiting = {entry.key for entry in plan.blocked if entry.waiting}
    return frozenset(
        (key, action)
        for key, action in let_go
        if (key, action) in planned
        or (action is Action.CREATE and key in waiting)
        or (action is Action.DELETE and key in observation.objects and key not in desired.present)
    )
