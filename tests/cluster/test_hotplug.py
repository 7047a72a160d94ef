"""CPUs and memory that KubeVirt plugs into a running guest: shown as the guest has them, and never taken for drift."""

from __future__ import annotations

import json
from typing import Any

from nodeexec.kubevirt.kinds import INSTANCE
from tests.cluster.test_restarts import Place, web
from tests.cluster.test_restarts import place as place  # noqa: PLC0414 - a fixture

_MORE = web("Manual", cores=2).replace("256Mi", "2Gi")


def shown(place: Place) -> tuple[str, str, str]:
    """CPUs, MiB and message of `gitvirt get vm`."""
    row = json.loads(place.gitvirt("get", "vm", "web", "-o", "json"))
    return row["facts"]["cpus"], row["facts"]["memory_mib"], row["message"]


def guest_has(place: Place, cores: int, memory: str, **status: Any) -> None:
    """What virt-handler reports."""
    said = {
        "currentCPUTopology": {"sockets": 1, "cores": cores, "threads": 1},
        "memory": {"guestAtBoot": "256Mi", "guestCurrent": memory},
    }
    place.hands.set_status(INSTANCE, place.namespace, "web", {**said, **status})


def writes(place: Place) -> list[str]:
    """Requests that write, but for the Lease of whoever acts."""
    return [line for line in place.front.seen if line.startswith(("PATCH", "PUT", "POST")) and "/leases" not in line]


def test_a_guest_is_shown_as_it_is_until_it_was_migrated_for_more(place: Place) -> None:
    guest_has(place, 1, "256Mi")
    place.commit(_MORE)
    domain = {"cpu": {"cores": 2}, "memory": {"guest": "2Gi"}}
    place.hands.patch(INSTANCE, place.namespace, "web", {"spec": {"domain": domain}}, manager="virt-controller")
    waits = [{"type": one, "status": "True"} for one in ("HotVCPUChange", "HotMemoryChange")]
    guest_has(place, 1, "256Mi", conditions=waits)
    before = writes(place)
    assert "nothing to do" in place.gitvirt("plan", "-detailed-exitcode")
    place.gitvirt("apply")
    assert writes(place) == before
    said = "CPUs are being plugged in: the guest has 1 of 2; memory is being plugged in: the guest has 256Mi of 2Gi"
    assert shown(place) == ("1", "256", said)
    guest_has(place, 2, "2Gi", conditions=[])
    assert shown(place) == ("2", "2048", "")
