"""One network, or one object of any other kind: create it, start it, change it."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.live import LiveNetwork, LiveResource
from reconciler.model.plan import Action, Blocked, Change, Impact, Note, worst
from reconciler.model.resolved import ResolvedNetwork, ResolvedResource
from reconciler.planning.proposal import Circumstances, Proposal, ownership_obstacle

_KEPT = {LiveNetwork: "network-kept", LiveResource: "resource-kept"}
"""Codes of the notes on what is not put right."""
_SHOWN = 5


def plan_network(wanted: ResolvedNetwork | ResolvedResource, around: Circumstances) -> Proposal:
    """What to do about one wanted network, or an object of a kind that nothing more is known of."""
    live = around.live(wanted.key)
    obstacle = ownership_obstacle(wanted.key, live, around.policy)
    if obstacle is not None:
        return Proposal(blocked=obstacle)
    if not isinstance(live, LiveNetwork | LiveResource):
        if around.observation.is_unknown(wanted.key):
            return Proposal(
                blocked=Blocked(key=wanted.key, by=around.observation.why_unknown(wanted.key), waiting=True)
            )
        return Proposal(change=_change(wanted, None, around, Action.CREATE, around.not_there))
    differences = around.engine.compare(wanted, live)
    notes = tuple(
        Note(key=wanted.key, code=_KEPT[type(live)], message=f"{d.path}: {d.refused}", differences=(d,))
        for d in differences
        if d.refused
    )
    to_do = tuple(d for d in differences if not d.refused)
    if not to_do:
        return Proposal(notes=notes)
    if isinstance(live, LiveResource) and live.used_by and any(d.path.startswith("spec") for d in to_do):
        notes += (_in_use(live),)
    reason = to_do[0].reason if len(to_do) == 1 else f"{len(to_do)} fields differ"
    change = _change(wanted, live, around, Action.UPDATE, reason)
    return Proposal(
        notes=notes,
        change=replace(change, impact=worst([d.impact for d in to_do]), differences=to_do),
    )


def _in_use(live: LiveResource) -> Note:
    """What a change of an instancetype or a preference does to VMs that name it: nothing yet."""
    named = ", ".join(str(user) for user in live.used_by[:_SHOWN])
    more = f" and {len(live.used_by) - _SHOWN} more" if len(live.used_by) > _SHOWN else ""
    message = (
        f"{named}{more} name it and stay as they are: KubeVirt keeps what each of them began with (a ControllerRevision) "
        "until its reference is set anew"
    )
    return Note(key=live.key, code="instancetype-in-use", message=message)


def _change(
    wanted: ResolvedNetwork | ResolvedResource,
    live: LiveNetwork | LiveResource | None,
    around: Circumstances,
    action: Action,
    reason: str,
) -> Change:
    return Change(
        key=wanted.key,
        action=action,
        cause=around.cause(wanted, live),
        impact=Impact.NONE,
        reason=reason,
        expected=live.fingerprint if live else "",
        revision=around.reading(wanted).revision,
        source=around.reading(wanted).source,
        wanted=wanted,
    )
