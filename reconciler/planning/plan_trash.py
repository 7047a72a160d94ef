"""Trash items whose time is over. Nothing expires unless the settings say so, by no clock that can be set, and not while anybody may want it
back (law 3).
"""

from __future__ import annotations

from reconciler.model.declared import UNKNOWN_READING
from reconciler.model.durations import format_duration
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveVolume, Observation, TrashItem
from reconciler.model.plan import Action, Cause, Change, Impact
from reconciler.model.policy import Policy
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVolume
from reconciler.planning.plan_storage import taken_back
from reconciler.planning.proposal import Circumstances
from reconciler.planning.prune import is_never_pruned


def plan_trash(around: Circumstances) -> list[Change]:
    """The destructions that are due. One that cannot be read on the host, or that Git may want again, is not; nor is any while
    a repository cannot be looked at, where the revert may already be.
    """
    limit_s = around.policy.trash_expire_after_s
    if limit_s is None or not around.up_to_date:
        return []
    return [
        _expiry(item, around, limit_s)
        for item in around.observation.trash
        if item.aged_s >= limit_s and not why_kept(item, around.policy, around.desired, around.observation)
    ]


def why_kept(item: TrashItem, policy: Policy, desired: DesiredState, observation: Observation) -> str:
    """Why an item does not expire, however old; empty when nothing speaks for it."""
    key = item.key
    if item.owner != policy.owner or item.host != policy.host:
        return f"host {item.host or 'unknown'} of owner {item.owner} deleted it"
    if is_never_pruned(item.applied):
        return "its annotations say never to prune it"
    if not all(desired.readings.get(one.identity, UNKNOWN_READING).complete for one in policy.sources):
        return "not all of the repository can be read"
    wanted = desired.objects.get(key)
    if wanted is None:
        return "the repository has it" if key in desired.present or key in desired.not_here else ""
    if observation.is_unknown(key) or key in desired.invalid or key in desired.blocked:
        return "the repository has it, and it may be taken back"
    return "the repository has it, and takes it back" if _is_taken_back(item, wanted, policy, observation) else ""


def _is_taken_back(item: TrashItem, wanted: Resolved, policy: Policy, observation: Observation) -> bool:
    """Whether an object that is not on the host, or whose disk is lost, would or could be made from this item."""
    live = observation.objects.get(item.key)
    if isinstance(live, LiveVolume) and live.phase == LOST:
        return True
    if live is not None:
        return False
    if not isinstance(wanted, ResolvedVolume):
        return True
    taken = taken_back(wanted, observation.trash, policy.owner)
    return taken is not None and taken.item == item.item


def _expiry(item: TrashItem, around: Circumstances, limit_s: float) -> Change:
    key: ObjectKey = item.expiry_key
    return Change(
        key=key,
        action=Action.DELETE,
        cause=Cause.EXPIRY if key not in around.failed else Cause.RETRY,
        impact=Impact.DATA_LOSS,
        reason=f"{item.key} was seen in the trash for longer than trash.expireAfter ({format_duration(limit_s)})",
        expected=f"{int(item.aged_s)}",
        revision=item.revision,
    )
