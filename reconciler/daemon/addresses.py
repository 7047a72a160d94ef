"""Looks again at guests that have just started and have no address yet: a DHCP lease makes no event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from reconciler.daemon.wake import Wake
from reconciler.model.status import ObjectStatus

LOOK_EVERY_S = 2.0
PATIENCE_S = 300.0
"""How long after its start a guest may be without an address before nobody waits for it any more."""


def awaits_address(vm: ObjectStatus, now: datetime) -> bool:
    """Whether a VM runs, has a NIC and no address, and started so lately that one may come."""
    started = vm.facts.get("started_at")
    if vm.key.kind != "VirtualMachine" or vm.printable_status != "Running" or vm.facts.get("ip") or not started:
        return False
    if (vm.live or {}).get("status", {}).get("interfaces") == []:
        return False
    return abs((now - datetime.fromisoformat(started)).total_seconds()) < PATIENCE_S


def look_for_addresses(
    statuses: Iterable[ObjectStatus], *, now: datetime, later: Callable[[float, Wake], None]
) -> None:
    """Ask for a look at such VMs in a moment; ``later`` is `Timers.later`."""
    keys = frozenset(vm.key for vm in statuses if awaits_address(vm, now))
    if keys:
        later(LOOK_EVERY_S, Wake(keys=keys))
