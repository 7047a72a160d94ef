"""CPUs and memory that KubeVirt plugs into a running guest: shown as the guest has them, and never taken for drift."""

from __future__ import annotations

import json
from typing import Any

from nodeexec.kubevirt.kinds import INSTANCE
from tests.cluster.vm_place import VmPlace, web

_MORE = web("Manual", cores=2).replace("256Mi", "2Gi")


def shown(vm_place: VmPlace) -> tuple[str, str, str]:
    """CPUs, MiB and message of `gitvirt get vm`."""
    row = json.loads(vm_place.gitvirt("get", "vm", "web", "-o", "json"))
    return row["facts"]["cpus"], row["facts"]["memory_mib"], row["message"]


def guest_has(vm_place: VmPlace, cores: int, memory: str, **status: Any) -> None:
    """What virt-handler reports."""
    said = {
        "currentCPUTopology": {"sockets": 1, "cores": cores, "threads": 1},
        "memory": {"guestAtBoot": "256Mi", "guestCurrent": memory},
    }
    vm_place.hands.set_status(INSTANCE, vm_place.namespace, "web", {**said, **status})


def writes(vm_place: VmPlace) -> list[str]:
    """Requests that write, but for the Lease of whoever acts."""
    return [line for line in vm_place.front.seen if line.startswith(("PATCH", "PUT", "POST")) and "/leases" not in line]


def test_a_guest_is_shown_as_it_is_until_it_was_migrated_for_more(vm_place: VmPlace) -> None:
    guest_has(vm_place, 1, "256Mi")
    vm_place.declare(_MORE)
    domain = {"cpu": {"cores": 2}, "memory": {"guest": "2Gi"}}
    vm_place.hands.patch(INSTANCE, vm_place.namespace, "web", {"spec": {"domain": domain}}, manager="virt-controller")
    waits = [{"type": one, "status": "True"} for one in ("HotVCPUChange", "HotMemoryChange")]
    guest_has(vm_place, 1, "256Mi", conditions=waits)
    before = writes(vm_place)
    assert "nothing to do" in vm_place.gitvirt("plan", "-detailed-exitcode")
    vm_place.gitvirt("apply")
    assert writes(vm_place) == before
    said = "CPUs are being plugged in: the guest has 1 of 2; memory is being plugged in: the guest has 256Mi of 2Gi"
    assert shown(vm_place) == ("1", "256", said)
    guest_has(vm_place, 2, "2Gi", conditions=[])
    assert shown(vm_place) == ("2", "2048", "")
