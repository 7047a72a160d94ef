"""Manifests → what a cluster is asked for. References, placement and filling are the cluster's, so nothing is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.model.adoption import ADOPT
from reconciler.model.document import Document
from reconciler.model.domain import CpuSpec
from reconciler.model.instancetype import instancetype_of, sizing_of
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.packed import packed
from reconciler.model.policy import Policy
from reconciler.model.quantity import bytes_of
from reconciler.model.resolved import NetworkSpec, ResolvedNetwork, ResolvedResource, ResolvedVm, ResolvedVolume
from reconciler.planning.redact import Digest, applied_document
from reconciler.planning.resolve_vm import References, VolumePlace, resolve_vm
from reconciler.planning.resolve_volume import FRESH_DISK, claim_spec, volume_source, with_owner

_CLAIM = "PersistentVolumeClaim"
_DATA_VOLUME = "DataVolume"


class _ClaimsOfCluster(Mapping[ObjectKey, VolumePlace]):
    """Every claim may be there: those of the repository under their kind, all others as plain claims."""

    def __init__(self, declared: Mapping[ObjectKey, VolumePlace]) -> None:
        self._declared = declared

    def __getitem__(self, key: ObjectKey) -> VolumePlace:
        found = self._declared.get(key)
        if found is not None:
            return found
        if key.kind == _CLAIM and self._declared.get(ObjectKey(_DATA_VOLUME, key.namespace, key.name)) is None:
            return VolumePlace(key=key, pool="", format="")
        raise KeyError(key)

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)


class _Everything:
    """Every network may be there."""

    def __contains__(self, key: object) -> bool:
        return True


def vm_of_cluster(document: Document, references: References, *, policy: Policy, digest: Digest) -> ResolvedVm:
    """A VirtualMachine. ``claims`` and ``networks`` are those of the repository alone: of others only the cluster knows. To say of a VM
    that it is the existing one of its own name holds nothing back: there can be no second one.

    Raises:
        UnresolvableError: its restart policy is none.
    """
    of_cluster = replace(
        references, volumes=_ClaimsOfCluster(references.volumes), networks=_Everything(), kept_seeds={}
    )
    vm = resolve_vm(document, of_cluster, policy=policy, digest=digest)
    named = instancetype_of(document.body, document.key.namespace)
    instancetype = references.documents.get(named) if named is not None else None
    sizing = sizing_of(instancetype.body) if instancetype is not None else None
    domain = vm.domain
    if sizing is not None:
        domain = replace(domain, cpu=CpuSpec(sockets=sizing.cpus), memory_mib=sizing.memory_mib)
    return replace(
        vm,
        adopt="" if vm.adopt in (vm.key.name, f"{vm.key.namespace}/{vm.key.name}") else vm.adopt,
        domain=domain,
        claims=tuple(key for key in vm.claims if key in references.volumes),
        networks=tuple(key for key in vm.networks if key != POD_NETWORK and key in references.networks),
    )


def volume_of_cluster(document: Document, digest: Digest, owner_vm: ObjectKey | None) -> ResolvedVolume:
    """A claim or DataVolume; its class and pool are the cluster's."""
    path, claim = claim_spec(document)
    size = ((claim.get("resources") or {}).get("requests") or {}).get("storage")
    applied = applied_document(document, digest)
    if owner_vm is not None:
        applied = with_owner(applied, owner_vm)
    return ResolvedVolume(
        key=document.key,
        document=document,
        applied=packed(applied),
        pool="",
        storage_class=claim.get("storageClassName") or "",
        format="",
        size_bytes=bytes_of(size) if size is not None else 0,
        size_path=".".join((*path, "resources", "requests", "storage")),
        source=volume_source(document, claim, digest),
        fresh_disk=document.annotations.get(FRESH_DISK, ""),
        owner_vm=owner_vm,
        adopt=document.annotations.get(ADOPT, ""),
    )


def network_of_cluster(document: Document, digest: Digest) -> ResolvedNetwork:
    """A NetworkAttachmentDefinition; what its configuration means is the nodes' business."""
    applied = packed(applied_document(document, digest))
    return ResolvedNetwork(key=document.key, document=document, applied=applied, network=NetworkSpec())


def resource_of_cluster(document: Document, digest: Digest) -> ResolvedResource:
    """Any other object."""
    applied = packed(applied_document(document, digest))
    return ResolvedResource(key=document.key, document=document, applied=applied)
