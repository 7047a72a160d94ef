"""Whether a disk that was there is lost, and what to tell of it (docs/adr/0039-lost-claims.md). Pure.

*Source*: CDI makes the claim of a DataVolume anew when it is gone, and fills it from the source; virt-controller makes the DataVolumes of
dataVolumeTemplates anew, and labels them; Kubernetes keeps a claim that was deleted for as long as a pod uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME
from nodeexec.kubevirt.marks import OWNER, is_tracked, labels_of, metadata_of, read_marks, read_time, time_text
from nodeexec.kubevirt.project_vm import fingerprint
from nodeexec.kubevirt.project_volume import class_of, is_trash, size_of, source_of
from nodeexec.kubevirt.register_text import KnownDisk
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveVolume, Marks, Served

Document = Mapping[str, Any]

_MADE_BY_KUBEVIRT = "kubevirt.io/created-by"
_BACKUP = "put it back from a backup, or on its volume where that was kept (`kubectl get pv`)"
_RESTORED = "where that has its data (you uploaded a backup), `gitvirt adopt --kind` takes it over; where not, delete it and put the old one back"
_AS_IT_IS = "to go on with the one that is there"
_RETAIN = '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
_ON_ITS_OWN = '[{"op":"remove","path":"/metadata/ownerReferences"}]'
_FILLED = {CLAIM: "Bound", DATA_VOLUME: "Succeeded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How a disk came to be lost: ``said`` of its object, what brings it back (``back``), and what naming the loss does (``anew``). ``stands``
    is the object that has to be gone before a new one can be made: ``is_going`` by itself, or a claim without its volume.
    """

    said: str
    back: str
    anew: str = "to have a new one made"
    stands: ObjectKey | None = None
    is_going: bool = False

    def reason(self, live: LiveVolume) -> str:
        """What happened and each way out."""
        return f"{self.said}: {self.back}, or annotate its manifest with gitvirt.io/fresh-disk: {live.loss} {self.anew}"


def loss_of(
    key: ObjectKey,
    known: KnownDisk | None,
    document: Document | None,
    claim: Document | None,
    *,
    owner: str,
    leaves_with_its_vm: bool = False,
) -> Loss | None:
    """What became of a disk, None where it is as it was or nobody knows of one. ``document`` is what has the name now, ``claim`` its claim
    (of a claim, itself); one that lies in the trash is not lost. ``leaves_with_its_vm``: it belongs to a VM that somebody deleted.
    """
    was = known if known is not None and known.key == key else None
    if document is None:
        return _gone(was, claim) if was is not None else None
    if not is_ours(document, key, owner):
        return _replaced(was, document, claim) if was is not None and was.uid != uid_of(document) else None
    if metadata_of(document).get("deletionTimestamp"):
        return _going(key, document, claim)
    if leaves_with_its_vm and was is not None and was.uid == uid_of(document):
        return _leaving(key, claim)
    if key.kind == CLAIM:
        return _without_volume(key) if _phase(document) == "Lost" else None
    if was is None or was.uid != uid_of(document) or not was.claim_uid:
        return None
    under = ObjectKey(CLAIM, key.namespace, key.name)
    if claim is None or uid_of(claim) != was.claim_uid:
        return _without_claim(was, claim)
    if metadata_of(claim).get("deletionTimestamp"):
        return _going(under, claim, claim)
    return _without_volume(under) if _phase(claim) == "Lost" else None


def known_disk(key: ObjectKey, document: Document, claim: Document | None) -> KnownDisk | None:
    """What to remember of a disk that is there; None before there can be data on it."""
    if _phase(document) != _FILLED[key.kind] or claim is None:
        return None
    made_at = read_time(metadata_of(claim).get("creationTimestamp"))
    if made_at is None:
        return None
    of_claim = uid_of(claim) if key.kind == DATA_VOLUME else ""
    return KnownDisk(key=key, uid=uid_of(document), claim_uid=of_claim, made_at=made_at)


def lost_volume(
    key: ObjectKey,
    known: KnownDisk | None,
    document: Document | None,
    loss: Loss,
    *,
    users: tuple[ObjectKey, ...],
    owner: str,
    host: str,
) -> LiveVolume:
    """A lost disk as planning looks at it. It is ours although an object that is not may have its name by now."""
    there = document or {}
    marks = read_marks(there, key, host) if document is not None and is_ours(document, key, owner) else None
    applied = marks.applied if marks is not None else None
    created_at = known.made_at if known is not None else read_time(metadata_of(there).get("creationTimestamp"))
    live = LiveVolume(
        key=key,
        fingerprint=f"lost:{known.uid if known else ''}:{loss.said}:{fingerprint(there) if there else ''}",
        marks=Marks(
            owner=owner, host=host, revision=marks.revision if marks else "", applied=applied, created_at=created_at
        ),
        pool="",
        volume="",
        format="",
        size_bytes=size_of(there, None),
        source=source_of(key, applied) if applied else None,
        storage_class=class_of(key, applied) if applied else "",
        phase=LOST,
        used_by=users,
        served=Served(document=there) if document is not None else None,
    )
    return replace(live, reason=loss.reason(live))


