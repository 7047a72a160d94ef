"""What the marks of a volume say beyond those of every object: its claim's kind, its source and its storage class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.naming import CLAIM_KINDS
from nodeexec.libvirt.volume_files import FORMAT
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.resolved import ResolvedVolume, SourceKind, VolumeSource

CLAIM = "claim"
"""``extra`` entry of an adopted volume: the claim that it is."""
ATTACHED = "attached"
"""``extra.role`` of a seed or scratch volume, which belongs to a VM and ends with it."""


def claim_marks(marks: Marks, kind: str, source: VolumeSource, storage_class: str) -> DomainMarks:
    """The marks of a claim's volume."""
    return DomainMarks(marks=marks, extra={"kind": kind, "source": source_data(source), "storageClass": storage_class})


def adopted_marks(marks: Marks, claim: ResolvedVolume, format: str) -> DomainMarks:
    """The marks of a volume that was there before: its name tells neither its claim nor its format, so they do."""
    own = claim_marks(marks, claim.key.kind, claim.source, claim.storage_class)
    return DomainMarks(
        marks=marks, extra={**own.extra, CLAIM: f"{claim.key.namespace}/{claim.key.name}", FORMAT: format}
    )


def adopted_claim_of(marks: DomainMarks | None) -> tuple[str, str] | None:
    """(namespace, claim) of an adopted volume; None for any other."""
    text = str(marks.extra.get(CLAIM, "")) if marks is not None else ""
    namespace, _, name = text.partition("/")
    return (namespace, name) if namespace and name else None


def attached_marks(marks: Marks, vm: ObjectKey) -> DomainMarks:
    """The marks of a seed or scratch volume of ``vm``; nothing of the VM's document is repeated there."""
    return DomainMarks(marks=marks, extra={"role": ATTACHED, "vm": str(vm)})


def marked_vm(marks: DomainMarks | None) -> ObjectKey | None:
    """The VM that a seed or scratch volume was generated for; None for any other volume."""
    if marks is None or marks.extra.get("role") != ATTACHED:
        return None
    try:
        return ObjectKey.parse(str(marks.extra.get("vm", "")))
    except ValueError:
        return None


def kind_of(marks: DomainMarks) -> str:
    """The kind of the claim; empty when it is no claim's volume."""
    kind = str(marks.extra.get("kind", ""))
    return kind if kind in CLAIM_KINDS else ""


def source_of(marks: DomainMarks) -> VolumeSource | None:
    """Where its first content came from; None when that is not written down."""
    data = marks.extra.get("source")
    if not isinstance(data, Mapping):
        return None
    try:
        return source_from(data)
    except ValueError:
        return None


def storage_class_of(marks: DomainMarks) -> str:
    """The StorageClass as it was declared."""
    return str(marks.extra.get("storageClass", ""))


def source_data(source: VolumeSource) -> dict[str, Any]:
    """A source as JSON data."""
    data = {"kind": str(source.kind), "url": source.url, "checksum": source.checksum}
    if source.claim is not None:
        data["claim"] = str(source.claim)
    return {name: value for name, value in data.items() if value}


def source_from(data: Any) -> VolumeSource:
    """The inverse of `source_data`.

    Raises:
        ValueError: it is not such data.
    """
    try:
        claim = data.get("claim")
        return VolumeSource(
            kind=SourceKind(data["kind"]),
            url=str(data.get("url", "")),
            checksum=str(data.get("checksum", "")),
            claim=ObjectKey.parse(claim) if claim else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a volume source: {error}") from error
