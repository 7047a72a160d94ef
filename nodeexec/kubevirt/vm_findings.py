"""What is wrong with a VirtualMachine, by its own words, its instance's, and its volumes'. Pure.

A VM that is off because it should be is well whatever its conditions say. Nothing is concluded from generations.

*Source*: KubeVirt's API reference: printableStatus, conditions of VMs and instances, migration state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from nodeexec.kubevirt.conditions import condition, is_true
from nodeexec.kubevirt.findings import Finding, Subject, age_s, message_of, subject_of, told
from nodeexec.kubevirt.kinds import INSTANCE, VM
from nodeexec.kubevirt.marks import metadata_of, read_time
from nodeexec.kubevirt.vm_references import template_of

PATIENCE_S = 300.0
"""How long a guest may take to become ready, and its agent to answer."""
STILL_S = 900.0
RECENT_S = 3600.0
PROVISIONING = frozenset({"Provisioning", "WaitingForVolumeBinding", "Starting"})
_FAULTS = frozenset(
    {
        "CrashLoopBackOff", "ErrorUnschedulable", "ErrImagePull", "ImagePullBackOff", "ErrorPvcNotFound", "DataVolumeError",
    }
)  # fmt: skip
_UNTOUCHED = "KubeVirt has not taken it up"
_ENDED = ("Succeeded", "Failed")
_STARTED_AGAIN = ("Always", "RerunOnFailure")
_MOVES = ("HotVCPUChange", "HotMemoryChange", "MigrationRequired", "VolumesChange", "EvictionRequested")


def vm_finding(
    vm: Mapping[str, Any],
    instance: Mapping[str, Any] | None,
    volumes: Mapping[str, Finding],
    now: datetime,
) -> Finding | None:
    """What is wrong with a VM. ``volumes`` are findings on what its disks stand on, by name."""
    word = str((vm.get("status") or {}).get("printableStatus", ""))
    if metadata_of(vm).get("deletionTimestamp") or _is_to_be_off(vm, instance):
        return None
    about = tuple(_about(vm, instance))
    if word in _FAULTS:
        return _fault(word, vm, instance, volumes, about)
    for name in ("ManualRecoveryRequired", "Failure"):
        if is_true(vm, name):
            return Finding(word=name, text=message_of(vm, name), about=about)
    if instance is not None and (found := _of_instance(vm, instance, about, now)) is not None:
        return found
    if not word and age_s(vm, now) >= PATIENCE_S:
        return Finding(
            word="Pending", text=f"{_UNTOUCHED}, for {PATIENCE_S / 60:.0f} min and more: does virt-controller run?"
        )
    return _provisioning(word, instance, volumes, about, now) if word in PROVISIONING else None


def not_begun(vm: Mapping[str, Any], instance: Mapping[str, Any] | None) -> str:
    """What KubeVirt has yet to begin with a VM; empty when it is about it, or has nothing to do."""
    word = str((vm.get("status") or {}).get("printableStatus", ""))
    if metadata_of(vm).get("deletionTimestamp") or _is_to_be_off(vm, instance):
        return ""
    if not word:
        return f"{_UNTOUCHED} yet"
    return "KubeVirt is to start it" if word == "Stopped" and instance is None and _is_to_run(vm) else ""


def _is_to_be_off(vm: Mapping[str, Any], instance: Mapping[str, Any] | None) -> bool:
    """Whether a guest is off that should be."""
    spec = vm.get("spec") or {}
    ended = instance is None or (instance.get("status") or {}).get("phase") in _ENDED
    return ended and (spec.get("runStrategy") == "Halted" or spec.get("running") is False)


def _is_to_run(vm: Mapping[str, Any]) -> bool:
    spec = vm.get("spec") or {}
    return spec.get("runStrategy") == "Always" or spec.get("running") is True


def _fault(
    word: str,
    vm: Mapping[str, Any],
    instance: Mapping[str, Any] | None,
    volumes: Mapping[str, Finding],
    about: tuple[Subject, ...],
) -> Finding:
    """What KubeVirt itself calls an error."""
    bad = next(((name, one) for name, one in sorted(volumes.items()) if one.certain), None)
    if word == "DataVolumeError" and bad is not None:
        return Finding(word=word, text=f"{bad[0]}: {bad[1].told('')}", about=(*bad[1].about, *about))
    text = message_of(instance, "PodScheduled" if word == "ErrorUnschedulable" else "Synchronized")
    failure = (vm.get("status") or {}).get("startFailure") or {}
    if word == "CrashLoopBackOff" and failure:
        text = "; ".join(filter(None, (_crashes(failure.get("consecutiveFailCount") or 1), text)))
    return Finding(word=word, text=text or message_of(vm, "Failure", "Ready"), about=about)


def _crashes(count: int) -> str:
    times = "" if count == 1 else f" {count} times in a row"
    return f"the guest ended before it ran{times}; KubeVirt waits a while before the next start"


def _of_instance(
    vm: Mapping[str, Any], instance: Mapping[str, Any], about: tuple[Subject, ...], now: datetime
) -> Finding | None:
    status = instance.get("status") or {}
    phase, paused = status.get("phase"), condition(instance, "Paused") or {}
    if phase == "Unknown":
        return Finding(
            word="Unknown",
            text=f"the node {status.get('nodeName', '')} does not answer for it".replace("  ", " "),
            about=about,
        )
    if phase == "Failed":
        spec = vm.get("spec") or {}
        if spec.get("runStrategy") in _STARTED_AGAIN or spec.get("running") is True:
            return None
        return Finding(word="Failed", text=told(status.get("reason")) or "the guest ended in failure", about=about)
    if paused.get("status") == "True":
        if paused.get("reason") != "PausedIOError":
            return None
        return Finding(
            word="PausedIOError", text=told(paused.get("message")) or "its disk answers with errors", about=about
        )
    synchronized = condition(instance, "Synchronized") or {}
    if synchronized.get("status") == "False":
        return Finding(
            word=str(synchronized.get("reason") or "NotSynchronized"),
            text=told(synchronized.get("message")),
            about=about,
        )
    return (
        _moving(instance, about, now)
        or (_agent(vm, instance, now) if phase == "Running" else None)
        or _ready(instance, about, now)
    )


def _moving(instance: Mapping[str, Any], about: tuple[Subject, ...], now: datetime) -> Finding | None:
    """A migration that failed, while something waits for one, or lately."""
    last = (instance.get("status") or {}).get("migrationState") or {}
    memory = condition(instance, "HotMemoryChange") or {}
    if memory.get("status") == "False":
        return Finding(
            word="HotMemoryChange", text=told(memory.get("message")) or "memory could not be plugged in", about=about
        )
    ended = read_time(last.get("endTimestamp"))
    is_recent = ended is not None and (now - ended).total_seconds() < RECENT_S
    if (
        last.get("failed")
        and not last.get("abortRequested")
        and (is_recent or any(is_true(instance, one) for one in _MOVES))
    ):
        return Finding(
            word="MigrationFailed", text=told(last.get("failureReason")) or "the last migration failed", about=about
        )
    return None


def _agent(vm: Mapping[str, Any], instance: Mapping[str, Any], now: datetime) -> Finding | None:
    """A guest agent that is too old, or that something of the VM needs and nobody heard of."""
    if is_true(instance, "AgentVersionNotSupported"):
        return Finding(word="AgentVersionNotSupported", text=message_of(instance, "AgentVersionNotSupported"))
    access = condition(instance, "AccessCredentialsSynchronized") or {}
    if access.get("status") == "False":
        return Finding(
            word="AccessCredentialsSynchronized",
            text=told(access.get("message")) or "credentials are not set in the guest",
        )
    needs = _needs_agent(template_of(vm))
    if needs and not is_true(instance, "AgentConnected") and age_s(instance, now) >= PATIENCE_S:
        return Finding(word="AgentNotConnected", text=f"{needs} needs the guest agent, which does not answer")
    return None


def _needs_agent(template: Mapping[str, Any]) -> str:
    for one in template.get("accessCredentials") or ():
        for said in one.values():
            if isinstance(said, Mapping) and "qemuGuestAgent" in (said.get("propagationMethod") or {}):
                return "accessCredentials"
    for name in ("readinessProbe", "livenessProbe"):
        if "guestAgentPing" in (template.get(name) or {}):
            return name
    return ""


def _ready(instance: Mapping[str, Any], about: tuple[Subject, ...], now: datetime) -> Finding | None:
    """A guest that runs and does not become ready."""
    ready = condition(instance, "Ready") or {}
    since = read_time(ready.get("lastTransitionTime"))
    runs = (instance.get("status") or {}).get("phase") == "Running"
    if not runs or ready.get("status") != "False" or since is None or (now - since).total_seconds() < PATIENCE_S:
        return None
    return Finding(word="NotReady", text=told(ready.get("message")) or told(ready.get("reason")), about=about)


def _provisioning(
    word: str,
    instance: Mapping[str, Any] | None,
    volumes: Mapping[str, Finding],
    about: tuple[Subject, ...],
    now: datetime,
) -> Finding | None:
    """Stuck, or only slow: by its volumes, then by the time since the instance last moved."""
    for name, one in sorted(volumes.items(), key=lambda item: (not item[1].certain, item[0])):
        text = f"{name}: {one.told('')}"
        return Finding(word=word, text=text, about=(*one.about, *about), certain=one.certain)
    if instance is None or word != "Starting":
        return None
    still_s = age_s(instance, now)
    if still_s < PATIENCE_S / 5:
        return None
    is_stuck = still_s >= STILL_S
    text = f"its instance does not come up ({STILL_S / 60:.0f} min and more)" if is_stuck else ""
    return Finding(word=word, text=text, about=about, certain=is_stuck)


def _about(vm: Mapping[str, Any], instance: Mapping[str, Any] | None) -> Iterator[Subject]:
    """The instance and its pods, then the VM."""
    if instance is not None:
        yield subject_of(INSTANCE, instance)
        for uid in sorted((instance.get("status") or {}).get("activePods") or {}):
            yield Subject("Pod", str(metadata_of(vm).get("namespace", "")), "", str(uid))
    yield subject_of(VM, vm)
