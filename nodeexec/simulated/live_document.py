"""Live objects of the simulated host as Kubernetes-like documents, and wanted ones as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from reconciler.model.live import LiveNetwork, LiveObject, LiveResource, LiveVm, LiveVolume
from reconciler.model.power import PowerState
from reconciler.model.quantity import format_bytes
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedResource, ResolvedVm, ResolvedVolume

_PHASES = {
    PowerState.RUNNING: "Running",
    PowerState.PAUSED: "Running",
    PowerState.STOPPING: "Running",
    PowerState.CRASHED: "Failed",
    PowerState.OFF: "Succeeded",
}


def live_document(live: LiveObject) -> Mapping[str, Any]:
    """A VirtualMachineInstance, a claim or a NetworkAttachmentDefinition with what is live in its status."""
    match live:
        case LiveVm():
            return _instance(live)
        case LiveVolume():
            return _claim(live)
        case LiveNetwork():
            return _network(live)
        case LiveResource():
            return {}


def described(resolved: Resolved) -> str:
    """The host's own words for a wanted object: one line a field."""
    match resolved:
        case ResolvedVm():
            subject: Any = resolved.domain
        case ResolvedNetwork():
            subject = resolved.network
        case ResolvedResource():
            return str(resolved.key)
        case ResolvedVolume():
            return f"volume {resolved.key} {resolved.format} {resolved.size_bytes} bytes from {resolved.source}"
    lines = (f"{entry.name}: {getattr(subject, entry.name)!r}" for entry in fields(subject) if entry.repr)
    return "\n".join((str(resolved.key), *lines))


def _instance(live: LiveVm) -> Mapping[str, Any]:
    half = live.running or live.stored
    conditions = [
        {"type": "Ready", "status": "True" if live.power is PowerState.RUNNING else "False"},
        {"type": "AgentConnected", "status": "True" if live.guest_agent else "False"},
        *([{"type": "Paused", "status": "True"}] if live.power is PowerState.PAUSED else []),
    ]
    interfaces = [
        _plain(
            {
                "name": nic.name,
                "mac": nic.mac,
                "ipAddress": nic.ips[0] if nic.ips else "",
                "ipAddresses": list(nic.ips),
                "interfaceName": nic.guest_name,
            }
        )
        for nic in live.interfaces
    ]
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": live.key.name, "namespace": live.key.namespace},
        "status": {
            "phase": _PHASES.get(live.power, "Unknown"),
            "conditions": conditions,
            "interfaces": interfaces,
            "volumeStatus": [{"name": disk.name, "target": ""} for disk in (half.disks if half else ())],
            "guestOSInfo": _plain({"prettyName": live.guest_os}),
            "machine": {"type": live.machine},
        },
    }


def _claim(live: LiveVolume) -> Mapping[str, Any]:
    progress = "" if live.progress is None else f"{live.progress:.0%}"
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1" if live.key.kind == "DataVolume" else "v1",
        "kind": live.key.kind,
        "metadata": {"name": live.key.name, "namespace": live.key.namespace},
        "status": _plain(
            {
                "phase": live.phase,
                "capacity": {"storage": format_bytes(live.size_bytes)},
                "progress": progress,
                "pool": live.pool,
                "usedBy": [str(key) for key in live.used_by],
            }
        ),
    }


def _network(live: LiveNetwork) -> Mapping[str, Any]:
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": live.key.kind,
        "metadata": _plain({"name": live.key.name, "namespace": live.key.namespace}),
        "status": {"active": live.active, "leases": [{"mac": lease.mac, "ip": lease.ip} for lease in live.leases]},
    }


def _plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a mapping that say something."""
    return {key: value for key, value in mapping.items() if value not in (None, "", (), [], {})}
