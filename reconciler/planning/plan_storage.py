"""One claim: create it, take it back from the trash, go on with an import, grow it. Never shrink, never replace."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveVolume, TrashItem
from reconciler.model.plan import UNWELL, Action, Blocked, Change, Impact, Note, worst
from reconciler.model.quantity import format_bytes
from reconciler.model.resolved import ResolvedVolume, SourceKind
from reconciler.planning.host_rules import beyond_its_pool
from reconciler.planning.proposal import Circumstances, Proposal, adopt_command, ownership_obstacle, waits_for_adoption
from reconciler.planning.resolve_volume import CLAIM_KINDS

LONGEST_RETRY_S = 3600.0
"""No engine spaces the attempts at a copy further: a time beyond it was noted before the clock was set back."""

_LOST_LOOK_S = 30.0
"""How often to look whether somebody put a lost disk back; no event tells of it."""
_NOT_BEGUN = ("Pending", "ImportScheduled", "CloneScheduled")


def plan_volume(wanted: ResolvedVolume, around: Circumstances) -> Proposal:
    """What to do about one wanted volume."""
    live = around.live(wanted.key)
    obstacle = ownership_obstacle(wanted.key, live, around.policy)
    if obstacle is not None:
        return Proposal(blocked=_name_in_trash(wanted, around) or obstacle)
    if not isinstance(live, LiveVolume):
        return _create_volume(wanted, around)
    if live.phase == LOST:
        return _replace_lost(wanted, live, around)
    if not live.is_usable:
        return _resume_volume(wanted, live, around)
    differences = around.engine.compare(wanted, live)
    refused = tuple(difference for difference in differences if difference.refused)
    to_do = tuple(difference for difference in differences if not difference.refused)
    notes: tuple[Note, ...] = tuple(
        Note(key=wanted.key, code="volume-kept", message=f"{d.path}: {d.refused}", differences=(d,)) for d in refused
    )
    if live.fault:
        notes += (Note(key=wanted.key, code=UNWELL, message=live.fault),)
    if wanted.size_bytes < live.size_bytes and wanted.size_bytes:
        message = f"the volume has {format_bytes(live.size_bytes)}, more than is asked for; disks only grow, so it stays as it is"
        notes += (Note(key=wanted.key, code="volume-larger", message=message),)
    if not to_do:
        return Proposal(notes=notes)
    return Proposal(
        notes=notes,
        change=Change(
            key=wanted.key,
            action=Action.UPDATE,
            cause=around.cause(wanted, live),
            impact=worst([d.impact for d in to_do]),
            reason=to_do[0].reason if len(to_do) == 1 else f"{len(to_do)} fields differ",
            expected=live.fingerprint,
            revision=around.reading(wanted).revision,
            source=around.reading(wanted).source,
            wanted=wanted,
            differences=to_do,
        ),
    )


def _create_volume(wanted: ResolvedVolume, around: Circumstances) -> Proposal:
    if around.observation.is_unknown(wanted.key):
        return Proposal(blocked=Blocked(key=wanted.key, by=around.observation.why_unknown(wanted.key), waiting=True))
    content = str(wanted.source)
    for kind in CLAIM_KINDS:
        other = ObjectKey(kind, wanted.key.namespace, wanted.key.name)
        has = around.live(other) if other != wanted.key else None
        if has is None:
            continue
        if not (isinstance(has, LiveVolume) and has.filled_for == wanted.key):
            return Proposal(blocked=_name_taken(wanted, other, around))
        content = f"on {other} as that is, which is there for it"
    item = taken_back(wanted, around.observation.trash, around.policy.owner)
    if wanted.adopt and item is None:
        return Proposal(blocked=waits_for_adoption(wanted))
    if item is not None:
        reason = f"taken back from the trash ({item.item}), its data as it was"
        return Proposal(change=_creation(wanted, around, reason, restore=item.item))
    if (taken := _name_in_trash(wanted, around)) is not None:
        return Proposal(blocked=taken)
    return _new_volume(wanted, around, f"{around.not_there}; {content}")


def _name_taken(wanted: ResolvedVolume, other: ObjectKey, around: Circumstances) -> Blocked:
    """A claim and a DataVolume of one name are one volume."""
    said = f"{other} has the volume of that name"
    if around.policy.on_cluster and wanted.key.kind == "DataVolume":
        said += f"; where that is the disk that it is to be, {adopt_command(wanted.key)} gives it to it as it is"
    return Blocked(key=wanted.key, by=said, by_keys=(other,))


def _name_in_trash(wanted: ResolvedVolume, around: Circumstances) -> Blocked | None:
    """On a cluster a disk keeps its name in the trash, so that a new one of that name waits for a person: nothing else than destroying the
    old one makes room, and that nobody does but a person or the time that a person set.
    """
    items = trashed_under(wanted.key, around)
    if not items:
        return None
    item = max(items, key=lambda one: one.trashed_at)
    was = f"{item.key.kind}, {item.source}" if item.source is not None else item.key.kind
    said = (
        f"`gitvirt trash empty {item.item}` first: the trash has a disk of that name ({was}), and this one is {wanted.key.kind}, "
        f"{wanted.source}. That destroys the old disk for good; the old manifest takes it back; another name needs neither"
    )
    return Blocked(key=wanted.key, by=said)


def trashed_under(claim: ObjectKey, around: Circumstances) -> tuple[TrashItem, ...]:
    """What lies in a cluster's trash and has the name of a claim; a host's trash has names of its own."""
    if not around.policy.on_cluster:
        return ()
    name = (claim.namespace, claim.name)
    return tuple(
        item
        for item in around.observation.trash
        if item.key.kind in CLAIM_KINDS and (item.key.namespace, item.key.name) == name
    )


def _new_volume(wanted: ResolvedVolume, around: Circumstances, reason: str, *, expected: str = "") -> Proposal:
    """One that is made from its source."""
    if (room := beyond_its_pool(wanted, around.observation.host)) != "":
        return Proposal(blocked=Blocked(key=wanted.key, by=room))
    needs: tuple[ObjectKey, ...] = ()
    if wanted.source.kind is SourceKind.CLONE:
        found = clone_source(wanted, around)
        if isinstance(found, Blocked):
            return Proposal(blocked=found)
        needs = found
    return Proposal(change=_creation(wanted, around, reason, needs=needs, expected=expected))


def _replace_lost(wanted: ResolvedVolume, live: LiveVolume, around: Circumstances) -> Proposal:
    """Law 3: nothing takes the place of a disk that is gone, unless a person names this loss; or the disk was put into the trash
    after all.
    """
    made = live.marks.created_at if live.marks is not None else None
    item = taken_back(wanted, around.observation.trash, around.policy.owner)
    if item is not None and made is not None and item.trashed_at >= made:
        reason = f"taken back from the trash ({item.item}), its data as it was"
        return Proposal(change=_creation(wanted, around, reason, restore=item.item, expected=live.fingerprint))
    if wanted.fresh_disk != live.loss or wanted.adopt:
        said = live.reason or f"{wanted.key} is lost"
        blocked = Blocked(key=wanted.key, by=said, retry_after_s=_LOST_LOOK_S)
        return Proposal(blocked=blocked, retry_after_s=_LOST_LOOK_S)
    return _new_volume(
        wanted, around, f"in place of the lost one, as its manifest says; {wanted.source}", expected=live.fingerprint
    )


def clone_source(wanted: ResolvedVolume, around: Circumstances) -> tuple[ObjectKey, ...] | Blocked:
    """What a clone's copy has to wait for: a change of this plan, nothing, or a reason why it cannot begin."""
    source = wanted.source.claim
    if source is None:
        return ()
    names = [ObjectKey(kind, source.namespace, source.name) for kind in CLAIM_KINDS]
    for key in names:
        live = around.live(key)
        if isinstance(live, LiveVolume):
            if live.is_usable:
                return ()
            done = f" ({live.progress:.0%})" if live.progress is not None else ""
            said = f"its source {key} is {live.phase}{done}"
            return Blocked(key=wanted.key, by=said, by_keys=(key,), waiting=True)
    made = tuple(key for key in names if key in around.desired.objects)
    if made:
        return made
    if around.policy.on_cluster:
        return ()
    return Blocked(
        key=wanted.key, by=f"its source, claim {source.namespace}/{source.name}, is not there", by_keys=(names[0],)
    )


