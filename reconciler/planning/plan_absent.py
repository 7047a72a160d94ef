"""Owned objects that the repository no longer holds: prune them, as far as the laws let us.

Laws 2, 3 and 6: absence counts only in a complete reading of the source that an object came from, and of the host; a claim that any VM uses stays; only what this
owner made on this host is touched.
"""

from __future__ import annotations

from reconciler.model.declared import UNKNOWN_READING, reading_of
from reconciler.model.domain import ClaimSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveNetwork, LiveObject, LiveResource, LiveVm, LiveVolume
from reconciler.model.plan import Action, Blocked, Cause, Change, Hold, Impact, Note
from reconciler.model.power import PowerStep
from reconciler.planning.hold_id import hold_id
from reconciler.planning.proposal import BY_THEMSELVES, SILENT, Circumstances, Proposal
from reconciler.planning.prune import CONFIRM, prune_rule
from reconciler.planning.redact import source_of
from reconciler.planning.resolve_volume import CLAIM_KINDS

ORPHAN = "orphan"
"""Code of the note on an object whose source is no longer followed."""


def plan_absent(key: ObjectKey, around: Circumstances) -> Proposal:
    """What to do about an owned object that is live and not declared."""
    live = around.live(key)
    if live is None or around.observation.is_unknown(key):
        return SILENT
    note = _kept(key, live, around)
    return Proposal(notes=(note,)) if note is not None else _absent(key, live, around)


def is_absent(key: ObjectKey, around: Circumstances) -> bool:
    """Whether an object is ours, live, and not declared."""
    live = around.live(key)
    return live is not None and _is_ours(live, around) and not _is_present(key, live, around)


def is_leaving(key: ObjectKey, around: Circumstances) -> bool:
    """Whether an object is ours, live, and no longer in the repository that it came from."""
    live = around.live(key)
    return live is not None and is_absent(key, around) and _kept(key, live, around) is None


def _is_going(user: ObjectKey, around: Circumstances) -> bool:
    """Whether a VM is about to be deleted, as far as can be known: not one that an annotation keeps."""
    live = around.live(user)
    applied = live.marks.applied if live is not None and live.marks else None
    is_free = user.kind == "VirtualMachine" and prune_rule(applied) is None
    return is_free and is_leaving(user, around) and not around.observation.is_unknown(user)


def _is_ours(live: LiveObject, around: Circumstances) -> bool:
    return live.marks is not None and live.marks.owner == around.policy.owner and live.marks.host == around.policy.host


def _is_present(key: ObjectKey, live: LiveObject, around: Circumstances) -> bool:
    """Whether the repository still holds it: itself, the VM that it was generated for, or the VM whose dataVolumeTemplates
    made it, if that one is not valid at the moment (its templates cannot be read then).
    """
    made_for = live.attached_to if isinstance(live, LiveVolume) else None
    if made_for is not None:
        # A VM that is here would name what it still needs; one that is declared and not here will, once it is made again.
        vm = around.live(made_for)
        if vm is not None and _is_ours(vm, around):
            return False
    if any(one in around.desired.present or one in around.desired.not_here for one in (key, made_for)):
        return True
    applied = (live.marks.applied or {}) if live.marks else {}
    owners = (applied.get("metadata") or {}).get("ownerReferences") or []
    parents = [ObjectKey(owner.get("kind", ""), key.namespace, owner.get("name", "")) for owner in owners]
    return any(around.is_invalid(parent) for parent in parents)


def _kept(key: ObjectKey, live: LiveObject, around: Circumstances) -> Note | None:
    """Why absence proves nothing about this object: the source that it came from is no longer followed, may not declare
    it any more, or was not read as a whole (law 2). What names no source needs all of them.
    """
    identity = source_of(live)
    origin = around.policy.origin(identity)
    if origin is None and identity:
        return _orphan(key, f"it came from {identity}, which the settings no longer follow")
    if origin is not None and not origin.may_declare(key):
        return _orphan(key, f"it came from {identity}, which may not declare objects there any more")
    needed = around.policy.sources if origin is None else (origin,)
    unread = [one for one in needed if not around.desired.readings.get(one.identity, UNKNOWN_READING).complete]
    if not unread:
        return None
    names = ", ".join(one.name for one in unread if one.name)
    message = f"nothing is deleted before all of {names or 'the repository'} can be read"
    return Note(key=key, code="kept-unread", message=f"it is not in what could be read; {message}")


def _orphan(key: ObjectKey, why: str) -> Note:
    ways = f"follow it again, or `{_release_command(key)}` lets go of it"
    return Note(key=key, code=ORPHAN, message=f"{why}; it is left as it is (an orphan): {ways}")


