"""Claims and DataVolumes that left Git: labelled, never deleted, until somebody empties them by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nodeexec.kubevirt.errors import ApiError
from nodeexec.kubevirt.kinds import CLAIM_KINDS, INSTANCE, KINDS, VM
from nodeexec.kubevirt.marks import (
    REVISION,
    TRASH,
    TRASH_AGE,
    labels_of,
    metadata_of,
    trash_age,
    trash_age_note,
    trash_stamp,
)
from nodeexec.kubevirt.observe import is_kept_trash
from nodeexec.kubevirt.project_volume import is_trash, item_name, source_of
from nodeexec.kubevirt.remembering import forget
from nodeexec.kubevirt.steps import Steps, Tools
from nodeexec.trash_age import age_at, is_due, noted
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change

NOTES_A_LOOK = 200
"""Ages that are written in one full look: a request each. The others follow with the next looks."""

MOVED = (404, 409)
"""The object is gone, or is not as it was read."""

_USERS = (VM, INSTANCE)
_FILLED = ("Succeeded", "Bound")
_NEVER = datetime.min.replace(tzinfo=UTC)


def throw_away(tools: Tools, key: ObjectKey, document: Mapping[str, Any], revision: str, steps: Steps) -> Outcome:
    """Put a volume in the trash; one that a VM stands on is not.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    users = tools.caches.users_of((key.namespace, key.name))
    if users:
        named = ", ".join("/".join(user) for user in users)
        return steps.outcome(Result.RETRY, f"{key} is used by {named}; it goes after them", 5.0)
    stamp = trash_stamp(tools.clock.now())
    change = {"labels": {TRASH: stamp}, "annotations": {REVISION: revision, TRASH_AGE: None}}
    tools.access.patch(
        KINDS[key.kind], key, {"metadata": {**change, "resourceVersion": metadata_of(document).get("resourceVersion")}}
    )
    steps.note(f"labelled as trash ({item_name(key, stamp)})")
    return steps.outcome()


def take_back(tools: Tools, key: ObjectKey, item: str, steps: Steps) -> bool:
    """Take a volume out of the trash; False when it is not there any more.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    found = find(tools, item)
    if found is None or found[0] != key:
        return False
    _label_off(tools, *found, steps)
    return True


def restore(tools: Tools, item: str) -> Outcome:
    """Take a volume out of the trash by the item's name.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    steps, found = Steps(), find(tools, item)
    if found is None:
        return steps.outcome(Result.REFUSED, f"there is no trash item {item}")
    _label_off(tools, *found, steps)
    return steps.outcome()


def empty(tools: Tools, item: str) -> Outcome:
    """Delete one item for good. The claim of a DataVolume goes with it, by the cluster's own rules.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    steps, found = Steps(), find(tools, item)
    if found is None:
        return steps.outcome(Result.REFUSED, f"there is no trash item {item}")
    return _destroy(tools, found, item, steps, age_s=0.0) or steps.outcome()


def expire(tools: Tools, change: Change) -> Outcome:
    """Delete an item whose time is over: still there, and not younger than the plan took it for.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    steps, item = Steps(), change.key.name
    if change.action is not Action.DELETE:
        return steps.outcome(Result.REFUSED, f"a trash item is not for {change.action}")
    found = find(tools, item)
    if found is None:
        return steps.outcome(Result.UNCHANGED, "it is gone already")
    return _destroy(tools, found, item, steps, age_s=float(change.expected)) or steps.outcome()


def note_ages(tools: Tools) -> Outcome:
    """Write on each item how long it was seen, where that was not done lately; those that were not noted for longest first.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    now, steps, count = tools.observer.moment(), Steps(), 0
    due = [entry for entry in _items(tools) if is_due(trash_age(entry[1]), now)]
    for key, document in sorted(due, key=lambda entry: _noted_at(entry[1]))[:NOTES_A_LOOK]:
        note = trash_age_note(document, noted(trash_age(document), now))
        version = metadata_of(document).get("resourceVersion")
        change = {"annotations": {TRASH_AGE: note}, "resourceVersion": version}
        try:
            tools.access.patch(KINDS[key.kind], key, {"metadata": change})
        except ApiError as error:
            if error.status not in MOVED:
                raise
            continue  # Somebody wrote it meanwhile, perhaps took it back: the next look knows.
        count += 1
    if count:
        steps.note(f"noted the age of {count} trash items")
    return steps.outcome()


def find(tools: Tools, item: str) -> tuple[ObjectKey, Mapping[str, Any]] | None:
    """The volume that is an item of this owner's trash."""
    named = ((key, document) for key, document in _items(tools) if item_name(key, labels_of(document)[TRASH]) == item)
    return next(named, None)


