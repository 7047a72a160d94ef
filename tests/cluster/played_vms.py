"""virt-api, virt-controller and guests, played: run strategies, the actions on VMs, instances that boot, end and are stopped.

Changes of a template are staged (rollout strategy ``Stage``): but for NICs they wait for a restart, and the VM says so.
*Source*: KubeVirt's user guide, "Run Strategies", "VM Rollout Strategies"; its API reference, subresources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodeexec.kubevirt.errors import ApiError
from nodeexec.kubevirt.finalizers import DISKS
from nodeexec.kubevirt.kinds import INSTANCE, VM
from nodeexec.kubevirt.vm_references import claim_names, template_of
from tests.cluster.emulator import Refusal
from tests.cluster.hands import Hands

_BOOT_S, _SHUTDOWN_S, _BRIEF_S = 1.0, 0.5, 3.0
_FINAL = ("Succeeded", "Failed")
_HELD = "foregroundDeleteVirtualMachine"
_GRACE_S = 180
_READY = {"type": "Ready", "status": "True"}
_NO_START = ("Always", "Once")
_NO_RESTART = ("Halted", "Once")


@dataclass(slots=True)
class _Guest:
    """One run. ``asked_at`` is when it was asked to power off."""

    kind: str
    started_at: float
    asked_at: float | None = None


class PlayedVms:
    """See the module. ``runs`` are how many instances each VM had."""

    def __init__(self, hands: Hands, namespace: str, guest_on: Callable[[str], str]) -> None:
        """``guest_on`` tells which guest a claim boots, empty for a claim that is not there."""
        self._hands, self._namespace, self._guest_on = hands, namespace, guest_on
        self.now = 0.0
        self.runs: dict[str, int] = {}
        self._asked: dict[str, list[str]] = {}
        self._guests: dict[str, _Guest] = {}

    def act(self, verb: str, name: str) -> None:
        """An action that was asked of virt-api.

        Raises:
            Refusal: the run strategy does not allow it, or the guest is in no state for it.
        """
        vm, instance = self._hands.get(VM, self._namespace, name), self._hands.get(INSTANCE, self._namespace, name)
        if vm is None:
            raise Refusal(404, f'virtualmachine "{name}" not found')
        runs, strategy = instance is not None and _phase(instance) not in _FINAL, _strategy(vm)
        match verb:
            case "start":
                _refuse(runs, "VM is already running")
                _refuse(strategy in _NO_START, f"{strategy} does not support manual start requests")
                self._start(name, strategy, is_final=instance is not None)
            case "stop":
                _refuse(not runs, "VM is not running")
                _refuse(strategy == "Halted", "Halted only supports manual stop requests with a shorter graceperiod")
                if strategy in _NO_START:
                    self._set_strategy(name, "Halted")
                else:
                    self._asked[name] = ["stop"]
            case "restart":
                _refuse(strategy in _NO_RESTART, f"{strategy} does not support manual restart requests")
                _refuse(not runs, "VM is not running")
                self._asked[name] = ["stop", "start"]
            case "pause" | "unpause":
                _refuse(not runs, "VMI is not running")
                _refuse(_is_paused(instance or {}) == (verb == "pause"), f"VMI is {verb}d already")
                paused = [{"type": "Paused", "status": "True"}] if verb == "pause" else []
                self._hands.set_status(INSTANCE, self._namespace, name, {"conditions": [_READY, *paused]})
            case _:
                raise Refusal(404, f"{verb} is not served")

    def _start(self, name: str, strategy: str, *, is_final: bool) -> None:
        if strategy == "Halted":
            self._set_strategy(name, "Always")
        else:
            self._asked[name] = ["stop", "start"] if is_final else ["start"]

    def _set_strategy(self, name: str, strategy: str) -> None:
        self._hands.patch(VM, self._namespace, name, {"spec": {"runStrategy": strategy}}, manager="virt-api")

    def pull_plug(self, name: str) -> None:
        """Somebody deletes the instance without any grace."""
        self._hands.delete(INSTANCE, self._namespace, name)
        self._let_go(INSTANCE, name)

    def kill(self, name: str) -> None:
        """The guest's hypervisor process dies."""
        self._end(name, "Failed")

    def _end(self, name: str, phase: str) -> None:
        stamp = {"phase": phase, "phaseTransitionTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        self._hands.set_status(INSTANCE, self._namespace, name, {"phase": phase, "phaseTransitionTimestamps": [stamp]})

    def step(self, listed: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> bool:
        """Whether anything was done."""
        acted = [self._live(instance) for instance in listed[INSTANCE].values()]
        for name, vm in listed[VM].items():
            instance = listed[INSTANCE].get(name)
            acted.append(self._reconcile(vm, instance) or self._plug(vm, instance) or self._report(vm, instance))
        return any(acted)

    def _live(self, instance: Mapping[str, Any]) -> bool:
        """A guest gets on: it powers itself off, or is gone some time after it was asked to."""
        metadata, name = instance["metadata"], instance["metadata"]["name"]
        guest = self._guests.get(metadata["uid"])
        if guest is None:
            return False
        if metadata.get("deletionTimestamp"):
            if guest.asked_at is None:
                guest.asked_at = self.now
            if _phase(instance) in _FINAL or self.now >= guest.asked_at + self._takes_s(instance, guest):
                del self._guests[metadata["uid"]]
                self._let_go(INSTANCE, name)
                return True
            return False
        if guest.kind == "brief" and self.now >= guest.started_at + _BRIEF_S and _phase(instance) not in _FINAL:
            self._end(name, "Succeeded")
            return True
        return False

    @staticmethod
    def _takes_s(instance: Mapping[str, Any], guest: _Guest) -> float:
        grace_s = float((instance.get("spec") or {}).get("terminationGracePeriodSeconds", _GRACE_S))
        is_up = guest.asked_at is not None and guest.asked_at >= guest.started_at + _BOOT_S
        return min(_SHUTDOWN_S, grace_s) if guest.kind == "polite" and is_up else grace_s

    def _reconcile(self, vm: Mapping[str, Any], instance: Mapping[str, Any] | None) -> bool:
        """What the run strategy and the requests ask for; whether anything was done."""
        metadata, name = vm["metadata"], vm["metadata"]["name"]
        if metadata.get("deletionTimestamp"):
            if instance is not None:
                return self._stop(instance)
            return self._let_go_vm(vm)
        asked = self._asked.get(name) or []
        if asked[:1] == ["stop"]:
            if instance is not None:
                return self._stop(instance)
            asked.pop(0)
            return True
        if asked[:1] == ["start"] and instance is None:
            asked.pop(0)
            return self._run(vm)
        strategy, phase = _strategy(vm), _phase(instance or {})
        if instance is None:
            is_due = strategy == "Always" or (strategy in ("Once", "RerunOnFailure") and name not in self.runs)
            return is_due and self._run(vm)
        is_over = strategy == "Halted" or (strategy == "Always" and phase in _FINAL)
        return (is_over or (strategy == "RerunOnFailure" and phase == "Failed")) and self._stop(instance)

    def _stop(self, instance: Mapping[str, Any]) -> bool:
        if instance["metadata"].get("deletionTimestamp"):
            return False
        self._hands.delete(INSTANCE, self._namespace, instance["metadata"]["name"])
        return True

    def _run(self, vm: Mapping[str, Any]) -> bool:
        """An instance, once there is a claim to boot from."""
        name = vm["metadata"]["name"]
        claims = [claim for _, claim in claim_names(template_of(vm))]
        kind = self._guest_on(claims[0]) if claims else "deaf"
        if not kind:
            return False
        made = self._hands.run_instance(self._namespace, name, finalizers=(_HELD,))
        status = {"interfaces": _plugged(_nics(made["spec"])), "conditions": [_READY]}
        self._hands.set_status(INSTANCE, self._namespace, name, status)
        self._guests[made["metadata"]["uid"]] = _Guest(kind=kind, started_at=self.now)
        self.runs[name] = self.runs.get(name, 0) + 1
        return True

    def _plug(self, vm: Mapping[str, Any], instance: Mapping[str, Any] | None) -> bool:
        """NICs that the template has more than a running guest are plugged in, whatever the rollout strategy; all else is staged."""
        if instance is None or _phase(instance) in _FINAL:
            return False
        template, name = template_of(vm), vm["metadata"]["name"]
        there = {nic["name"] for nic in _nics(instance["spec"])}
        nics = [nic for nic in _nics(template) if nic["name"] not in there]
        if not nics:
            return False
        fresh = {nic["name"] for nic in nics}
        all_nics = [*_nics(instance["spec"]), *nics]
        networks = [net for net in template["networks"] if net["name"] in fresh]
        spec = {
            "domain": {"devices": {"interfaces": all_nics}},
            "networks": [*(instance["spec"].get("networks") or ()), *networks],
        }
        self._hands.patch(INSTANCE, self._namespace, name, {"spec": spec}, manager="virt-controller")
        self._hands.set_status(INSTANCE, self._namespace, name, {"interfaces": _plugged(all_nics)})
        return True

    def _report(self, vm: Mapping[str, Any], instance: Mapping[str, Any] | None) -> bool:
        """The VM's status; whether it was another."""
        runs = instance is not None and _phase(instance) not in _FINAL
        is_staged = runs and instance is not None and instance["spec"] != template_of(vm)
        waits = {"type": "RestartRequired", "status": "True", "message": "a change waits for the next start"}
        said = {
            "printableStatus": _printable(vm, instance if runs else None),
            "ready": runs,
            "created": instance is not None,
            "conditions": [waits] if is_staged else [],
        }
        status = vm.get("status") or {}
        if all(status.get(field) == value for field, value in said.items()):
            return False
        self._hands.set_status(VM, self._namespace, vm["metadata"]["name"], said)
        return True

    def _let_go_vm(self, vm: Mapping[str, Any]) -> bool:
        """KubeVirt's own finalizer goes; gitvirt's holds the VM until its disks are out of its hands."""
        metadata = vm["metadata"]
        finalizers = metadata.get("finalizers") or ()
        kept = [one for one in finalizers if one == DISKS]
        if len(kept) == len(finalizers):
            return False
        change = {"finalizers": kept or None, "resourceVersion": metadata["resourceVersion"]}
        self._hands.patch(VM, self._namespace, metadata["name"], {"metadata": change})
        return True

    def _let_go(self, kind: str, name: str) -> None:
        """Finalizers do not keep it any more; a real garbage collector may have been faster."""
        try:
            self._hands.patch(kind, self._namespace, name, {"metadata": {"finalizers": None}})
        except ApiError as error:
            if error.status != 404:
                raise


def _refuse(is_so: bool, why: str) -> None:
    if is_so:
        raise Refusal(409, f"Operation cannot be fulfilled on virtualmachine.kubevirt.io: {why}")


def _strategy(vm: Mapping[str, Any]) -> str:
    spec = vm["spec"]
    return str(spec.get("runStrategy") or ("Always" if spec.get("running") else "Halted"))


def _phase(instance: Mapping[str, Any]) -> str:
    return str((instance.get("status") or {}).get("phase", ""))


def _is_paused(instance: Mapping[str, Any]) -> bool:
    conditions = (instance.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Paused" and one["status"] == "True" for one in conditions)


def _nics(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(((spec.get("domain") or {}).get("devices") or {}).get("interfaces") or ())


def _plugged(nics: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"name": nic["name"], "mac": nic.get("macAddress", "")} for nic in nics]


def _printable(vm: Mapping[str, Any], instance: Mapping[str, Any] | None) -> str:
    if vm["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if instance is None:
        return "Stopped"
    if instance["metadata"].get("deletionTimestamp"):
        return "Stopping"
    return "Paused" if _is_paused(instance) else "Running"
