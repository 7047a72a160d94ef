"""Which objects a wake-up is about, and how a partial look joins the last full one."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation
from reconciler.model.resolved import Resolved, ResolvedVm, ResolvedVolume
from reconciler.planning.resolve_volume import CLAIM_KINDS


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
