"""What one document offers to others, needs of others, and claims for itself alone.

`facts_of` looks at one document only, so its answer can be kept with the document; the checks between documents work on
facts alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.manifests.guest_addresses import static_addresses
from reconciler.manifests.kinds.vm_networks import normal_mac
from reconciler.manifests.kinds.vm_paths import INTERFACES, NETWORKS
from reconciler.manifests.templates import template_keys
from reconciler.model.document import Document, FieldPath
from reconciler.model.keys import ObjectKey

CLAIM = "claim"
"""One namespace of names for PersistentVolumeClaims, DataVolumes and templates: each becomes a volume of its name."""

CLAIM_MAKERS = ("PersistentVolumeClaim", "DataVolume")

_DEVICES: FieldPath = ("spec", "template", "spec", "domain", "devices")
_VOLUMES: FieldPath = ("spec", "template", "spec", "volumes")
_CREDENTIALS: FieldPath = ("spec", "template", "spec", "accessCredentials")
_KIND_CODES = {
    "Secret": "secret-missing",
    "ConfigMap": "configmap-missing",
    "NetworkAttachmentDefinition": "network-missing",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A claim name that a document makes a volume of."""

    claim: ObjectKey
    path: FieldPath


@dataclass(frozen=True, slots=True)
class Need:
    """Another object that has to exist; ``code`` is the problem when it does not."""

    code: str
    wanted: ObjectKey
    path: FieldPath


