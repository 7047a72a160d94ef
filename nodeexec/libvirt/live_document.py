"""Live objects as Kubernetes-like documents: `Engine.document_of`.

Field names are KubeVirt's, CDI's and Multus's. Nothing here changes by itself: no times, no counters, so that two readings of
an unchanged object are equal. Nothing here is secret: seeds show as digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodeexec.spec_verdicts import show_source
from reconciler.model.domain import ClaimSource, DiskSpec, DomainSpec
from reconciler.model.live import LiveNetwork, LiveObject, LiveResource, LiveVm, LiveVolume
from reconciler.model.power import PowerState, StopReason
from reconciler.model.quantity import MIB, format_bytes

_PHASES = {
    PowerState.RUNNING: "Running",
    PowerState.PAUSED: "Running",
    PowerState.STOPPING: "Running",
    PowerState.CRASHED: "Failed",
    PowerState.UNKNOWN: "Unknown",
}
_FAILED = (StopReason.FAILED, StopReason.DESTROYED)


def document_of(live: LiveObject) -> Mapping[str, Any]:
    """A VirtualMachineInstance for a VM, a PersistentVolumeClaim or DataVolume for a volume, a
    NetworkAttachmentDefinition for a network; without secrets, and without anything that changes by itself (times).
    """
    match live:
        case LiveVm():
            return _instance(live)
        case LiveVolume():
            return _claim(live)
        case LiveNetwork():
            return _network(live)
        case LiveResource():
            return {}


def _said(**entries: Any) -> dict[str, Any]:
    """The entries that say something, in their order."""
    return {name: value for name, value in entries.items() if value not in (None, "", [], {}, ())}


def _metadata(live: LiveObject) -> dict[str, Any]:
    marks = live.marks
    notes = _said(
        **{
            "gitvirt.io/owner": marks.owner if marks else "",
            "gitvirt.io/revision": marks.revision if marks else "",
            "gitvirt.io/suspended": marks.suspended if marks else "",
        }
    )
    return _said(name=live.key.name, namespace=live.key.namespace, annotations=notes)


def _instance(live: LiveVm) -> dict[str, Any]:
    """The running guest; of a VM that is off its stored configuration."""
    half = live.running or live.stored
    foreign = live.foreign_running if live.running is not None else live.foreign_stored
    status = _said(
        phase=phase_of(live),
        conditions=_conditions(live),
        interfaces=_interfaces(live),
        volumeStatus=_volumes(half.disks if half else ()),
        guestOSInfo=_said(prettyName=live.guest_os),
        machine=_said(type=live.machine),
        nodeName=live.marks.host if live.marks else "",
        currentCPUTopology=_topology(half) if half else {},
        memory=_said(guestCurrent=format_bytes(half.memory_mib * MIB)) if half else {},
        accelerator=live.accelerator,
        guestHostname=live.guest_hostname,
        stopReason=str(live.stop_reason) if live.running is None else "",
        foreignDevices=[f"{place}: {text}" for place, text in foreign],
        diskJobs=list(live.disk_jobs),
    )
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": _metadata(live),
        "spec": _spec(half) if half else {},
        "status": status,
    }


def phase_of(live: LiveVm) -> str:
    """KubeVirt's phase of an instance."""
    if live.power is not PowerState.OFF:
        return _PHASES[live.power]
    if live.stop_reason is StopReason.NEVER_RAN:
        return "Pending"
    return "Failed" if live.stop_reason in _FAILED else "Succeeded"


def _conditions(live: LiveVm) -> list[dict[str, str]]:
    is_up = live.power in (PowerState.RUNNING, PowerState.STOPPING)
    ready = _condition("Ready", is_up, "" if is_up else _why_not_ready(live))
    found = [ready, _condition("AgentConnected", live.guest_agent)]
    if live.power is PowerState.PAUSED:
        found.append(_condition("Paused", True, "PausedByUser"))
    found.append(_condition("LiveMigratable", False, "SingleHost"))
    return found