def in_the_way(tools: Tools, key: ObjectKey) -> str:
    """What has to happen to a trashed volume before a fresh one can have its name; empty when there is none."""
    document = tools.caches.get(key.kind, (key.namespace, key.name)) if key.kind in CLAIM_KINDS else None
    if document is None or not is_trash(document):
        return ""
    item = item_name(key, labels_of(document)[TRASH])
    if metadata_of(document).get("deletionTimestamp"):
        return f"{item} still has the name and is being deleted; who holds it stands in its finalizers"
    return f"a trashed volume has the name; `gitvirt trash empty {item}` it first, or take {key} back"


def _label_off(tools: Tools, key: ObjectKey, document: Mapping[str, Any], steps: Steps) -> None:
    """All that is written is metadata: the volume itself is not touched."""
    version = metadata_of(document).get("resourceVersion")
    change = {"labels": {TRASH: None}, "annotations": {TRASH_AGE: None}, "resourceVersion": version}
    tools.access.patch(KINDS[key.kind], key, {"metadata": change})
    steps.note("took it out of the trash")


def _items(tools: Tools) -> Iterator[tuple[ObjectKey, Mapping[str, Any]]]:
    for kind in CLAIM_KINDS:
        for name, document in tools.caches.items(kind):
            key = ObjectKey(kind, *name)
            if is_kept_trash(document, key, tools.owner):
                yield key, document


def _noted_at(document: Mapping[str, Any]) -> datetime:
    age = trash_age(document)
    return age.noted.at if age is not None else _NEVER


def _destroy(
    tools: Tools, found: tuple[ObjectKey, Mapping[str, Any]], item: str, steps: Steps, *, age_s: float
) -> Outcome | None:
    """Delete a volume of the trash as it is at this instant; an outcome when it is not done, or not yet. Nobody may be known to use it, and
    who uses what must be known.
    """
    key, seen = found
    blind = sorted(why for kind, why in tools.caches.gaps().items() if kind in _USERS)
    if blind:
        return steps.outcome(Result.RETRY, f"who uses {key} is not known: {blind[0]}", 30.0)
    users = _users_of(tools, key)
    if users:
        return steps.outcome(Result.REFUSED, f"{key} is used by {', '.join(users)}")
    current = tools.access.read(KINDS[key.kind], key)
    is_same = current is not None and metadata_of(current).get("uid") == metadata_of(seen).get("uid")
    if current is None or not is_same or not is_kept_trash(current, key, tools.owner):
        return steps.outcome(Result.CONFLICT, f"{item} is no longer in the trash", 1.0)
    if item_name(key, labels_of(current)[TRASH]) != item:
        return steps.outcome(Result.CONFLICT, f"{item} was taken back and put into the trash anew", 1.0)
    if age_s and age_at(trash_age(current), tools.observer.moment()) < age_s:
        return steps.outcome(Result.CONFLICT, f"{item} is younger than it was when this was planned", 1.0)
    forget(tools, key)  # As a rule that was done when it was thrown away; who died since may not have come to it.
    gone = tools.access.delete(KINDS[key.kind], key, current, unmoved=True)
    steps.note(f"deleted {key}" if gone else f"asked for the deletion of {key}")
    return None


def _users_of(tools: Tools, key: ObjectKey) -> list[str]:
    """Who would miss a volume: VMs that name it, and volumes that are being filled from it."""
    name = (key.namespace, key.name)
    users = ["/".join(user) for user in tools.caches.users_of(name)]
    for kind in CLAIM_KINDS:
        for own, document in tools.caches.items(kind):
            if (document.get("status") or {}).get("phase") in _FILLED:
                continue
            claim = source_of(ObjectKey(kind, *own), document).claim
            if claim is not None and (claim.namespace, claim.name) == name:
                users.append(f"{kind}/{'/'.join(own)}, which is being copied from it")
    return users
