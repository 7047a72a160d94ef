"""Which objects a wake-up is about, and how a partial look joins the last full one."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveVolume, Observation
from reconciler.model.plan import Action, Plan
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm, ResolvedVolume
from reconciler.planning.resolve_volume import CLAIM_KINDS

HOST_KINDS = frozenset({"VirtualMachine", "NetworkAttachmentDefinition", *CLAIM_KINDS})
"""Kinds that something on a host stands for."""


def dependencies(wanted: Resolved) -> tuple[ObjectKey, ...]:
    """The objects whose state decides what can be done about this one."""
    match wanted:
        case ResolvedVm():
            return (*wanted.claims, *wanted.networks)
        case ResolvedVolume() if wanted.source.claim is not None:
            source = wanted.source.claim
            return tuple(ObjectKey(kind, source.namespace, source.name) for kind in CLAIM_KINDS)
    return ()


def merged(old: Observation, fresh: Observation) -> Observation:
    """The last full reading brought up to date with a partial one: what was asked for and is not there is gone."""
    if fresh.asked is None:
        return fresh
    asked = fresh.asked
    objects = {key: live for key, live in old.objects.items() if key not in asked} | dict(fresh.objects)
    identities = {(key.kind, key.namespace, key.name) for key in asked}
    kept_trash = tuple(
        item for item in old.trash if (item.key.kind, item.key.namespace, item.key.name) not in identities
    )
    kept_gaps = tuple(gap for gap in old.unreadable if gap.key is None or gap.key not in asked)
    return replace(
        old,
        taken_at=fresh.taken_at,
        host=fresh.host,
        objects=objects,
        trash=(*kept_trash, *fresh.trash),
        unreadable=(*kept_gaps, *fresh.unreadable),
    )


def users_of(touched: frozenset[ObjectKey], observation: Observation) -> set[ObjectKey]:
    """Volumes and networks that touched VMs use: who uses them may be another matter now."""
    return {
        key
        for key, live in observation.objects.items()
        if isinstance(live, LiveVolume | LiveNetwork) and not touched.isdisjoint(live.used_by)
    }


def still_released(
    released: frozenset[tuple[ObjectKey, Action]], plan: Plan, desired: DesiredState, observation: Observation
) -> frozenset[tuple[ObjectKey, Action]]:
    """What approvals let go and is not done yet: deletions until the object is gone or wanted again, restarts while they
    are planned. An approval counts once.
    """
    let_go = released | {(change.key, change.action) for hold in plan.released for change in hold.changes}
    planned = {(change.key, change.action) for change in plan.changes}
    return frozenset(
        (key, action)
        for key, action in let_go
        if (key, action) in planned
        or (action is Action.DELETE and key in observation.objects and key not in desired.present)
    )
