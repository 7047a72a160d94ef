"""VirtualMachine and VirtualMachineInstance → `LiveVm`. Pure.

The specs are the small projection that power, health and tables look at; what is compared are the documents themselves.
*Source*: KubeVirt's API reference (conditions, phases and printableStatus of VMs and instances).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from nodeexec.kubevirt.conditions import condition, is_true
from nodeexec.kubevirt.marks import annotations_of, labels_of, metadata_of, read_history, read_marks, read_time
from nodeexec.kubevirt.vm_references import claim_names, template_of
from reconciler.model.domain import ClaimSource, CpuSpec, DiskSpec, DomainSpec, InterfaceSpec, NoMedia
from reconciler.model.instancetype import sizing_of
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField, LiveInterface, LiveVm, Served
from reconciler.model.power import PowerState, StopReason
from reconciler.model.quantity import MIB, format_bytes, mib_of

_ENDED = ("Succeeded", "Failed")


def live_vm(
    key: ObjectKey,
    document: Mapping[str, Any],
    instance: Mapping[str, Any] | None,
    *,
    host: str,
    settled: tuple[KeptField, ...] = (),
) -> LiveVm:
    """A VM as planning looks at it. An instance that has ended counts as none."""
    runs = instance is not None and (instance.get("status") or {}).get("phase") not in _ENDED
    guest = instance if runs else None
    marks = read_marks(document, key, host)
    status = document.get("status") or {}
    agent = condition(guest, "AgentConnected")
    info = ((guest or {}).get("status") or {}).get("guestOSInfo") or {}
    uid = str(metadata_of(instance).get("uid", "")) if instance is not None else None
    running, plugging = _as_it_runs(key, guest) if guest is not None else (None, ())
    started = _entered(guest, "Running") or read_time(metadata_of(guest or {}).get("creationTimestamp"))
    return LiveVm(
        key=key,
        fingerprint=fingerprint(document, guest),
        marks=marks,
        stored=spec_of(key, template_of(document)),
        running=running,
        power=_power(guest),
        stop_reason=_stop_reason(document, instance),
        history=read_history(document, started, _entered(instance, *_ENDED), instance=uid),
        interfaces=_interfaces(guest),
        guest_agent=agent is not None and agent.get("status") == "True",
        guest_os=str(info.get("prettyName", "")),
        accelerator="kubevirt",
        machine=str((((guest or {}).get("spec") or {}).get("domain") or {}).get("machine", {}).get("type", "")),
        reported=str(status.get("printableStatus", "")),
        under_way="; ".join((*_requested(document, guest), *plugging)),
        controller=_controller(key, document),
        served=Served(document=document, instance=guest, settled=settled),
    )


def sized(vm: LiveVm, instancetype: Mapping[str, Any] | None) -> LiveVm:
    """With the CPUs and memory of its instancetype, which a VM that has one may not say itself."""
    sizing = sizing_of(instancetype) if instancetype is not None else None
    if sizing is None or vm.stored is None:
        return vm
    return replace(vm, stored=replace(vm.stored, cpu=CpuSpec(sockets=sizing.cpus), memory_mib=sizing.memory_mib))


def _as_it_runs(key: ObjectKey, guest: Mapping[str, Any]) -> tuple[DomainSpec, tuple[str, ...]]:
    """An instance with the CPUs and memory that its guest has by now, and what is still to be plugged in: until it was migrated for
    that the instance asks for more already. Differences are looked for in the documents, so that such a wait is no drift.
    """
    asked, status = spec_of(key, guest.get("spec") or {}), guest.get("status") or {}
    topology, memory = status.get("currentCPUTopology") or {}, status.get("memory") or {}
    has = replace(
        asked,
        cpu=_cpu({"cpu": topology}) if topology else asked.cpu,
        memory_mib=_memory_mib({"memory": {"guest": memory.get("guestCurrent")}}) or asked.memory_mib,
    )
    return has, tuple(_plugging(guest, asked, has))


def is_of_pool(document: Mapping[str, Any]) -> bool:
    """Whether a pool made a VM: it is the pool's, whoever's that is."""
    owners = metadata_of(document).get("ownerReferences") or ()
    return any(one.get("controller") and one.get("kind") == "VirtualMachinePool" for one in owners)


def _requested(document: Mapping[str, Any], guest: Mapping[str, Any] | None) -> Iterator[str]:
    """What KubeVirt is doing with a VM at somebody's request."""
    status = document.get("status") or {}
    move = ((guest or {}).get("status") or {}).get("migrationState") or {}
    if move and not (move.get("completed") or move.get("failed") or move.get("endTimestamp")):
        to = f" to {move['targetNode']}" if move.get("targetNode") else ""
        yield f"it migrates from {move.get('sourceNode') or 'its node'}{to}"
    if status.get("snapshotInProgress"):
        yield f"the snapshot {status['snapshotInProgress']} is being taken"
    if status.get("restoreInProgress"):
        yield f"the restore {status['restoreInProgress']} is under way"


def _plugging(guest: Mapping[str, Any], asked: DomainSpec, has: DomainSpec) -> Iterator[str]:
    """CPUs and memory that KubeVirt is about to plug in, and that the guest does not have yet."""
    if is_true(guest, "HotVCPUChange") and has.cpu.count != asked.cpu.count:
        yield f"CPUs are being plugged in: the guest has {has.cpu.count} of {asked.cpu.count}"
    if is_true(guest, "HotMemoryChange") and has.memory_mib != asked.memory_mib:
        sizes = [format_bytes(mib * MIB) for mib in (has.memory_mib, asked.memory_mib)]
        yield f"memory is being plugged in: the guest has {sizes[0]} of {sizes[1]}"


