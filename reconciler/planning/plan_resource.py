"""One object of any other kind, on a platform that serves it: create it, change it."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveResource
from reconciler.model.plan import Action, Blocked, Change, Impact, Note, worst
from reconciler.model.resolved import ResolvedResource
from reconciler.planning.proposal import Circumstances, Proposal, ownership_obstacle

_NAMESPACE = "Namespace"


def plan_resource(wanted: ResolvedResource, around: Circumstances) -> Proposal:
    """What to do about one wanted object."""
    live = around.live(wanted.key)
    obstacle = ownership_obstacle(wanted.key, live, around.policy)
    if obstacle is not None:
        return Proposal(blocked=obstacle)
    if not isinstance(live, LiveResource):
        if around.observation.is_unknown(wanted.key):
            return Proposal(
                blocked=Blocked(key=wanted.key, by=around.observation.why_unknown(wanted.key), waiting=True)
            )
        return Proposal(change=_change(wanted, None, around, Action.CREATE, "not there yet"))
    differences = around.engine.compare(wanted, live)
    notes = tuple(
        Note(key=wanted.key, code="resource-kept", message=f"{d.path}: {d.refused}", differences=(d,))
        for d in differences
        if d.refused
    )
    to_do = tuple(d for d in differences if not d.refused)
    if not to_do:
        return Proposal(notes=notes)
    reason = to_do[0].reason if len(to_do) == 1 else f"{len(to_do)} fields differ"
    change = _change(wanted, live, around, Action.UPDATE, reason)
    return Proposal(notes=notes, change=replace(change, impact=worst([d.impact for d in to_do]), differences=to_do))


def _change(
    wanted: ResolvedResource, live: LiveResource | None, around: Circumstances, action: Action, reason: str
) -> Change:
    reading = around.reading(wanted)
    return Change(
        key=wanted.key,
        action=action,
        cause=around.cause(wanted, live),
        impact=Impact.NONE,
        reason=reason,
        expected=live.fingerprint if live else "",
        revision=reading.revision,
        source=reading.source,
        wanted=wanted,
    )


def in_their_namespaces(changes: list[Change]) -> list[Change]:
    """The same changes, each after the change that makes its namespace, where there is one."""
    made = {change.key.name for change in changes if change.key.kind == _NAMESPACE and change.action is Action.CREATE}
    if not made:
        return changes
    return [
        replace(change, needs=(*change.needs, ObjectKey(_NAMESPACE, "", change.key.namespace)))
        if change.key.namespace in made
        else change
        for change in changes
    ]
