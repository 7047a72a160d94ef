"""An existing VM as manifests: the inverse of resolving. What it gives is read back and compared before anyone trusts it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from reconciler.model.adoption import ADOPT, FoundDisk, FoundInterface, FoundVm
from reconciler.model.domain import Binding, CpuSpec, DomainSpec
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.policy import Policy
from reconciler.model.power import PowerState
from reconciler.model.quantity import KIB, MIB, format_bytes

_NOT_A_NAME = re.compile(r"[^a-z0-9-]+")
_LONGEST_NAME = 63
_SERIAL = re.compile(r"[A-Za-z0-9_.+-]{1,256}", re.ASCII)
_TIMER_WORDS = {"tickpolicy": "tickPolicy", "track": "track"}
_HYPERV_VALUES = {"spinlocks": ("spinlocks", int), "vendorid": ("vendorid", str)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Manifests, and what a person has to know of each: ``notes`` maps an object to lines that go above it. ``classes``
    (StorageClass → pool) and ``bridges`` have to be in the settings and are not; ``missing`` is what is not in the manifests. ``read_back``
    are those of the documents, with it, that are looked at but never shown.
    """

    vm: ObjectKey
    documents: Mapping[ObjectKey, Mapping[str, Any]]
    notes: Mapping[ObjectKey, tuple[str, ...]]
    classes: Mapping[str, str]
    bridges: tuple[str, ...]
    missing: tuple[str, ...]
    read_back: Mapping[ObjectKey, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def settings(self) -> tuple[str, ...]:
        """Lines to add to the settings file."""
        bridges = (f"allowedBridges: [{', '.join(self.bridges)}]",) if self.bridges else ()
        classes = ", ".join(f"{name}: {{pool: {pool}}}" for name, pool in self.classes.items())
        return (*bridges, *((f"storageClasses: {{{classes}}}",) if classes else ()))


def object_name(text: str) -> str:
    """The Kubernetes name closest to a name of the host: ``Web Server.qcow2`` → ``web-server-qcow2``."""
    return _NOT_A_NAME.sub("-", text.lower()).strip("-")[:_LONGEST_NAME].strip("-") or "vm"


Documents = Mapping[ObjectKey, Mapping[str, Any]]


def export_vm(found: FoundVm, *, namespace: str, policy: Policy, taken: Documents | None = None) -> Exported:
    """The manifests of one domain, by its stored configuration (the running one where there is none). ``taken`` are those of
    other domains of the same export: what is the same object has the same name there, what is another one has another.
    """
    key = _free(ObjectKey("VirtualMachine", namespace, object_name(found.name)), lambda key: key in (taken or {}))
    spec = found.live.stored or found.live.running
    if spec is None:
        why = (f"{found.name} has no configuration",)
        return Exported(vm=key, documents={}, notes={}, classes={}, bridges=(), missing=why)
    parts = _Parts(
        taken=taken or {},
        namespace=namespace,
        policy=policy,
        documents={},
        notes={},
        classes={},
        bridges=[],
        missing=list(found.obstacles),
    )
    disks, volumes = _disks(found, parts)
    interfaces, networks = _interfaces(found, parts)
    devices = _devices(spec) | _said(disks=disks, interfaces=interfaces)
    if not interfaces:
        devices["autoattachPodInterface"] = False
    template = _said(
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(spec.architecture, spec.architecture),
        domain=_domain(spec) | {"devices": devices},
        networks=networks,
        volumes=volumes,
    )
    runs = found.live.power is not PowerState.OFF or found.autostart
    body = {"runStrategy": "Always" if runs else "Halted", "template": {"spec": template}}
    # The VM stands first: it is what a reader looks for.
    documents = {key: _document("kubevirt.io/v1", key, body, {ADOPT: found.name}), **parts.documents}
    return Exported(
        vm=key,
        documents=documents,
        notes=parts.notes,
        classes=parts.classes,
        bridges=tuple(dict.fromkeys(parts.bridges)),
        missing=tuple(parts.missing),
    )


@dataclass(slots=True, kw_only=True)
class _Parts:
    """What comes together while a VM is walked through; private to this file."""

    taken: Documents
    namespace: str
    policy: Policy
    documents: dict[ObjectKey, Mapping[str, Any]]
    notes: dict[ObjectKey, tuple[str, ...]]
    classes: dict[str, str]
    bridges: list[str]
    missing: list[str]


def _free(key: ObjectKey, is_taken: Callable[[ObjectKey], bool]) -> ObjectKey:
    """The key, with a number behind its name where that is taken."""
    candidates = (key if n == 1 else ObjectKey(key.kind, key.namespace, f"{key.name}-{n}") for n in count(1))
    return next(candidate for candidate in candidates if not is_taken(candidate))


def _document(api: str, key: ObjectKey, spec: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    metadata = _said(name=key.name, namespace=key.namespace, annotations=dict(annotations))
    return {"apiVersion": api, "kind": key.kind, "metadata": metadata, "spec": dict(spec)}


def _said(**entries: Any) -> dict[str, Any]:
    """The entries that say something, in their order."""
    return {name: value for name, value in entries.items() if value not in (None, "", [], {}, ())}


def _serial(text: str) -> str:
    """A serial number that KubeVirt would take; any other stays as it was found."""
    return text if _SERIAL.fullmatch(text) else ""


def _domain(spec: DomainSpec) -> dict[str, Any]:
    features = _features(spec)
    return _said(
        firmware=_said(uuid=spec.uuid, serial=_serial(spec.serial), bootloader=_bootloader(spec)),
        machine={"type": spec.machine},
        cpu=_cpu(spec.cpu),
        memory=_said(
            guest=format_bytes(spec.memory_mib * MIB),
            hugepages=_said(pageSize=format_bytes(spec.hugepages_kib * KIB) if spec.hugepages_kib else ""),
        ),
        features=features,
        clock=_clock(spec),
    )


def _bootloader(spec: DomainSpec) -> dict[str, Any]:
    return {"efi": {"secureBoot": spec.secure_boot}} if spec.bootloader == "efi" else {}


def _cpu(cpu: CpuSpec) -> dict[str, Any]:
    features = [{"name": name, "policy": policy} for name, policy in cpu.features]
    room = cpu.max_sockets if cpu.max_sockets > cpu.sockets else None
    return _said(
        sockets=cpu.sockets, cores=cpu.cores, threads=cpu.threads, maxSockets=room, model=cpu.model, features=features
    )


def _features(spec: DomainSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, setting in spec.features:
        group, _, detail = name.partition(".")
        if name == "kvm.hidden":
            found["kvm"] = {"hidden": setting == "on"}
        elif detail == "eoi":
            found.setdefault(group, {})["endOfInterrupt"] = setting == "on"
        else:
            found.setdefault(group, {}).update({} if setting == "on" else {"enabled": False})
    hyperv: dict[str, Any] = {}
    for name, setting in spec.hyperv:
        value = _HYPERV_VALUES.get(name)
        if "." in name:
            continue
        hyperv[name] = {} if setting == "on" else {"enabled": False}
        if value is not None and setting not in ("on", "off"):
            hyperv[name] = {value[0]: value[1](setting)}
    return found | _said(hyperv=hyperv)


def _clock(spec: DomainSpec) -> dict[str, Any]:
    kind, _, value = spec.clock.offset.partition(":")
    clock: dict[str, Any] = (
        {"timezone": value} if kind == "timezone" else {"utc": {"offsetSeconds": int(value)} if value else {}}
    )
    timers: dict[str, Any] = {}
    for name, setting in spec.clock.timers:
        said = dict(part.split("=", 1) for part in setting.split(",") if part)
        timer: dict[str, Any] = {_TIMER_WORDS[word]: said[word] for word in _TIMER_WORDS if word in said}
        timers[name] = timer | ({"present": False} if said.get("present") == "no" else {})
    return clock | _said(timer=timers)


def _devices(spec: DomainSpec) -> dict[str, Any]:
    devices = _said(
        autoattachGraphicsDevice=True if spec.graphics else None,
        video=_said(type=spec.video if spec.video != "none" else ""),
        inputs=[{"name": name, "type": kind, "bus": bus} for name, kind, bus in spec.inputs],
        watchdog={"name": "watchdog0", "i6300esb": {"action": spec.watchdog}} if spec.watchdog else None,
    )
    if not spec.serial_console:
        devices["autoattachSerialConsole"] = False
    if not spec.balloon:
        devices["autoattachMemBalloon"] = False
    return devices | ({"rng": {}} if spec.rng else {})


def _disks(found: FoundVm, parts: _Parts) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Disks, and the volumes they stand on; each volume's claim goes to the documents."""
    disks: list[dict[str, Any]] = []
    volumes: list[dict[str, Any]] = []
    for disk in found.disks:
        if disk.obstacle:
            parts.missing.append(f"disk {disk.target} ({disk.text or 'no source'}): {disk.obstacle}")
            continue
        disks.append(_disk(disk))
        if disk.text:
            claim = _claim(disk, found, parts)
            volumes.append({"name": disk.target, "persistentVolumeClaim": {"claimName": claim.name}})
    return disks, volumes


def _disk(disk: FoundDisk) -> dict[str, Any]:
    spec = disk.spec
    read_only = True if spec.read_only and spec.binding is not Binding.CDROM else None
    how = {str(spec.binding): _said(bus=spec.bus, readonly=read_only)}
    size = {"custom": {"logical": spec.block_size, "physical": spec.block_size}} if spec.block_size else None
    return (
        _said(name=disk.target, bootOrder=spec.boot_order or None)
        | how
        | _said(
            shareable=spec.shareable or None,
            serial=_serial(spec.serial),
            cache=spec.cache,
            io=spec.io,
            errorPolicy=spec.error_policy,
            blockSize=size,
            dedicatedIOThread=spec.dedicated_io_thread or None,
        )
    )


def _claim(disk: FoundDisk, found: FoundVm, parts: _Parts) -> ObjectKey:
    """The claim of a volume that is there already."""
    stem = disk.volume.rpartition(".")[0] or disk.volume
    own = disk.volume.endswith((".qcow2", ".raw", ".img")) and disk.spec.binding is Binding.DISK
    usual = re.fullmatch(rf"{re.escape(parts.namespace)}_([a-z0-9.-]+)\.(?:qcow2|raw)", disk.volume)
    name = usual[1] if usual else object_name(stem if own else disk.volume)
    storage_class = _storage_class(disk, parts)
    shared = disk.spec.shareable or disk.spec.binding is Binding.CDROM
    spec = _said(
        accessModes=["ReadWriteMany" if shared else "ReadWriteOnce"],
        volumeMode="Block" if disk.format == "raw" else None,
        storageClassName=storage_class,
        resources={"requests": {"storage": format_bytes(disk.size_bytes)}},
    )
    annotations = {} if usual else {ADOPT: disk.volume}

    def is_taken(key: ObjectKey) -> bool:
        other = parts.taken.get(key)
        return key in parts.documents or (other is not None and other != _document("v1", key, spec, annotations))

    key = _free(ObjectKey("PersistentVolumeClaim", parts.namespace, name), is_taken)
    parts.documents[key] = _document("v1", key, spec, annotations)
    parts.notes[key] = (f"{disk.volume} of pool {disk.pool}: disk {disk.target} of {found.name}",)
    return key


def _storage_class(disk: FoundDisk, parts: _Parts) -> str:
    """The class that leads to a pool; a pool without one needs a line in the settings."""
    policy = parts.policy
    fitting = [
        name
        for name, entry in sorted(policy.storage_classes.items())
        if entry.pool == disk.pool and entry.format in ("", disk.format) and not entry.passphrase_file
    ]
    if fitting:
        return fitting[0]
    if disk.pool == policy.default_pool:
        return ""
    name = object_name(disk.pool)
    parts.classes[name] = disk.pool
    return name


def _interfaces(found: FoundVm, parts: _Parts) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """NICs and the networks they are plugged into."""
    interfaces: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    for nic in found.interfaces:
        if nic.obstacle:
            parts.missing.append(f"NIC {nic.spec.mac} ({nic.place}): {nic.obstacle}")
            continue
        name = f"net{len(interfaces)}"
        binding: dict[str, Any] = {"masquerade": {}} if nic.spec.network == str(POD_NETWORK) else {"bridge": {}}
        interfaces.append(
            {"name": name, **binding}
            | _said(
                macAddress=nic.spec.mac,
                model=nic.spec.model,
                bootOrder=nic.spec.boot_order or None,
                state=None if nic.spec.link_up else "down",
            )
        )
        networks.append({"name": name, **_network(nic, parts)})
    return interfaces, networks


def _network(nic: FoundInterface, parts: _Parts) -> dict[str, Any]:
    if nic.spec.network == str(POD_NETWORK):
        return {"pod": {}}
    if not nic.bridge:
        namespace, _, name = nic.spec.network.partition("/")
        return {"multus": {"networkName": name if namespace == parts.namespace else nic.spec.network}}
    key = ObjectKey("NetworkAttachmentDefinition", parts.namespace, object_name(nic.bridge))
    config = {"cniVersion": "0.3.1", "type": "bridge", "bridge": nic.bridge}
    parts.documents[key] = _document("k8s.cni.cncf.io/v1", key, {"config": json.dumps(config, indent=2) + "\n"}, {})
    parts.notes[key] = (f"{nic.place} of this host; the bridge is used as it is and never altered",)
    if nic.bridge not in parts.policy.allowed_bridges:
        parts.bridges.append(nic.bridge)
    return {"multus": {"networkName": key.name}}