def _absent(key: ObjectKey, live: LiveObject, around: Circumstances) -> Proposal:
    users = live.used_by if isinstance(live, LiveVolume | LiveNetwork) else ()
    staying = tuple(user for user in users if not _is_going(user, around))
    if not isinstance(live, LiveVm) and _some_vm_is_unknown(around):
        return Proposal(blocked=Blocked(key=key, by="removed from Git, but not every VM could be read", waiting=True))
    if isinstance(live, LiveVolume) and (key.namespace, key.name) in around.desired.claims_in_use:
        return Proposal(blocked=Blocked(key=key, by="removed from Git, but a VM of the repository still uses it"))
    unknown = _unknown_user(key, around) if isinstance(live, LiveVolume) and live.attached_to is None else None
    if unknown is not None:
        by = f"removed from Git, but {unknown} is not valid and not {around.policy.place}: nobody can tell what it stands on"
        return Proposal(blocked=Blocked(key=key, by=by, by_keys=(unknown,)))
    if staying:
        named = ", ".join(str(user) for user in staying)
        by = f"removed from Git, but {named} still uses it; it goes when they no longer do"
        return Proposal(blocked=Blocked(key=key, by=by, by_keys=staying))
    if isinstance(live, LiveResource) and key.kind not in around.policy.prunable_kinds:
        said = f"removed from Git; objects of kind {key.kind} are never deleted by that (engine.kubevirt.pruneKinds): delete it by hand"
        return Proposal(notes=(Note(key=key, code="resource-kept", message=said),))
    if isinstance(live, LiveVm) and (reason := _keeps_data(live, around)):
        return Proposal(blocked=Blocked(key=key, by=f"removed from Git, but {reason}", waiting=True))
    change = _deletion(key, live, users, around)
    rule = prune_rule(live.marks.applied if live.marks else None)
    return Proposal(change=change) if rule is None else Proposal(held=(_prune_hold(change, *rule),))


def _prune_hold(change: Change, rule: str, said: str) -> Hold:
    """A deletion that an annotation keeps back; ``said`` is the annotation, as it was last applied."""
    if rule == CONFIRM:
        reason = f"its annotation ({said}) asks a person to confirm before it is pruned"
    else:
        release = _release_command(change.key)
        reason = (
            f"its annotation ({said}) says never to prune it; `{release}` lets go of it, or put its manifest back without the "
            "annotation, and take it out again afterwards"
        )
    changes = (change,)
    return Hold(hold_id=hold_id(changes), rule=rule, reason=reason, changes=changes, approvable=rule == CONFIRM)


def _release_command(key: ObjectKey) -> str:
    option = f"--kind {BY_THEMSELVES[key.kind]} " if key.kind in BY_THEMSELVES else ""
    return f"gitvirt release {option}{key.namespace}/{key.name}"


def _keeps_data(live: LiveVm, around: Circumstances) -> str:
    """Why a VM has to stay for its disks' sake, empty when it need not: its definition tells which disks there were in a pool that
    cannot be read, and its running guest may hold the last of a disk that is gone.
    """
    spec = live.running or live.stored
    for disk in spec.disks if spec is not None else ():
        if not isinstance(disk.source, ClaimSource):
            continue
        keys = [ObjectKey(kind, disk.source.namespace, disk.source.claim) for kind in CLAIM_KINDS]
        volume = next((found for key in keys if isinstance(found := around.live(key), LiveVolume)), None)
        if volume is not None and volume.phase == LOST and live.running is not None:
            return f"its disk {disk.name} is lost, and the running guest has the last of it: {volume.reason}"
        unknown = next(filter(None, map(around.observation.why_unknown, keys)), "") if volume is None else ""
        if unknown:
            return f"its disk {disk.name} cannot be read: {unknown}"
    return ""


def _unknown_user(claim: ObjectKey, around: Circumstances) -> ObjectKey | None:
    """A VM that is declared and cannot be read, and that no last applied document stands in for (law 2)."""
    declared = (*around.desired.invalid, *around.desired.blocked)
    vms = (key for key in declared if key.kind == "VirtualMachine" and key.namespace == claim.namespace)
    return next((vm for vm in vms if (live := around.live(vm)) is None or not _is_ours(live, around)), None)


def _some_vm_is_unknown(around: Circumstances) -> bool:
    """Whether a VM that could not be read may be using something."""
    return any(
        "VirtualMachine" in gap.kinds or (gap.key is not None and gap.key.kind == "VirtualMachine")
        for gap in around.observation.unreadable
    )


def _deletion(key: ObjectKey, live: LiveObject, users: tuple[ObjectKey, ...], around: Circumstances) -> Change:
    match live:
        case LiveVm():
            left = "its disks stay" if around.policy.on_cluster else "its firmware state goes to the trash"
            reason = f"removed from Git; the guest is stopped gracefully, {left}"
        case LiveVolume(attached_to=ObjectKey() as vm):
            reason = f"generated for {vm}, and not used by any VM of this host any more"
        case LiveVolume() if live.phase == LOST:
            reason = "removed from Git; nobody looks for the lost disk any more"
        case LiveVolume():
            reason = "removed from Git; the disk goes to the trash and can be taken back"
        case _:
            reason = "removed from Git"
    reading = reading_of(around.desired.readings, source_of(live))
    return Change(
        key=key,
        action=Action.DELETE,
        cause=Cause.COMMIT if key not in around.failed else Cause.RETRY,
        impact=Impact.REPLACE,
        reason=reason,
        expected=live.fingerprint,
        revision=reading.revision,
        source=reading.source,
        power=PowerStep.STOP if isinstance(live, LiveVm) and live.running is not None else None,
        needs=users,
    )