def taken_back(wanted: ResolvedVolume, trash: Iterable[TrashItem], owner: str) -> TrashItem | None:
    """Law 3: the newest trashed volume of the same kind, namespace, name, source and class, unless the manifest says by
    name that it wants a fresh disk.
    """
    items = [
        item
        for item in trash
        if item.key == wanted.key
        and item.owner == owner
        and item.source == wanted.source
        and item.storage_class == wanted.storage_class
    ]
    newest = max(items, key=lambda item: (item.trashed_at, item.item), default=None)
    return None if newest is None or newest.item == wanted.fresh_disk else newest


def _creation(
    wanted: ResolvedVolume,
    around: Circumstances,
    reason: str,
    *,
    restore: str = "",
    needs: tuple[ObjectKey, ...] = (),
    expected: str = "",
) -> Change:
    return Change(
        key=wanted.key,
        action=Action.CREATE,
        cause=around.cause(wanted, around.live(wanted.key)),
        impact=Impact.NONE,
        reason=reason,
        expected=expected,
        revision=around.reading(wanted).revision,
        source=around.reading(wanted).source,
        wanted=wanted,
        restore=restore,
        needs=needs,
    )


def _resume_volume(wanted: ResolvedVolume, live: LiveVolume, around: Circumstances) -> Proposal:
    """A copy that nobody is at work on is taken up; one that failed is tried again when its time has come."""
    due_s = (live.retry_at - around.now).total_seconds() if live.retry_at else 0.0
    if due_s > LONGEST_RETRY_S:
        due_s = 0.0
    if live.phase in _NOT_BEGUN or (live.phase == "Failed" and due_s <= 0):
        reason = f"taken up again: {live.reason or live.phase}"
        return Proposal(change=_creation(wanted, around, reason, expected=live.fingerprint))
    done = f" ({live.progress:.0%})" if live.progress is not None else ""
    said = f"{live.phase}{done}{': ' + live.reason if live.reason else ''}"
    retry = due_s if live.phase == "Failed" else None
    return Proposal(blocked=Blocked(key=wanted.key, by=said, waiting=True, retry_after_s=retry), retry_after_s=retry)