def is_ours(document: Document, key: ObjectKey, owner: str) -> bool:
    """Whether an object is this owner's."""
    return labels_of(document).get(OWNER) == owner and is_tracked(document, key)


def uid_of(document: Document) -> str:
    """The server's own name for an object."""
    return str(metadata_of(document).get("uid", ""))


def _gone(was: KnownDisk, claim: Document | None) -> Loss | None:
    """An object that is not there any more. A DataVolume whose claim stands by itself has lost nothing: it was deleted without what belongs to it."""
    if was.key.kind == DATA_VOLUME and claim is not None and uid_of(claim) == was.claim_uid and not _is_leaving(claim):
        return None
    said = f"it is gone, and gitvirt did not take it away (it was made at {time_text(was.made_at)})"
    return Loss(said=said, back=_saved(was, claim) or _BACKUP)


def _is_leaving(claim: Document) -> bool:
    """Whether a claim is being deleted, or belongs to a DataVolume and is deleted after it."""
    owners = metadata_of(claim).get("ownerReferences") or ()
    belongs = any(one.get("kind") == DATA_VOLUME for one in owners)
    return belongs or bool(metadata_of(claim).get("deletionTimestamp")) or is_trash(claim)


def _replaced(was: KnownDisk, document: Document, claim: Document | None) -> Loss:
    """Another object has the name, which is not gitvirt's."""
    by = " (KubeVirt made it)" if labels_of(document).get(_MADE_BY_KUBEVIRT) else ""
    since = metadata_of(document).get("creationTimestamp")
    return Loss(
        said=f"it is gone, and gitvirt did not take it away; another one of its name{by} is there since {since}",
        back=_saved(was, claim) or _RESTORED,
        anew=_AS_IT_IS,
    )


def _without_claim(was: KnownDisk, claim: Document | None) -> Loss:
    """A DataVolume is there, and its data is not."""
    since = (
        f"another one is there since {metadata_of(claim).get('creationTimestamp')}" if claim else "CDI makes it anew"
    )
    said = f"it has lost its claim, which somebody deleted; {since}, from its source, without what was written since {time_text(was.made_at)}"
    return Loss(said=said, back="put DataVolume and claim back from a backup", anew=_AS_IT_IS)


def _going(key: ObjectKey, document: Document, claim: Document | None) -> Loss:
    """It is there still: the only time in which somebody can keep its data."""
    return Loss(
        said=f"somebody deleted it at {metadata_of(document).get('deletionTimestamp')}, and it goes with the last guest that uses it",
        back=_keeping(claim) or "do not stop its VM before its data is safe",
        anew="to have a new one made once it is gone",
        stands=key,
        is_going=True,
    )


def _leaving(key: ObjectKey, claim: Document | None) -> Loss:
    """The cluster's garbage collector is about to delete it."""
    resource = "pvc" if key.kind == CLAIM else "dv"
    keep = f"kubectl patch {resource} {key.name} -n {key.namespace} --type json -p '{_ON_ITS_OWN}'"
    return Loss(
        said="somebody deleted the VM that it belongs to, and it goes with that",
        back=f"`{keep}` keeps it if it is there still" + (f"; {_keeping(claim)}" if _keeping(claim) else ""),
        anew="to have a new one made once it is gone",
        stands=key,
        is_going=True,
    )


def _saved(was: KnownDisk, claim: Document | None) -> str:
    """How to keep the data of a DataVolume that is gone, while a guest has its claim still."""
    return _keeping(claim) if claim is not None and uid_of(claim) == was.claim_uid else ""


def _keeping(claim: Document | None) -> str:
    """The command by which the volume of a claim stays when the claim goes; empty where it has none."""
    volume = str(((claim or {}).get("spec") or {}).get("volumeName") or "")
    return (
        f"do not stop its VM before `kubectl patch pv {volume} -p '{_RETAIN}'`, which keeps its data" if volume else ""
    )


def _without_volume(claim: ObjectKey) -> Loss:
    """Kubernetes' own ``Lost``."""
    said = "it is without its data: the PersistentVolume that its claim was bound to is gone"
    return Loss(said=said, back="put that back", stands=claim)


def _phase(document: Document) -> str:
    return str((document.get("status") or {}).get("phase", ""))
