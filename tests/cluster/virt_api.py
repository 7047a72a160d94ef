"""KubeVirt's start, stop, restart and pause as its API server and controller carry them out, refusals included.

*Source*: virt-api's handlers of these subresources, virt-controller's handling of run strategies.
"""

from __future__ import annotations

from typing import Any

from nodeexec.kubevirt.kinds import INSTANCE, VM
from tests.cluster.hands import Hands

_MANAGER = "virt-api"
_ACCEPTED, _CONFLICT = 202, 409


class VirtApi:
    """To be the ``act`` of a `Front`."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def __call__(self, verb: str, namespace: str, name: str) -> int:
        """Carry an action out; the HTTP status."""
        vm = self._hands.get(VM, namespace, name)
        assert vm is not None
        runs = self._hands.get(INSTANCE, namespace, name) is not None
        strategy = vm["spec"].get("runStrategy")
        match verb, strategy:
            case "start", "Halted" if not runs:
                self._write(namespace, name, "Always")
            case "start", "Manual" | "RerunOnFailure" if not runs:
                self._hands.run_instance(namespace, name)
            case "stop", "Always" | "Once":
                self._write(namespace, name, "Halted")
            case "stop", "Manual" | "RerunOnFailure" if runs:
                self._hands.delete(INSTANCE, namespace, name)
            case "restart", "Always" | "Manual" | "RerunOnFailure" if runs:
                self._hands.delete(INSTANCE, namespace, name)
                self._hands.run_instance(namespace, name)
                self._hands.set_status(VM, namespace, name, {"conditions": []})
            case "pause" | "unpause", _:
                paused = {"type": "Paused", "status": "True" if verb == "pause" else "False"}
                self._hands.set_status(INSTANCE, namespace, name, {"conditions": [paused]})
            case _:
                return _CONFLICT
        return _ACCEPTED

    def _write(self, namespace: str, name: str, strategy: str) -> None:
        self._hands.patch(VM, namespace, name, {"spec": {"runStrategy": strategy}}, manager=_MANAGER)
        self.follow(namespace, name)

    def follow(self, namespace: str, name: str) -> None:
        """What virt-controller does after the strategy was written, by whomever."""
        vm: dict[str, Any] | None = self._hands.get(VM, namespace, name)
        assert vm is not None
        runs = self._hands.get(INSTANCE, namespace, name) is not None
        strategy = vm["spec"].get("runStrategy")
        if strategy in ("Always", "Once") and not runs:
            self._hands.run_instance(namespace, name)
        if strategy == "Halted" and runs:
            self._hands.delete(INSTANCE, namespace, name)
            self._hands.set_status(VM, namespace, name, {"printableStatus": "Stopped", "ready": False})
