"""VirtualMachine and instance → `LiveVm`: power, faults, addresses."""

from __future__ import annotations

from typing import Any

import pytest

from nodeexec.kubevirt.project_vm import live_vm
from reconciler.model.keys import ObjectKey
from reconciler.model.power import PowerState, StopReason

KEY = ObjectKey("VirtualMachine", "prod", "web")
VM: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "prod", "uid": "1"},
    "spec": {
        "runStrategy": "Always",
        "template": {"spec": {"domain": {"cpu": {"sockets": 2, "cores": 2}, "memory": {"guest": "1Gi"}}}},
    },
}


def instance(phase: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"uid": "2"}, "spec": VM["spec"]["template"]["spec"], "status": {"phase": phase, **status}}


@pytest.mark.parametrize(
    ("guest", "power", "reason"),
    [
        (None, PowerState.OFF, StopReason.NEVER_RAN),
        (instance("Running"), PowerState.RUNNING, StopReason.NEVER_RAN),
        (instance("Scheduling"), PowerState.RUNNING, StopReason.NEVER_RAN),
        (instance("Unknown"), PowerState.UNKNOWN, StopReason.NEVER_RAN),
        (instance("Running", conditions=[{"type": "Paused", "status": "True"}]), PowerState.PAUSED, StopReason.NEVER_RAN),
        (instance("Succeeded"), PowerState.OFF, StopReason.GUEST),
        (instance("Failed"), PowerState.OFF, StopReason.FAILED),
        ({**instance("Running"), "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, PowerState.STOPPING, StopReason.NEVER_RAN),
    ],
)  # fmt: skip
def test_power(guest: dict[str, Any] | None, power: PowerState, reason: StopReason) -> None:
    live = live_vm(KEY, VM, guest, host="cluster")
    assert (live.power, live.stop_reason) == (power, reason)
    assert (live.running is None) is (power is PowerState.OFF)
    assert live.marks is None


def test_what_tables_show() -> None:
    nic = {"name": "default", "mac": "52:54:00:AA:00:01", "ipAddresses": ["10.0.0.7", "fe80::1"]}
    agent = {"type": "AgentConnected", "status": "True"}
    live = live_vm(KEY, VM, instance("Running", interfaces=[nic], conditions=[agent]), host="cluster")
    assert live.stored is not None
    assert (live.stored.cpu.count, live.stored.memory_mib) == (4, 1024)
    assert live.interfaces[0].ips == ("10.0.0.7", "fe80::1")
    assert live.guest_agent


def plugged(cpu: dict[str, int] | None, memory: str | None, *conditions: str) -> dict[str, Any]:
    status = {
        "currentCPUTopology": cpu,
        "memory": {"guestAtBoot": "1Gi", "guestCurrent": memory, "guestRequested": "2Gi"},
        "conditions": [{"type": one, "status": "True"} for one in conditions],
    }
    spec = {"domain": {"cpu": {"sockets": 4, "cores": 2}, "memory": {"guest": "2Gi"}}}
    return {**instance("Running", **status), "spec": spec}


@pytest.mark.parametrize(
    ("guest", "size", "said"),
    [
        (plugged({"sockets": 2, "cores": 2, "threads": 1}, "1Gi", "HotVCPUChange", "HotMemoryChange"), (4, 1024),
         "CPUs are being plugged in: the guest has 4 of 8; memory is being plugged in: the guest has 1Gi of 2Gi"),
        (plugged({"sockets": 4, "cores": 2, "threads": 1}, "2Gi", "HotMemoryChange"), (8, 2048), ""),
        (plugged({"sockets": 2, "cores": 2, "threads": 1}, "1Gi"), (4, 1024), ""),
        (plugged(None, None, "HotVCPUChange"), (8, 2048), ""),
        (plugged({}, "0", "HotMemoryChange"), (8, 2048), ""),
        (plugged({}, "nonsense"), (8, 2048), ""),
    ],
)  # fmt: skip
def test_a_guest_has_what_it_has_while_more_is_plugged_in(
    guest: dict[str, Any], size: tuple[int, int], said: str
) -> None:
    live = live_vm(KEY, VM, guest, host="cluster")
    assert live.running is not None
    assert (live.running.cpu.count, live.running.memory_mib) == size
    assert live.under_way == said


def test_the_fingerprint_moves_with_what_matters_and_not_with_versions() -> None:
    def of(document: dict[str, Any], guest: dict[str, Any] | None = None) -> str:
        return live_vm(KEY, document, guest, host="cluster").fingerprint

    newer = {**VM, "metadata": {**VM["metadata"], "resourceVersion": "7"}, "status": {"ready": True}}
    assert of(VM) == of(newer)
    assert of(VM) != of({**VM, "spec": {**VM["spec"], "runStrategy": "Halted"}})
    assert of(VM) != of(VM, instance("Running"))
    assert of(VM) != of({**VM, "metadata": {**VM["metadata"], "annotations": {"a": "b"}}})
