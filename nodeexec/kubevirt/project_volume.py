"""PersistentVolumeClaim or DataVolume → `LiveVolume`, or `TrashItem` where it is labelled so. Pure.

*Source*: CDI's API reference (phases of a DataVolume); Kubernetes' API reference (phases of a claim).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nodeexec.kubevirt.findings import message_of
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME
from nodeexec.kubevirt.marks import (
    OWNER,
    REVISION,
    TRASH,
    annotations_of,
    labels_of,
    metadata_of,
    read_marks,
    read_stamp,
    trash_age,
)
from nodeexec.kubevirt.project_vm import fingerprint
from nodeexec.trash_age import age_at
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField, LiveVolume, Served, TrashItem
from reconciler.model.moment import Moment
from reconciler.model.quantity import bytes_of
from reconciler.model.resolved import SourceKind, VolumeSource

_PHASES = {"Bound": "Succeeded", "Pending": "Pending", "Lost": "Failed", "": "Pending"}
_KIND_LETTERS = {CLAIM: "pvc", DATA_VOLUME: "dv"}
POPULATED_FOR = "cdi.kubevirt.io/storage.populatedFor"
"""Annotation of a claim that has its content: the DataVolume that CDI gives it to."""


def is_trash(document: Mapping[str, Any]) -> bool:
    """Whether a claim or DataVolume waits in the trash."""
    return bool(labels_of(document).get(TRASH))


def live_volume(
    key: ObjectKey,
    document: Mapping[str, Any],
    claim: Mapping[str, Any] | None,
    users: tuple[ObjectKey, ...],
    *,
    host: str,
    settled: tuple[KeptField, ...] = (),
) -> LiveVolume:
    """A volume as planning looks at it. ``claim`` is the claim of a DataVolume, which has its size; of a claim, itself."""
    status = document.get("status") or {}
    phase = str(status.get("phase", ""))
    marks = read_marks(document, key, host)
    return LiveVolume(
        key=key,
        fingerprint=fingerprint(document),
        marks=marks,
        pool="",
        volume=str(((claim or {}).get("spec") or {}).get("volumeName", "")),
        format="",
        size_bytes=size_of(document, claim),
        source=source_of(key, marks.applied if marks is not None and marks.applied else document),
        storage_class=class_of(key, marks.applied if marks is not None and marks.applied else document),
        phase=_PHASES.get(phase, phase) if key.kind == CLAIM else phase or "Pending",
        progress=_progress(status.get("progress")),
        reason=_reason(key, document),
        used_by=users,
        fills_itself=True,
        filled_for=_filled_for(key, document),
        served=Served(document=document, settled=settled),
    )


def trash_item(
    key: ObjectKey, document: Mapping[str, Any], claim: Mapping[str, Any] | None, *, host: str, now: Moment
) -> TrashItem:
    """A volume in the trash. ``host`` is the cluster's name as marks carry it: whoever of its replicas put it there, all may see it age."""
    stamp = labels_of(document)[TRASH]
    marks = read_marks(document, key, host)
    applied = marks.applied if marks is not None else None
    return TrashItem(
        item=item_name(key, stamp),
        key=key,
        owner=labels_of(document).get(OWNER, ""),
        trashed_at=read_stamp(stamp) or datetime(1970, 1, 1, tzinfo=UTC),
        pool="",
        size_bytes=size_of(document, claim),
        source=source_of(key, applied or document),
        storage_class=class_of(key, applied or document),
        revision=annotations_of(document).get(REVISION, ""),
        applied=applied,
        host=host,
        aged_s=age_at(trash_age(document), now),
    )


def item_name(key: ObjectKey, stamp: str) -> str:
    """The name of a trash item: dated, and its claim's."""
    return f"{_KIND_LETTERS.get(key.kind, key.kind)}.{key.namespace}.{key.name}.{stamp}"


def claim_part(key: ObjectKey, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A claim's own fields: a DataVolume has them under ``storage`` or ``pvc``."""
    spec: Mapping[str, Any] = document.get("spec") or {}
    return spec if key.kind == CLAIM else spec.get("storage") or spec.get("pvc") or {}


def requested(part: Mapping[str, Any]) -> int:
    """The size that a claim asks for, in bytes; 0 for none."""
    said = ((part.get("resources") or {}).get("requests") or {}).get("storage")
    return bytes_of(said) if said is not None else 0


def size_of(document: Mapping[str, Any], claim: Mapping[str, Any] | None) -> int:
    """What there is: the claim's capacity, else what was asked for."""
    capacity = (((claim or {}).get("status") or {}).get("capacity") or {}).get("storage")
    asked = requested((claim or {}).get("spec") or {}) or requested(
        (document.get("spec") or {}).get("storage") or (document.get("spec") or {}).get("pvc") or {}
    )
    return max(bytes_of(capacity), asked) if capacity is not None else asked


def source_of(key: ObjectKey, document: Mapping[str, Any]) -> VolumeSource:
    """Where a volume's first content came from, as its manifest says it."""
    source = (document.get("spec") or {}).get("source") or {} if key.kind != CLAIM else {}
    http = source.get("http")
    if http is not None:
        checksum = http.get("checksum") or annotations_of(document).get("gitvirt.io/checksum", "")
        return VolumeSource(kind=SourceKind.HTTP, url=str(http.get("url", "")), checksum=str(checksum))
    part = claim_part(key, document)
    clone = source.get("pvc")
    if clone is None:
        reference = part.get("dataSourceRef") or part.get("dataSource") or {}
        clone = reference if reference.get("kind") == CLAIM else None
    if clone is not None:
        namespace = str(clone.get("namespace") or key.namespace)
        return VolumeSource(kind=SourceKind.CLONE, claim=ObjectKey(CLAIM, namespace, str(clone.get("name", ""))))
    return VolumeSource(kind=SourceKind.BLANK)


def class_of(key: ObjectKey, document: Mapping[str, Any]) -> str:
    """The storage class that the manifest names, empty for the cluster's default."""
    return str(claim_part(key, document).get("storageClassName") or "")


def _filled_for(key: ObjectKey, document: Mapping[str, Any]) -> ObjectKey | None:
    """The DataVolume that a claim belongs to, or that CDI will give it to as it is when it is made."""
    owners = metadata_of(document).get("ownerReferences") or () if key.kind == CLAIM else ()
    named = next((one.get("name") for one in owners if one.get("controller") and one.get("kind") == DATA_VOLUME), None)
    name = named or (annotations_of(document).get(POPULATED_FOR) if key.kind == CLAIM else None)
    return ObjectKey(DATA_VOLUME, key.namespace, str(name)) if name else None


def _progress(said: Any) -> float | None:
    try:
        return float(str(said).rstrip("%")) / 100 if said and said != "N/A" else None
    except ValueError:
        return None


def _reason(key: ObjectKey, document: Mapping[str, Any]) -> str:
    said = message_of(document, "Running", "Bound")
    is_bare = key.kind == CLAIM and (document.get("status") or {}).get("phase") in (None, "Pending")
    return said or ("not bound yet, perhaps until a guest starts with it" if is_bare else "")
