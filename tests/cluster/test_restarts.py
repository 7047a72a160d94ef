"""Restarts that KubeVirt says are due, by the VM's own policy and through KubeVirt's restart, with the commands of a user."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.cluster.vm_place import VmPlace, web


def window(begins: timedelta) -> str:
    """A window of two hours that begins so long from now, every day."""
    at = datetime.now(UTC) + begins
    return f"{at.minute} {at.hour} * * * for 2h in UTC"


def test_in_its_window_and_not_before(vm_place: VmPlace) -> None:
    vm_place.declare(web("Window", window(timedelta(hours=6)), cores=2))
    vm_place.is_due()
    vm_place.gitvirt("apply")
    assert vm_place.restarts == 0
    shown = vm_place.gitvirt("get", "vm", "web", "-o", "wide")
    assert "RestartRequired" in shown
    vm_place.declare(web("Window", window(timedelta(hours=-1)), cores=2))
    assert vm_place.restarts == 1
    vm_place.gitvirt("apply")
    assert vm_place.restarts == 1
    assert "RestartRequired" not in vm_place.gitvirt("get", "vm", "web", "-o", "wide")
    vm_place.is_due()
    vm_place.gitvirt("apply")
    assert vm_place.restarts == 1, "once in a window"


def test_at_once_but_only_when_kubevirt_says_that_it_is_due(vm_place: VmPlace) -> None:
    vm_place.declare(web("Immediate", cores=2))
    assert vm_place.restarts == 0
    vm_place.is_due()
    vm_place.gitvirt("apply")
    assert vm_place.restarts == 1


def test_never_by_itself_and_when_asked(vm_place: VmPlace) -> None:
    vm_place.declare(web("Manual", cores=2))
    vm_place.is_due()
    vm_place.gitvirt("apply")
    assert vm_place.restarts == 0
    assert "gitvirt restart" in vm_place.gitvirt("get", "vm", "web", "-o", "wide")
