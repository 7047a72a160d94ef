"""PersistentVolumeClaim or DataVolume, StorageClass and pool → one volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.adoption import ADOPT
from reconciler.model.document import Document, dotted
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVolume
from reconciler.model.packed import packed
from reconciler.model.policy import Policy
from reconciler.model.problem_codes import problem
from reconciler.model.quantity import bytes_of
from reconciler.model.resolved import ResolvedVolume, SourceKind, VolumeSource
from reconciler.planning.redact import Digest, applied_document, shown_url
from reconciler.planning.source_access import source_access
from reconciler.planning.unresolvable import UnresolvableError

CLAIM_KINDS = ("PersistentVolumeClaim", "DataVolume")
FRESH_DISK = "gitvirt.io/fresh-disk"
CHECKSUM = "gitvirt.io/checksum"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def resolve_volume(
    document: Document,
    *,
    policy: Policy,
    digest: Digest,
    classes: Mapping[str, Document],
    documents: Mapping[ObjectKey, Document],
    live: LiveVolume | None,
    owner_vm: ObjectKey | None,
) -> ResolvedVolume:
    """Join a claim with its class and pool. The class and pool recorded on the live volume win: a volume does not move
    because a default changed. ``documents`` are the Secrets and ConfigMaps that its source may name, among others.

    Raises:
        UnresolvableError: its class leads to no pool, or its source cannot be asked for.
        MissingReferenceError: a Secret or ConfigMap of its source is not there; one that has its content needs none.
    """
    claim_path, claim = claim_spec(document)
    storage_class = claim.get("storageClassName") or _default_class(classes)
    if live is not None and not claim.get("storageClassName"):
        storage_class = live.storage_class
    is_filled = live is not None and live.phase == "Succeeded"
    pool, class_format = _pool(document, storage_class, policy)
    if live is not None and storage_class == live.storage_class:
        pool, class_format = live.pool, live.format
    chosen = policy.storage_classes.get(storage_class)
    encrypted = live.encrypted if is_filled and live is not None else bool(chosen and chosen.passphrase_file)
    block = claim.get("volumeMode") == "Block" and not encrypted
    size = ((claim.get("resources") or {}).get("requests") or {}).get("storage")
    applied = applied_document(document, digest)
    if owner_vm is not None:
        applied = with_owner(applied, owner_vm)
    source, http = volume_source(document, claim, digest), (document.spec.get("source") or {}).get("http") or {}
    return ResolvedVolume(
        key=document.key,
        document=document,
        applied=packed(applied),
        pool=pool,
        storage_class=storage_class,
        format=class_format or ("raw" if block else "qcow2"),
        size_bytes=bytes_of(size) if size is not None else 0,
        size_path=dotted((*claim_path, "resources", "requests", "storage")),
        source=source,
        fresh_disk=document.annotations.get(FRESH_DISK, ""),
        owner_vm=owner_vm,
        encrypted=encrypted,
        access=source_access(document, http, documents) if source.kind is SourceKind.HTTP and not is_filled else None,
        adopt=document.annotations.get(ADOPT, ""),
    )


def with_owner(applied: Mapping[str, Any], vm: ObjectKey) -> dict[str, Any]:
    """The applied document of a DataVolume, which remembers the VM whose template it is."""
    owner = {"apiVersion": "kubevirt.io/v1", "kind": vm.kind, "name": vm.name}
    return {**applied, "metadata": {**applied.get("metadata", {}), "ownerReferences": [owner]}}


def claim_spec(document: Document) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Where the claim's own fields stand: a DataVolume has them under ``storage`` or ``pvc``."""
    if document.key.kind == "PersistentVolumeClaim":
        return ("spec",), document.spec
    name = "storage" if document.spec.get("storage") is not None else "pvc"
    return ("spec", name), document.spec.get(name) or {}


def _default_class(classes: Mapping[str, Document]) -> str:
    """The StorageClass that is marked as the default; empty when none is, or more than one."""
    marked = [name for name, document in classes.items() if document.annotations.get(DEFAULT_CLASS) == "true"]
    return marked[0] if len(marked) == 1 else ""


def _pool(document: Document, storage_class: str, policy: Policy) -> tuple[str, str]:
    if not storage_class:
        return policy.default_pool, ""
    chosen = policy.storage_classes.get(storage_class)
    if chosen is None:
        known = ", ".join(sorted(policy.storage_classes)) or "none"
        path = (*claim_spec(document)[0], "storageClassName")
        raise UnresolvableError(
            problem(
                "storage-class-unknown",
                document.place(path),
                f"storage class {storage_class!r} leads to no pool on this host",
                object=document.key,
                path=dotted(path),
                hint=f"name one in settings.storageClasses (there now: {known}), or leave storageClassName out",
            )
        )
    return chosen.pool, chosen.format


def volume_source(document: Document, claim: Mapping[str, Any], digest: Digest) -> VolumeSource:
    """Where the first content comes from."""
    source = document.spec.get("source") or {} if document.key.kind == "DataVolume" else {}
    if source.get("http") is not None:
        http = source["http"]
        return VolumeSource(
            kind=SourceKind.HTTP,
            url=shown_url(http.get("url", ""), digest),
            checksum=http.get("checksum") or document.annotations.get(CHECKSUM, ""),
        )
    clone = source.get("pvc")
    if clone is None:
        reference = claim.get("dataSourceRef") or claim.get("dataSource") or {}
        clone = reference if reference.get("kind") == "PersistentVolumeClaim" else None
    if clone is not None:
        namespace = clone.get("namespace") or document.key.namespace
        claim_key = ObjectKey("PersistentVolumeClaim", namespace, clone.get("name", ""))
        return VolumeSource(kind=SourceKind.CLONE, claim=claim_key)
    return VolumeSource(kind=SourceKind.BLANK)
