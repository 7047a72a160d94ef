"""What a manifest names on a platform, and where it says so: claims, networks, Secrets, ConfigMaps, classes, instance types. Pure.

*Source*: the API references of KubeVirt and CDI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.document import Document
from reconciler.model.instancetype import instancetype_of, preference_of
from reconciler.model.keys import ObjectKey
from reconciler.planning.resolve_volume import CLAIM_KINDS, claim_spec

_SPEC = "spec.template.spec"
_NETWORK = "NetworkAttachmentDefinition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Another object, by the keys that it may have: a claim is one of its own, or a DataVolume's. ``path`` is the manifest's."""

    keys: tuple[ObjectKey, ...]
    path: str


def references_of(document: Document) -> Iterator[Reference]:
    """Everything that has to be there for the object to work, in the order of the manifest."""
    match document.key.kind:
        case "VirtualMachine":
            yield from _of_vm(document)
        case "DataVolume":
            yield from _of_source(document.key, document.spec, "spec")
            yield from _class(document)
        case "PersistentVolumeClaim":
            yield from _class(document)


def _of_vm(document: Document) -> Iterator[Reference]:
    spec, namespace = document.spec, document.key.namespace
    template: Mapping[str, Any] = (spec.get("template") or {}).get("spec") or {}
    for field, named in (
        ("instancetype", instancetype_of(document.body, namespace)),
        ("preference", preference_of(document.body, namespace)),
    ):
        if named is not None:
            yield Reference(keys=(named,), path=f"spec.{field}.name")
    for index, one in enumerate(spec.get("dataVolumeTemplates") or ()):
        yield from _of_source(document.key, one.get("spec") or {}, f"spec.dataVolumeTemplates[{index}].spec")
    for credential in template.get("accessCredentials") or ():
        for field in ("sshPublicKey", "userPassword"):
            source = ((credential.get(field) or {}).get("source") or {}).get("secret") or {}
            yield from _named("Secret", namespace, source.get("secretName"), f"{_SPEC}.accessCredentials")
    for network in template.get("networks") or ():
        said = str((network.get("multus") or {}).get("networkName", ""))
        where, _, name = said.rpartition("/")
        path = f"{_SPEC}.networks[{network.get('name', '')}].multus.networkName"
        yield from _named(_NETWORK, where or namespace, name, path)
    for volume in template.get("volumes") or ():
        yield from _of_volume(volume, namespace, f"{_SPEC}.volumes[{volume.get('name', '')}]")


def _of_volume(volume: Mapping[str, Any], namespace: str, path: str) -> Iterator[Reference]:
    for field, name in (("persistentVolumeClaim", "claimName"), ("dataVolume", "name")):
        claim = (volume.get(field) or {}).get(name)
        if claim:
            keys = tuple(ObjectKey(kind, namespace, str(claim)) for kind in CLAIM_KINDS)
            yield Reference(keys=keys, path=f"{path}.{field}.{name}")
    for field in ("cloudInitNoCloud", "cloudInitConfigDrive"):
        for reference in ("secretRef", "networkDataSecretRef"):
            named = ((volume.get(field) or {}).get(reference) or {}).get("name")
            yield from _named("Secret", namespace, named, f"{path}.{field}.{reference}.name")
    sysprep = volume.get("sysprep") or {}
    for kind, said, name in (
        ("Secret", volume.get("secret"), "secretName"),
        ("ConfigMap", volume.get("configMap"), "name"),
        ("Secret", sysprep.get("secret"), "name"),
        ("ConfigMap", sysprep.get("configMap"), "name"),
    ):
        if said and not said.get("optional"):
            yield from _named(kind, namespace, said.get(name), path)


def _of_source(owner: ObjectKey, spec: Mapping[str, Any], path: str) -> Iterator[Reference]:
    """What the source of a DataVolume needs to be opened."""
    web = (spec.get("source") or {}).get("http") or {}
    yield from _named("Secret", owner.namespace, web.get("secretRef"), f"{path}.source.http.secretRef")
    yield from _named("ConfigMap", owner.namespace, web.get("certConfigMap"), f"{path}.source.http.certConfigMap")


def _class(document: Document) -> Iterator[Reference]:
    path, claim = claim_spec(document)
    name = claim.get("storageClassName")
    if name:
        yield Reference(keys=(ObjectKey("StorageClass", "", str(name)),), path=".".join((*path, "storageClassName")))


def _named(kind: str, namespace: str, name: object, path: str) -> Iterator[Reference]:
    if name:
        yield Reference(keys=(ObjectKey(kind, namespace, str(name)),), path=path)