@dataclass(frozen=True, slots=True)
class Hold:
    """Something of which there is one: a MAC, a UUID, a disk. ``shared`` allows others that are shared too."""

    code: str
    resource: str
    path: FieldPath
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that other documents may depend on or collide with."""

    offers: tuple[Offer, ...] = ()
    needs: tuple[Need, ...] = ()
    holds: tuple[Hold, ...] = ()

    @property
    def claims(self) -> frozenset[ObjectKey]:
        """The claim names of the offers."""
        return frozenset(offer.claim for offer in self.offers)

    @property
    def wanted(self) -> frozenset[ObjectKey]:
        """The objects of the needs."""
        return frozenset(need.wanted for need in self.needs)

    @property
    def things(self) -> frozenset[tuple[str, str]]:
        """(code, resource) of the holds."""
        return frozenset((hold.code, hold.resource) for hold in self.holds)


def facts_of(document: Document) -> Facts:
    """The facts of one valid document."""
    match document.key.kind:
        case "VirtualMachine":
            return _facts_of_vm(document)
        case "PersistentVolumeClaim":
            return Facts(offers=(Offer(_claim(document, document.key.name), ("metadata", "name")),))
        case "DataVolume":
            offer = Offer(_claim(document, document.key.name), ("metadata", "name"))
            return Facts(offers=(offer,), needs=tuple(_volume_needs(document, document.spec, ("spec",))))
    return Facts()


def _claim(document: Document, name: str, namespace: str = "") -> ObjectKey:
    return ObjectKey(CLAIM, namespace or document.key.namespace, name)


def _object(document: Document, kind: str, name: str, path: FieldPath) -> Need:
    return Need(_KIND_CODES[kind], ObjectKey(kind, document.key.namespace, name), path)


def _facts_of_vm(document: Document) -> Facts:
    vmi = document.spec["template"]["spec"]
    templates = document.spec.get("dataVolumeTemplates", ())
    offers = tuple(
        Offer(_claim(document, key.name), ("spec", "dataVolumeTemplates", index, "metadata", "name"))
        for index, key in enumerate(template_keys(document))
    )
    needs: list[Need] = []
    holds: list[Hold] = []
    for index, template in enumerate(templates):
        needs += _volume_needs(document, template["spec"], ("spec", "dataVolumeTemplates", index, "spec"))
    disks = {disk["name"]: disk for disk in vmi["domain"]["devices"].get("disks", ())}
    for index, volume in enumerate(vmi.get("volumes", ())):
        path = (*_VOLUMES, index)
        needs += _needs_of_volume(document, volume, path)
        holds += _holds_of_volume(document, volume, disks.get(volume["name"], {}), path)
    for index, credential in enumerate(vmi.get("accessCredentials", ())):
        for field in ("sshPublicKey", "userPassword"):
            secret = credential.get(field, {}).get("source", {}).get("secret", {}).get("secretName")
            if secret:
                path = (*_CREDENTIALS, index, field, "source", "secret", "secretName")
                needs.append(_object(document, "Secret", secret, path))
    for index, network in enumerate(vmi.get("networks", ())):
        if "multus" in network:
            needs.append(
                _network_need(document, network["multus"]["networkName"], (*NETWORKS, index, "multus", "networkName"))
            )
    holds += _holds_of_machine(vmi)
    holds += _holds_of_guest(document, vmi)
    return Facts(offers, tuple(needs), tuple(holds))


def _network_need(document: Document, written: str, path: FieldPath) -> Need:
    namespace, slash, name = written.rpartition("/")
    kind = "NetworkAttachmentDefinition"
    key = ObjectKey(kind, namespace if slash else document.key.namespace, name)
    return Need(_KIND_CODES[kind], key, path)


def _needs_of_volume(document: Document, volume: Mapping[str, Any], path: FieldPath) -> Iterator[Need]:
    """Claims, Secrets and ConfigMaps behind a volume."""
    for fields in (("persistentVolumeClaim", "claimName"), ("dataVolume", "name")):
        if fields[0] in volume:
            yield Need("claim-missing", _claim(document, volume[fields[0]][fields[1]]), (*path, *fields))
    backing = volume.get("ephemeral", {}).get("persistentVolumeClaim", {}).get("claimName")
    if backing:
        yield Need(
            "claim-missing", _claim(document, backing), (*path, "ephemeral", "persistentVolumeClaim", "claimName")
        )
    for field in ("cloudInitNoCloud", "cloudInitConfigDrive"):
        for reference in ("secretRef", "networkDataSecretRef"):
            name = volume.get(field, {}).get(reference, {}).get("name")
            if name:
                yield _object(document, "Secret", name, (*path, field, reference, "name"))
    secret, config_map, sysprep = volume.get("secret", {}), volume.get("configMap", {}), volume.get("sysprep", {})
    if secret.get("secretName") and not secret.get("optional"):
        yield _object(document, "Secret", secret["secretName"], (*path, "secret", "secretName"))
    if config_map.get("name") and not config_map.get("optional"):
        yield _object(document, "ConfigMap", config_map["name"], (*path, "configMap", "name"))
    for field, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
        name = sysprep.get(field, {}).get("name")
        if name:
            yield _object(document, kind, name, (*path, "sysprep", field, "name"))


def _holds_of_volume(
    document: Document, volume: Mapping[str, Any], disk: Mapping[str, Any], path: FieldPath
) -> Iterator[Hold]:
    """A claim is held alone unless its disk is shareable or cannot be written through."""
    claim = volume.get("persistentVolumeClaim", {})
    name = claim.get("claimName") or volume.get("dataVolume", {}).get("name")
    backing = volume.get("ephemeral", {}).get("persistentVolumeClaim", {}).get("claimName")
    read_only = (
        "cdrom" in disk
        or claim.get("readOnly", False)
        or any(disk.get(kind, {}).get("readonly", False) for kind in ("disk", "lun"))
    )
    if name:
        shared = read_only or disk.get("shareable", False)
        yield Hold("disk-claimed-twice", f"{document.key.namespace}/{name}", path, shared)
    elif backing:
        yield Hold("disk-claimed-twice", f"{document.key.namespace}/{backing}", path, shared=True)


def _holds_of_machine(vmi: Mapping[str, Any]) -> Iterator[Hold]:
    for index, interface in enumerate(vmi["domain"]["devices"].get("interfaces", ())):
        if "macAddress" in interface:
            yield Hold("mac-duplicate", normal_mac(interface["macAddress"]), (*INTERFACES, index, "macAddress"))
    uuid = vmi["domain"].get("firmware", {}).get("uuid")
    if uuid:
        yield Hold("uuid-duplicate", uuid.lower(), ("spec", "template", "spec", "domain", "firmware", "uuid"))


def _holds_of_guest(document: Document, vmi: Mapping[str, Any]) -> Iterator[Hold]:
    """Fixed addresses that cloud-init gives the guest, where it is certain on which network they are."""
    interfaces = vmi["domain"]["devices"].get("interfaces", ())
    networks = {network["name"]: _network_named(document, network) for network in vmi.get("networks", ())}
    by_mac = {normal_mac(one["macAddress"]): networks.get(one["name"]) for one in interfaces if "macAddress" in one}
    single = networks.get(interfaces[0]["name"]) if len(interfaces) == 1 else None
    for index, volume in enumerate(vmi.get("volumes", ())):
        for field in ("cloudInitNoCloud", "cloudInitConfigDrive"):
            for name in ("networkData", "networkDataBase64"):
                written = volume.get(field, {}).get(name, "")
                for address, mac in static_addresses(written, is_base64=name.endswith("Base64")):
                    network = single or by_mac.get(normal_mac(mac))
                    if network:
                        path = (*_VOLUMES, index, field, name)
                        yield Hold("address-duplicate", f"address {address} on {network}", path)


def _network_named(document: Document, network: Mapping[str, Any]) -> str:
    if "multus" not in network:
        return "the pod network"
    namespace, _, name = network["multus"]["networkName"].rpartition("/")
    return f"{namespace or document.key.namespace}/{name}"


def _volume_needs(document: Document, spec: Mapping[str, Any], path: FieldPath) -> Iterator[Need]:
    """What the source of a DataVolume refers to."""
    source = spec.get("source", {})
    clone, web = source.get("pvc"), source.get("http", {})
    if clone:
        wanted = _claim(document, clone["name"], clone["namespace"])
        yield Need("clone-source-missing", wanted, (*path, "source", "pvc", "name"))
    if web.get("secretRef"):
        yield _object(document, "Secret", web["secretRef"], (*path, "source", "http", "secretRef"))
    for index, name in enumerate(web.get("secretExtraHeaders", ())):
        yield _object(document, "Secret", name, (*path, "source", "http", "secretExtraHeaders", index))
    if web.get("certConfigMap"):
        yield _object(document, "ConfigMap", web["certConfigMap"], (*path, "source", "http", "certConfigMap"))