def _why_not_ready(live: LiveVm) -> str:
    return "Paused" if live.power is PowerState.PAUSED else "GuestNotRunning"


def _condition(type: str, status: bool, reason: str = "") -> dict[str, str]:
    return _said(type=type, status=str(status), reason=reason)


def _interfaces(live: LiveVm) -> list[dict[str, Any]]:
    return [
        _said(
            name=nic.name,
            mac=nic.mac,
            ipAddress=nic.ips[0] if nic.ips else "",
            ipAddresses=list(nic.ips),
            interfaceName=nic.guest_name,
            infoSource=nic.source,
        )
        for nic in live.interfaces
    ]


def _volumes(disks: Sequence[DiskSpec]) -> list[dict[str, Any]]:
    found = []
    for disk in disks:
        source = disk.source
        claim = _said(claimName=source.claim) if isinstance(source, ClaimSource) else {}
        overlay = list(disk.backing)
        found.append(
            _said(name=disk.name, persistentVolumeClaimInfo=claim, source=show_source(source), backing=overlay)
        )
    return found


def _topology(spec: DomainSpec) -> dict[str, int]:
    return {"sockets": spec.cpu.sockets, "cores": spec.cpu.cores, "threads": spec.cpu.threads}


def _spec(spec: DomainSpec) -> dict[str, Any]:
    """The hardware as a manifest would say it, as far as people look for it."""
    disks = [
        _said(name=disk.name, bootOrder=disk.boot_order, **{str(disk.binding): {"bus": disk.bus}})
        for disk in spec.disks
    ]
    interfaces = [
        _said(
            name=nic.name,
            macAddress=nic.mac,
            model=nic.model,
            bootOrder=nic.boot_order,
            state="" if nic.link_up else "down",
        )
        for nic in spec.interfaces
    ]
    domain = _said(
        cpu=_said(**_topology(spec), model=spec.cpu.model),
        memory={"guest": format_bytes(spec.memory_mib * MIB)},
        machine={"type": spec.machine},
        firmware=_said(uuid=spec.uuid, serial=spec.serial, bootloader={spec.bootloader: {}}),
        devices=_said(disks=disks, interfaces=interfaces),
    )
    networks = [{"name": nic.name, "network": nic.network} for nic in spec.interfaces]
    return _said(domain=domain, networks=networks)


def _claim(live: LiveVolume) -> dict[str, Any]:
    is_data_volume = live.key.kind == "DataVolume"
    claim_phase = "Bound" if live.phase == "Succeeded" else "Pending"
    status = _said(
        phase=live.phase if is_data_volume else claim_phase,
        progress=_progress(live) if is_data_volume else "",
        capacity={"storage": format_bytes(live.size_bytes)},
        reason=live.reason,
        pool=live.pool,
        volume=live.volume,
        format=live.format,
        usedBy=[str(key) for key in live.used_by],
    )
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1" if is_data_volume else "v1",
        "kind": live.key.kind,
        "metadata": _metadata(live),
        "spec": _said(
            storageClassName=live.storage_class,
            source=str(live.source) if live.source else "",
            resources={"requests": {"storage": format_bytes(live.size_bytes)}},
        ),
        "status": status,
    }


def _progress(live: LiveVolume) -> str:
    return "" if live.progress is None else f"{live.progress:.0%}"


def _network(live: LiveNetwork) -> dict[str, Any]:
    spec = live.network
    config = (
        _said(
            bridge=spec.bridge,
            hostBridge=spec.host_bridge,
            address=spec.address,
            dhcpRange=list(spec.dhcp_range),
            nat=spec.nat,
            mtu=spec.mtu,
            domain=spec.domain,
        )
        if spec
        else {}
    )
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": live.key.kind,
        "metadata": _metadata(live),
        "spec": config,
        "status": _said(
            phase="Active" if live.active else "Inactive",
            leases=[_said(mac=lease.mac, ip=lease.ip, hostname=lease.hostname) for lease in live.leases],
            usedBy=[str(key) for key in live.used_by],
        ),
    }
