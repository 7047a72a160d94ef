"""Deleting a VM takes with it whatever names it as owner. Disks are taken out of that first, and read again to be sure (law 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodeexec.kubevirt.kinds import CLAIM_KINDS, KINDS
from nodeexec.kubevirt.marks import metadata_of
from nodeexec.kubevirt.steps import Steps, Tools
from reconciler.model.keys import ObjectKey

_TRIES = 3


def detach_disks(tools: Tools, owner: Mapping[str, Any], steps: Steps) -> str:
    """Take ``owner`` out of the ownerReferences of every DataVolume and claim. Empty once no disk names it any more, by a
    fresh reading; else which one still does.

    Raises:
        ApiError, UnreachableError: it cannot be read or written.
    """
    left = tuple(_owned_by(tools, owner))
    for _ in range(_TRIES):
        for key, document in left:
            _detach(tools, key, document, owner, steps)
        left = tuple(_still_owned(tools, owner, left))
        if not left:
            return ""
    return ", ".join(str(key) for key, _ in left)


def _owned_by(tools: Tools, owner: Mapping[str, Any]) -> Iterator[tuple[ObjectKey, Mapping[str, Any]]]:
    """Disks in the owner's namespace that name it, as the caches know them, and those that its own document names, read anew: one that
    KubeVirt made a moment ago is in no cache yet.
    """
    uid, namespace = metadata_of(owner).get("uid"), str(metadata_of(owner).get("namespace", ""))
    templates = (owner.get("spec") or {}).get("dataVolumeTemplates") or ()
    named = {str((one.get("metadata") or {}).get("name", "")) for one in templates} - {""}
    for kind in CLAIM_KINDS:
        if tools.caches.is_missing(KINDS[kind]):
            continue
        known = {name[1]: document for name, document in tools.caches.items(kind) if name[0] == namespace}
        for name in sorted({*known, *named}):
            key = ObjectKey(kind, namespace, name)
            current = tools.access.read(KINDS[kind], key) if name in named else known[name]
            if current is not None and _names(current, uid):
                yield key, current


def _still_owned(
    tools: Tools, owner: Mapping[str, Any], disks: tuple[tuple[ObjectKey, Mapping[str, Any]], ...]
) -> Iterator[tuple[ObjectKey, Mapping[str, Any]]]:
    for key, _ in disks:
        current = tools.access.read(KINDS[key.kind], key)
        if current is not None and _names(current, metadata_of(owner).get("uid")):
            yield key, current


def _detach(tools: Tools, key: ObjectKey, document: Mapping[str, Any], owner: Mapping[str, Any], steps: Steps) -> None:
    uid = metadata_of(owner).get("uid")
    kept = [one for one in metadata_of(document).get("ownerReferences") or () if one.get("uid") != uid]
    version = metadata_of(document).get("resourceVersion")
    tools.access.patch(
        KINDS[key.kind], key, {"metadata": {"ownerReferences": kept or None, "resourceVersion": version}}
    )
    steps.note(f"took {key} out of the hands of its VM")


def _names(document: Mapping[str, Any], uid: Any) -> bool:
    return any(one.get("uid") == uid for one in metadata_of(document).get("ownerReferences") or ())
