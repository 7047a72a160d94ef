"""Claims and DataVolumes that left Git: labelled, never deleted, until somebody empties them by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.kinds import CLAIM, CLAIM_KINDS, DATA_VOLUME, KINDS
from nodeexec.kubevirt.marks import OWNER, REVISION, TRASH, labels_of, metadata_of, trash_stamp
from nodeexec.kubevirt.project_volume import is_trash, item_name
from nodeexec.kubevirt.steps import Steps, Tools
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result


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
    change = {"labels": {TRASH: stamp}, "annotations": {REVISION: revision}}
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
    document = find(tools, item)
    if document is None:
        return False
    version = metadata_of(document).get("resourceVersion")
    tools.access.patch(KINDS[key.kind], key, {"metadata": {"labels": {TRASH: None}, "resourceVersion": version}})
    steps.note("took it out of the trash")
    return True


def restore(tools: Tools, item: str) -> Outcome:
    """Take a volume out of the trash by the item's name.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    steps, document = Steps(), find(tools, item)
    if document is None:
        return steps.outcome(Result.REFUSED, f"there is no trash item {item}")
    kind = DATA_VOLUME if item.startswith("dv.") else CLAIM
    take_back(
        tools,
        ObjectKey(kind, str(metadata_of(document).get("namespace", "")), str(metadata_of(document)["name"])),
        item,
        steps,
    )
    return steps.outcome()


def empty(tools: Tools, item: str) -> Outcome:
    """Delete one item for good. The claim of a DataVolume goes with it, by the cluster's own rules.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    steps = Steps()
    document = find(tools, item)
    if document is None:
        return steps.outcome(Result.REFUSED, f"there is no trash item {item}")
    kind = DATA_VOLUME if item.startswith("dv.") else CLAIM
    key = ObjectKey(kind, str(metadata_of(document).get("namespace", "")), str(metadata_of(document).get("name", "")))
    users = tools.caches.users_of((key.namespace, key.name))
    if users:
        return steps.outcome(Result.REFUSED, f"{key} is used by {', '.join('/'.join(user) for user in users)}")
    current = tools.access.read(KINDS[kind], key)
    if current is None or not is_trash(current) or metadata_of(current).get("uid") != metadata_of(document).get("uid"):
        return steps.outcome(Result.CONFLICT, f"{item} is no longer in the trash")
    tools.access.delete(KINDS[kind], key, current, orphan=False)
    steps.note(f"deleted {key}")
    return steps.outcome()


def find(tools: Tools, item: str) -> Mapping[str, Any] | None:
    """The volume that is an item of this owner's trash."""
    for kind in CLAIM_KINDS:
        for name, document in tools.caches.items(kind):
            ours = is_trash(document) and labels_of(document).get(OWNER) == tools.owner
            if ours and item_name(ObjectKey(kind, *name), labels_of(document)[TRASH]) == item:
                return document
    return None


def holds(tools: Tools, key: ObjectKey) -> bool:
    """Whether a trashed volume has an object's name."""
    document = tools.caches.get(key.kind, (key.namespace, key.name)) if key.kind in CLAIM_KINDS else None
    return document is not None and is_trash(document)