def _controller(key: ObjectKey, document: Mapping[str, Any]) -> ObjectKey | None:
    """What makes and unmakes the VM: a VirtualMachinePool."""
    owners = (one for one in metadata_of(document).get("ownerReferences") or () if one.get("controller"))
    owner = next(owners, None)
    return ObjectKey(str(owner.get("kind", "")), key.namespace, str(owner.get("name", ""))) if owner else None


def fingerprint(document: Mapping[str, Any], guest: Mapping[str, Any] | None = None) -> str:
    """Changes whenever anything that planning looks at changes: what is written and marked, and what the guest does."""
    metadata = metadata_of(document)
    status = (guest or {}).get("status") or {}
    restart = condition(document, "RestartRequired")
    seen = [
        metadata.get("uid"),
        metadata.get("deletionTimestamp"),
        labels_of(document),
        annotations_of(document),
        metadata.get("ownerReferences"),
        {name: value for name, value in document.items() if name not in ("metadata", "status")},
        metadata_of(guest or {}).get("uid"),
        status.get("phase"),
        (condition(guest, "Paused") or {}).get("status"),
        (restart or {}).get("status"),
    ]
    return hashlib.blake2b(orjson.dumps(seen, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


def spec_of(key: ObjectKey, template: Mapping[str, Any]) -> DomainSpec:
    """CPUs, memory, disks and NICs of a template or an instance."""
    domain = template.get("domain") or {}
    firmware = domain.get("firmware") or {}
    claims = dict(claim_names(template))
    networks = {one.get("name"): one for one in template.get("networks") or ()}
    disks = tuple(
        DiskSpec(name=str(disk.get("name", "")), source=_source(key, claims.get(str(disk.get("name", "")))))
        for disk in (domain.get("devices") or {}).get("disks") or ()
    )
    nics = tuple(
        InterfaceSpec(
            name=str(nic.get("name", "")),
            network=_network(key, networks.get(nic.get("name")) or {}),
            mac=str(nic.get("macAddress", "")).lower(),
        )
        for nic in (domain.get("devices") or {}).get("interfaces") or ()
    )
    return DomainSpec(
        name=f"{key.namespace}_{key.name}",
        uuid=str(firmware.get("uuid", "")),
        serial=str(firmware.get("serial", "")),
        cpu=_cpu(domain),
        memory_mib=_memory_mib(domain),
        disks=disks,
        interfaces=nics,
    )


def _source(key: ObjectKey, claim: str | None) -> ClaimSource | NoMedia:
    return ClaimSource(namespace=key.namespace, claim=claim, pool="", format="") if claim else NoMedia()


def _network(key: ObjectKey, network: Mapping[str, Any]) -> str:
    said = str((network.get("multus") or {}).get("networkName", ""))
    where, _, name = said.rpartition("/")
    return f"{where or key.namespace}/{name}" if said else "PodNetwork/pod"


def _cpu(domain: Mapping[str, Any]) -> CpuSpec:
    said = domain.get("cpu") or {}
    return CpuSpec(
        sockets=int(said.get("sockets") or 1), cores=int(said.get("cores") or 1), threads=int(said.get("threads") or 1)
    )


def _memory_mib(domain: Mapping[str, Any]) -> int:
    requests = (domain.get("resources") or {}).get("requests") or {}
    said = (domain.get("memory") or {}).get("guest") or requests.get("memory")
    try:
        return math.ceil(mib_of(said)) if said is not None else 0
    except ValueError:
        return 0


def _power(guest: Mapping[str, Any] | None) -> PowerState:
    if guest is None:
        return PowerState.OFF
    if metadata_of(guest).get("deletionTimestamp"):
        return PowerState.STOPPING
    paused = condition(guest, "Paused")
    if paused is not None and paused.get("status") == "True":
        return PowerState.PAUSED
    return PowerState.UNKNOWN if (guest.get("status") or {}).get("phase") == "Unknown" else PowerState.RUNNING


def _stop_reason(document: Mapping[str, Any], instance: Mapping[str, Any] | None) -> StopReason:
    """Why a guest that is off is off, as far as the instance says it."""
    match ((instance or {}).get("status") or {}).get("phase"):
        case "Succeeded":
            return StopReason.GUEST
        case "Failed":
            return StopReason.FAILED
    created = (document.get("status") or {}).get("printableStatus")
    return StopReason.NEVER_RAN if created is None else StopReason.UNKNOWN


def _entered(instance: Mapping[str, Any] | None, *phases: str) -> datetime | None:
    """When an instance entered one of these phases, as it says."""
    stamps = ((instance or {}).get("status") or {}).get("phaseTransitionTimestamps") or ()
    return read_time(next((one.get("phaseTransitionTimestamp") for one in stamps if one.get("phase") in phases), None))


def _interfaces(guest: Mapping[str, Any] | None) -> tuple[LiveInterface, ...]:
    found = []
    for one in ((guest or {}).get("status") or {}).get("interfaces") or ():
        ips = tuple(str(ip) for ip in one.get("ipAddresses") or () if ip) or (
            (one["ipAddress"],) if one.get("ipAddress") else ()
        )
        found.append(
            LiveInterface(
                name=str(one.get("name", "")), mac=str(one.get("mac", "")).lower(), ips=ips,
                guest_name=str(one.get("interfaceName", "")),
            )
        )  # fmt: skip
    return tuple(found)
