"""What more or less of CPUs and memory costs under KubeVirt. Pure.

*Source*: virt-controller's CPU and memory hotplug, and its check whether a VM's memory can be changed live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.circumstances import Circumstances, Verdict, live, restart
from nodeexec.kubevirt.conditions import condition
from nodeexec.kubevirt.leaves import Unlike
from nodeexec.kubevirt.vm_references import template_of
from reconciler.model.quantity import GIB, MIB, bytes_of

_LEAST_MEMORY = GIB
_HUGE = "1Gi"
_EVICTED = (
    "KubeVirt would shut the guest down for it at once; change it while the VM is off, or set restart policy Immediate"
)


def sockets(one: Unlike, around: Circumstances) -> Verdict:
    """``domain.cpu.sockets``: up to what the guest was started for, by a migration."""
    if (staged := around.why_staged()) is not None:
        return staged
    cpu, started = _cpu(template_of(around.wanted)), _cpu(around.guest)
    before, after = _number(started.get("sockets") or one.before or 1), _number(one.after or 1)
    most = _number(started.get("maxSockets") or cpu.get("maxSockets") or 0)
    if template_of(around.have).get("architecture") == "arm64":
        return restart("CPUs are not plugged in on arm64")
    if after < before:
        return restart("KubeVirt takes sockets out at a restart only")
    if most and after > most:
        return restart(f"the guest was started for up to {most} sockets")
    why = around.why_not_moved()
    if why and around.rollout.evicts:
        return restart(f"{why}, and the cluster evicts such guests", "" if around.may_restart else _EVICTED)
    return _moved(around, why, "KubeVirt plugs sockets in by migrating the guest")


def memory(one: Unlike, around: Circumstances) -> Verdict:
    """``domain.memory.guest``: between what the guest was started with and what it was started for."""
    if (staged := around.why_staged()) is not None:
        return staged
    template, guest = template_of(around.wanted), around.guest
    why = _memory_is_fixed(one.after, template) or around.why_not_moved() or _beyond(one, around)
    failed = condition(around.instance, "HotMemoryChange")
    if failed is not None and failed.get("status") == "False":
        why = "plugging memory in failed before in this run of the guest"
    if guest and not _memory(guest).get("maxGuest"):
        why = why or "the guest was started without room for more memory"
    return _moved(around, why, "KubeVirt plugs memory in by migrating the guest")


def _moved(around: Circumstances, why: str, reason: str) -> Verdict:
    if why:
        return restart(why)
    if not around.rollout.migrates:
        return restart(
            "the cluster migrates no guest by itself (workloadUpdateMethods): it comes with the next migration or restart"
        )
    return live(reason)


def _memory_is_fixed(after: Any, template: Mapping[str, Any]) -> str:
    """Why this VM's memory is never changed live; empty when it may be."""
    cpu, size = _cpu(template), _bytes(after)
    block = GIB if (_memory(template).get("hugepages") or {}).get("pageSize") == _HUGE else 2 * MIB
    if cpu.get("realtime") is not None:
        return "memory of a realtime VM is not changed live"
    if (cpu.get("numa") or {}).get("guestMappingPassthrough") is not None:
        return "memory of a VM with NUMA passthrough is not changed live"
    if (template.get("domain") or {}).get("launchSecurity") is not None:
        return "memory of an encrypted VM is not changed live"
    if template.get("architecture", "amd64") != "amd64":
        return "memory is changed live on amd64 only"
    if size is not None and size < _LEAST_MEMORY:
        return "memory below 1Gi is not changed live"
    if size is not None and size % block:
        return f"only multiples of {block // MIB}Mi are plugged in"
    return ""


def _beyond(one: Unlike, around: Circumstances) -> str:
    """Why the new size is not one that the running guest can have."""
    size, most = _bytes(one.after), _bytes(_memory(around.guest).get("maxGuest"))
    at_boot = _bytes((((around.instance or {}).get("status") or {}).get("memory") or {}).get("guestAtBoot"))
    least = at_boot if at_boot is not None else (_bytes(one.before) if around.instance is None else None)
    if size is not None and least is not None and size < least:
        return "it is less than the guest was started with"
    if size is not None and most is not None and size > most:
        return f"the guest was started for up to {_memory(around.guest)['maxGuest']}"
    return ""


def _cpu(template: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (template.get("domain") or {}).get("cpu") or {}
    return found


def _memory(template: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (template.get("domain") or {}).get("memory") or {}
    return found


def _number(said: Any) -> int:
    return said if isinstance(said, int) else 0


def _bytes(said: Any) -> int | None:
    """A quantity in bytes; None for none, or for what is no quantity (the server refuses it)."""
    try:
        return bytes_of(said) if isinstance(said, str | int) else None
    except ValueError:
        return None
