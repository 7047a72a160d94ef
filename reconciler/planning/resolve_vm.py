"""``resolve(vm, references) → ResolvedVm``: all joins and defaults of a VirtualMachine, done once, here."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.adoption import ADOPT
from reconciler.model.document import Document, dotted
from reconciler.model.domain import (
    Binding,
    ClaimSource,
    DiskSource,
    DiskSpec,
    DomainSpec,
    InterfaceSpec,
    NoMedia,
    ScratchSource,
    SeedSource,
)
from reconciler.model.encryption import passphrase_id
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import LiveVolume
from reconciler.model.packed import packed
from reconciler.model.policy import Policy
from reconciler.model.power import RunStrategy
from reconciler.model.problem_codes import problem
from reconciler.model.quantity import bytes_of
from reconciler.model.resolved import ResolvedVm, ResolvedVolume, RestartPolicy, Seed
from reconciler.model.restart_window import RestartWindow, parse_restart_window
from reconciler.planning import resolve_domain as hardware
from reconciler.planning.guest_access import cloud_init_keys, guest_access
from reconciler.planning.identity import derived_mac, derived_serial, derived_uuid
from reconciler.planning.other_key import key_name, named
from reconciler.planning.redact import Digest, applied_document
from reconciler.planning.seed import SEED_VOLUME_TYPES, GuestIdentity, MissingReferenceError, seed_of
from reconciler.planning.unresolvable import UnresolvableError

RESTART_POLICY = "gitvirt.io/restart-policy"
RESTART_WINDOW = "gitvirt.io/restart-window"
DEFAULT_GRACE_PERIOD_S = 30
_DISK_TYPES = (("disk", Binding.DISK, "sata"), ("cdrom", Binding.CDROM, "sata"), ("lun", Binding.LUN, "scsi"))


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlace:
    """Where a claim's volume is, and by which passphrase it opens: what a disk has to know of it."""

    key: ObjectKey
    pool: str
    format: str
    passphrase: str = ""

    @classmethod
    def of(cls, volume: ResolvedVolume | LiveVolume, owner: str) -> VolumePlace:
        """The place of a volume that is wanted or there."""
        passphrase = passphrase_id(owner, volume.storage_class) if volume.encrypted else ""
        return cls(key=volume.key, pool=volume.pool, format=volume.format, passphrase=passphrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What a VM may name. ``volumes`` are the claims of this host. ``kept_seeds`` (volume name → digest) stand
    in for the cloud-init data of a VM that is held at its last applied document, whose secrets are not at hand.
    """

    documents: Mapping[ObjectKey, Document]
    volumes: Mapping[ObjectKey, VolumePlace]
    networks: Container[ObjectKey]
    kept_seeds: Mapping[str, str] | None = None


def resolve_vm(document: Document, references: References, *, policy: Policy, digest: Digest) -> ResolvedVm:
    """One VirtualMachine as one `ResolvedVm`.

    Raises:
        MissingReferenceError: a claim, network, Secret or ConfigMap is not there or not valid.
        UnresolvableError: something in it cannot be had on this host.
    """
    key, template = document.key, (document.spec.get("template") or {}).get("spec") or {}
    uuid, serial = _identity(key, template, policy)
    disks, seeds, claims = _disks(document, template, references, digest, uuid)
    interfaces, networks = _interfaces(key, template, references, policy)
    strategy, strategy_path = run_strategy(document)
    access = (
        guest_access(template.get("accessCredentials") or [], key.namespace, references.documents, digest)
        if references.kept_seeds is None
        else None
    )
    grace = template.get("terminationGracePeriodSeconds")
    restart_policy = _restart_policy(document)
    applied = applied_document(document, digest)
    return ResolvedVm(
        key=key,
        document=document,
        applied=packed(named(applied, key_name(digest)) if seeds or access else applied),
        domain=_domain(key, template, policy, uuid=uuid, serial=serial, disks=disks, interfaces=interfaces),
        run_strategy=strategy,
        restart_policy=restart_policy,
        grace_period_s=DEFAULT_GRACE_PERIOD_S if grace is None else int(grace),
        seeds=seeds,
        claims=claims,
        networks=networks,
        run_strategy_path=strategy_path,
        guest_access=access,
        adopt=document.annotations.get(ADOPT, ""),
        restart_window=_restart_window(document, restart_policy),
    )


def _identity(key: ObjectKey, template: Mapping[str, Any], policy: Policy) -> tuple[str, str]:
    """UUID and serial, as the manifest says them, or derived (law 9)."""
    firmware = (template.get("domain") or {}).get("firmware") or {}
    who = (policy.identity_seed, key.namespace, key.name)
    return str(firmware.get("uuid") or derived_uuid(*who)).lower(), str(firmware.get("serial") or derived_serial(*who))


def _domain(
    key: ObjectKey,
    template: Mapping[str, Any],
    policy: Policy,
    *,
    uuid: str,
    serial: str,
    disks: tuple[DiskSpec, ...],
    interfaces: tuple[InterfaceSpec, ...],
) -> DomainSpec:
    """The hardware, of which ``disks`` and ``interfaces`` are joined already."""
    domain = template.get("domain") or {}
    devices = domain.get("devices") or {}
    memory_mib, memory_path = hardware.memory(domain)
    cpu, cpu_path = hardware.cpu(domain)
    features, hyperv = hardware.features(domain)
    bootloader, secure_boot = hardware.bootloader(domain)
    return DomainSpec(
        name=f"{key.namespace}_{key.name}",
        uuid=uuid,
        serial=serial,
        cpu=cpu,
        memory_mib=memory_mib,
        hugepages_kib=hardware.hugepages_kib(domain),
        machine=(domain.get("machine") or {}).get("type") or policy.default_machine,
        architecture="x86_64" if template.get("architecture") in (None, "", "amd64") else template["architecture"],
        bootloader=bootloader,
        secure_boot=secure_boot,
        features=features,
        hyperv=hyperv,
        clock=hardware.clock(domain),
        disks=disks,
        interfaces=interfaces,
        serial_console=devices.get("autoattachSerialConsole") is not False,
        graphics=devices.get("autoattachGraphicsDevice") is True,
        video=(devices.get("video") or {}).get("type") or "",
        rng=devices.get("rng") is not None,
        balloon=devices.get("autoattachMemBalloon") is not False,
        inputs=hardware.inputs(devices),
        watchdog=hardware.watchdog(devices),
        io_threads=1 if any(disk.dedicated_io_thread for disk in disks) else 0,
        origins={"memory_mib": memory_path, "cpu": cpu_path},
    )


def run_strategy(document: Document) -> tuple[RunStrategy, str]:
    """(strategy, manifest path that says it)."""
    spec = document.spec
    if spec.get("runStrategy") is not None:
        return RunStrategy(spec["runStrategy"]), "spec.runStrategy"
    return (RunStrategy.ALWAYS if spec.get("running") else RunStrategy.HALTED), "spec.running"


def _restart_policy(document: Document) -> RestartPolicy:
    said = document.annotations.get(RESTART_POLICY, RestartPolicy.MANUAL.value)
    try:
        return RestartPolicy(said)
    except ValueError as error:
        choices = ", ".join(policy.value for policy in RestartPolicy)
        raise _annotation_fault(
            document, "restart-policy-unknown", RESTART_POLICY, f"{said[:80]!r} is none of {choices}"
        ) from error


def _restart_window(document: Document, policy: RestartPolicy) -> RestartWindow | None:
    """The window of a VM that has the policy for it; the one says nothing without the other."""
    said = document.annotations.get(RESTART_WINDOW)
    if said is None and policy is not RestartPolicy.WINDOW:
        return None
    if said is None:
        raise _annotation_fault(
            document, "restart-window-invalid", RESTART_POLICY, f"policy Window needs {RESTART_WINDOW}"
        )
    if policy is not RestartPolicy.WINDOW:
        reason = f"it says nothing without {RESTART_POLICY}: Window (it is {policy})"
        raise _annotation_fault(document, "restart-window-invalid", RESTART_WINDOW, reason)
    try:
        return parse_restart_window(said)
    except ValueError as error:
        raise _annotation_fault(document, "restart-window-invalid", RESTART_WINDOW, str(error)) from error


def _annotation_fault(document: Document, code: str, name: str, reason: str) -> UnresolvableError:
    path = ("metadata", "annotations", name)
    place = document.place(path)
    return UnresolvableError(problem(code, place, f"{name}: {reason}", object=document.key, path=dotted(path)))


def claim_reference(volume: Mapping[str, Any]) -> str | None:
    """The claim's name, for the volume types that stand on a claim."""
    if volume.get("persistentVolumeClaim") is not None:
        return str(volume["persistentVolumeClaim"].get("claimName", ""))
    if volume.get("dataVolume") is not None:
        return str(volume["dataVolume"].get("name", ""))
    return None


def _disks(
    document: Document, template: Mapping[str, Any], references: References, digest: Digest, uuid: str
) -> tuple[tuple[DiskSpec, ...], tuple[Seed, ...], tuple[ObjectKey, ...]]:
    """Disks joined with their volumes, the ISOs to make for them, the claims they stand on."""
    namespace = document.key.namespace
    devices = (template.get("domain") or {}).get("devices") or {}
    volumes = {volume["name"]: volume for volume in template.get("volumes") or []}
    guest = GuestIdentity(instance_id=uuid, hostname=template.get("hostname") or document.key.name)
    credentials = template.get("accessCredentials") or []
    disks: list[DiskSpec] = []
    seeds: list[Seed] = []
    claims: list[ObjectKey] = []
    for disk in devices.get("disks") or []:
        volume = volumes.get(disk["name"], {})
        claim = claim_reference(volume)
        source: DiskSource
        if claim is not None:
            resolved = claim_volume(namespace, claim, references.volumes)
            claims.append(resolved.key)
            source = ClaimSource(
                namespace=namespace,
                claim=claim,
                pool=resolved.pool,
                format=resolved.format,
                passphrase=resolved.passphrase,
            )
        elif any(kind in volume for kind in SEED_VOLUME_TYPES):
            if references.kept_seeds is None:
                method = "configDrive" if "cloudInitConfigDrive" in volume else "noCloud"
                keys = cloud_init_keys(credentials, namespace, references.documents, method)
                identity = replace(guest, public_keys=keys)
                seeds.append(seed_of(volume, namespace, identity, references.documents, digest))
                source = SeedSource(digest=seeds[-1].digest)
            else:
                source = SeedSource(digest=references.kept_seeds.get(disk["name"], ""))
        elif volume.get("emptyDisk") is not None:
            source = ScratchSource(capacity_bytes=bytes_of(volume["emptyDisk"].get("capacity") or 0))
        else:
            source = NoMedia()
        disks.append(_disk(disk, source))
    return tuple(disks), tuple(seeds), tuple(claims)


def claim_volume(namespace: str, claim: str, volumes: Mapping[ObjectKey, VolumePlace]) -> VolumePlace:
    """The volume that a claim's name means: a PersistentVolumeClaim, else a DataVolume (its claim has the same name).

    Raises:
        MissingReferenceError: neither is there.
    """
    for kind in ("PersistentVolumeClaim", "DataVolume"):
        found = volumes.get(ObjectKey(kind, namespace, claim))
        if found is not None:
            return found
    key = ObjectKey("PersistentVolumeClaim", namespace, claim)
    raise MissingReferenceError(key, f"claim {namespace}/{claim} is not in the repository or not valid")


def _disk(disk: Mapping[str, Any], source: DiskSource) -> DiskSpec:
    field_name, binding, default_bus = next(
        (row for row in _DISK_TYPES if disk.get(row[0]) is not None), _DISK_TYPES[0]
    )
    target = disk.get(field_name) or {}
    read_only = target.get("readonly")
    return DiskSpec(
        name=disk["name"],
        source=source,
        binding=binding,
        bus=target.get("bus") or default_bus,
        boot_order=disk.get("bootOrder") or 0,
        read_only=binding is Binding.CDROM if read_only is None else bool(read_only) or binding is Binding.CDROM,
        shareable=bool(disk.get("shareable")),
        serial=disk.get("serial") or "",
        cache=disk.get("cache") or _default_cache(disk),
        io=disk.get("io") or "",
        error_policy=disk.get("errorPolicy") or "",
        block_size=((disk.get("blockSize") or {}).get("custom") or {}).get("logical") or 0,
        dedicated_io_thread=bool(disk.get("dedicatedIOThread")),
    )


def _default_cache(disk: Mapping[str, Any]) -> str:
    """Native I/O goes past the host's cache, and what others write too must not wait in one."""
    return "none" if disk.get("io") == "native" or disk.get("shareable") else ""


def _interfaces(
    key: ObjectKey, template: Mapping[str, Any], references: References, policy: Policy
) -> tuple[tuple[InterfaceSpec, ...], tuple[ObjectKey, ...]]:
    """NICs joined with their networks, and the networks they need."""
    devices = (template.get("domain") or {}).get("devices") or {}
    declared = devices.get("interfaces") or []
    networks = {network["name"]: network for network in template.get("networks") or []}
    if not declared and not networks and devices.get("autoattachPodInterface") is not False:
        declared, networks = [{"name": "default"}], {"default": {"name": "default", "pod": {}}}
    interfaces: list[InterfaceSpec] = []
    needed: list[ObjectKey] = []
    for interface in declared:
        if interface.get("state") == "absent":
            continue
        name = interface["name"]
        target = _network_key(key.namespace, networks.get(name, {}))
        if target != POD_NETWORK and target not in references.networks:
            raise MissingReferenceError(target, f"{target} is not in the repository or not valid")
        if target != POD_NETWORK or not policy.user_network:
            needed.append(target)
        mac = str(interface.get("macAddress") or derived_mac(policy.identity_seed, key.namespace, key.name, name))
        interfaces.append(
            InterfaceSpec(
                name=name,
                network="PodNetwork/pod" if target == POD_NETWORK else f"{target.namespace}/{target.name}",
                mac=mac.lower().replace("-", ":"),
                model=interface.get("model") or "virtio",
                boot_order=interface.get("bootOrder") or 0,
                link_up=interface.get("state") != "down",
            )
        )
    return tuple(interfaces), tuple(dict.fromkeys(needed))


def _network_key(namespace: str, network: Mapping[str, Any]) -> ObjectKey:
    """The object a network of a VM names: ``name`` or ``namespace/name`` of a NetworkAttachmentDefinition."""
    multus = network.get("multus")
    if multus is None:
        return POD_NETWORK
    where, _, name = str(multus.get("networkName", "")).rpartition("/")
    return ObjectKey("NetworkAttachmentDefinition", where or namespace, name)
