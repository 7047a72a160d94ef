"""Names on the host, both ways: domains, volumes, networks, bridges, and the aliases of devices.

Kubernetes names never hold ``_``, so ``<namespace>_<name>`` reads back without doubt. Everything here is pure.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from enum import StrEnum

from nodeexec.spec_verdicts import FOREIGN_NAME
from reconciler.model.keys import POD_NETWORK, ObjectKey

MAX_DOMAIN_NAME = 200
"""Characters. libvirt builds file names from a domain's name and fails at 251 with "File name too long"."""

POD_NETWORK_NAME = "gitvirt-pod"
"""The pod network of the owner ``gitvirt``; another owner on the same host has one of its own."""

_DEFAULT_OWNER = "gitvirt"
CLAIM_KINDS = ("PersistentVolumeClaim", "DataVolume")
VOLUME_FORMATS = ("qcow2", "raw")
FOREIGN = FOREIGN_NAME
"""Begins the name of a device, and the network of a NIC, that gitvirt did not put there."""

_UUIDS = uuid.UUID("3b0d5c55-7a39-5a3a-8a5e-6f1b0c1f6a10")
_NAMESPACE = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_NAME = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_JOINED = re.compile(rf"({_NAMESPACE})_({_NAME})", re.ASCII)
_VOLUME = re.compile(rf"({_NAMESPACE})_({_NAME})\.(qcow2|raw)", re.ASCII)
_SEED = re.compile(rf"({_NAMESPACE}_{_NAME})\.([A-Za-z0-9-]+)\.([0-9a-f]{{12}})\.iso", re.ASCII)
_SCRATCH = re.compile(rf"({_NAMESPACE}_{_NAME})_([A-Za-z0-9-]+)\.scratch\.qcow2", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9-]", re.ASCII)
_ESCAPE = re.compile(r"((?:_[0-9a-f]{2})+)")


class DeviceKind(StrEnum):
    """Devices that are keyed by a name; the value is part of the alias, since an alias is unique in a domain."""

    DISK = "disk"
    INTERFACE = "nic"
    INPUT = "input"


def domain_name(key: ObjectKey) -> str:
    """The domain of a VirtualMachine."""
    return f"{key.namespace}_{key.name}"


def key_of_domain(name: str) -> ObjectKey | None:
    """The VirtualMachine a domain's name stands for; None for a name that gitvirt would not give."""
    match = _JOINED.fullmatch(name)
    return ObjectKey("VirtualMachine", match[1], match[2]) if match else None


def volume_name(namespace: str, claim: str, format: str) -> str:
    """The volume of a claim; ``format`` is ``qcow2`` or ``raw``."""
    return f"{namespace}_{claim}.{format}"


def claim_of_volume(volume: str) -> tuple[str, str, str] | None:
    """(namespace, claim, format) of a claim's volume; None for any other file, seeds and scratch disks among them."""
    match = _VOLUME.fullmatch(volume)
    return (match[1], match[2], match[3]) if match else None


def seed_volume_name(domain: str, volume: str, digest: str) -> str:
    """The ISO behind a seed volume (the disk's name) of a domain; ``digest`` is 12 hex digits."""
    return f"{domain}.{volume}.{digest}.iso"


def seed_of_volume(volume: str) -> tuple[str, str, str] | None:
    """(domain, seed volume, digest) of a seed ISO's name; None for any other file."""
    match = _SEED.fullmatch(volume)
    return (match[1], match[2], match[3]) if match else None


def scratch_volume_name(domain: str, disk: str) -> str:
    """The volume of an ``emptyDisk``. A claim's name holds no ``_``, so no claim can have this file."""
    return f"{domain}_{disk}.scratch.qcow2"


def scratch_of_volume(volume: str) -> tuple[str, str] | None:
    """(domain, disk) of a scratch volume's name; None for any other file."""
    match = _SCRATCH.fullmatch(volume)
    return (match[1], match[2]) if match else None


def pod_network_name(owner: str) -> str:
    """The libvirt network behind an owner's pod network. A namespace holds no ``.``, so no other network is named so."""
    return POD_NETWORK_NAME if owner in ("", _DEFAULT_OWNER) else f"{POD_NETWORK_NAME}.{owner}"


def network_name(key: ObjectKey, owner: str = "") -> str:
    """The libvirt network of a NetworkAttachmentDefinition, or of the owner's pod network."""
    return pod_network_name(owner) if key == POD_NETWORK else f"{key.namespace}_{key.name}"


def key_of_network(name: str) -> ObjectKey | None:
    """The object a libvirt network stands for, whoever's it is; None for a name that gitvirt would not give."""
    if name == POD_NETWORK_NAME or name.startswith(f"{POD_NETWORK_NAME}."):
        return POD_NETWORK
    match = _JOINED.fullmatch(name)
    return ObjectKey("NetworkAttachmentDefinition", match[1], match[2]) if match else None


def network_of_interface(network: str, owner: str) -> str:
    """The libvirt network behind `InterfaceSpec.network` (``PodNetwork/pod`` or ``namespace/name``)."""
    return pod_network_name(owner) if network == str(POD_NETWORK) else network.replace("/", "_", 1)


def interface_network(libvirt_network: str, owner: str) -> str:
    """`InterfaceSpec.network` for a libvirt network; ``foreign:…`` for one that is not gitvirt's by name, or that is
    another owner's pod network.
    """
    key = key_of_network(libvirt_network)
    if key is None or network_name(key, owner) != libvirt_network:
        return f"{FOREIGN}network {libvirt_network}"
    return str(key) if key == POD_NETWORK else f"{key.namespace}/{key.name}"


def network_uuid(name: str) -> str:
    """The UUID of a network, the same on every host and after every re-creation."""
    return str(uuid.uuid5(_UUIDS, f"network/{name}"))


def bridge_name(network: str) -> str:
    """The bridge of a network that names none: 13 characters, of the kernel's 15 at most, from the network's name."""
    return f"gv-{hashlib.sha256(network.encode()).hexdigest()[:10]}"


def bridge_mac(network: str) -> str:
    """The bridge's own MAC, in the range libvirt uses for it."""
    tail = hashlib.sha256(f"bridge/{network}".encode()).digest()[:3]
    return ":".join(("52", "54", "00", *(f"{byte:02x}" for byte in tail)))


def alias_of(kind: DeviceKind, name: str) -> str:
    """The alias that keeps a device's name: ``ua-nic-default``. Letters, digits and ``-`` stay; any other byte is
    written ``_xx``, since libvirt allows only letters, digits, ``_`` and ``-``.
    """
    escaped = "".join(c if _PLAIN.fullmatch(c) else "".join(f"_{byte:02x}" for byte in c.encode()) for c in name)
    return f"ua-{kind}-{escaped}"


def name_of(alias: str, kind: DeviceKind) -> str | None:
    """The name within an alias of that kind of device; None when gitvirt did not give the alias."""
    prefix = f"ua-{kind}-"
    if not alias.startswith(prefix):
        return None
    try:
        return _ESCAPE.sub(lambda run: bytes.fromhex(run[1].replace("_", "")).decode(), alias.removeprefix(prefix))
    except UnicodeDecodeError:
        return None
