"""What tests look at, and do with KubeVirt past gitvirt."""

from __future__ import annotations

from typing import Any

from nodeexec.kubevirt.kinds import INSTANCE, VM
from tests.cluster.hands import wait_until
from tests.cluster.place import Place

_LIMIT_S = 60.0


def nothing_to_do(place: Place) -> None:
    """A plan has nothing to say: nothing to do, nothing held or blocked, no note."""
    plan = place.plan()
    assert {name: plan[name] for name in ("changes", "held", "blocked", "notes")} == {
        "changes": [], "held": [], "blocked": [], "notes": [],
    }  # fmt: skip


def running(place: Place, name: str, *, after: str = "") -> dict[str, Any]:
    """The instance of a VM, once it runs and KubeVirt says so; another one than that of uid ``after``."""

    def found() -> dict[str, Any] | None:
        instance, vm = place.hands.get(INSTANCE, place.namespace, name), place.hands.get(VM, place.namespace, name)
        if instance is None or vm is None or instance["metadata"]["uid"] == after:
            return None
        runs = (instance.get("status") or {}).get("phase") == "Running"
        return instance if runs and (vm.get("status") or {}).get("printableStatus") == "Running" else None

    made: dict[str, Any] = wait_until(found, f"{name} runs", _LIMIT_S)
    return made


def stopped(place: Place, name: str) -> None:
    """Wait until a VM has no instance and KubeVirt says that it is stopped."""

    def is_off() -> bool:
        vm = place.hands.get(VM, place.namespace, name)
        is_gone = place.hands.get(INSTANCE, place.namespace, name) is None
        return is_gone and vm is not None and (vm.get("status") or {}).get("printableStatus") == "Stopped"

    wait_until(is_off, f"{name} is stopped", _LIMIT_S)


def strategy(place: Place, name: str) -> str:
    """The run strategy that the server has."""
    vm = place.hands.get(VM, place.namespace, name)
    assert vm is not None
    return str(vm["spec"]["runStrategy"])


def restart_required(place: Place, name: str) -> bool:
    """Whether KubeVirt says that a restart is due."""
    vm = place.hands.get(VM, place.namespace, name)
    assert vm is not None
    said = (vm.get("status") or {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("RestartRequired", "True") for one in said)


def virtctl(place: Place, verb: str, name: str) -> None:
    """What ``virtctl`` asks of KubeVirt's API."""
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/{place.namespace}/virtualmachines/{name}/{verb}"
    place.hands.call("PUT", path, {})
