"""The hardware of a VM: manifest fields → `DomainSpec` fields, with KubeVirt's defaults.

Source: KubeVirt's API and its defaulting for amd64 (disk bus sata, NIC model virtio, features.acpi on).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reconciler.model.domain import HYPERV_NEEDS, ClockSpec, CpuSpec
from reconciler.model.quantity import mib_of, parse_quantity

DOMAIN = "spec.template.spec.domain"


def memory(domain: Mapping[str, Any]) -> tuple[int, str]:
    """(MiB, manifest path). ``memory.guest`` wins over requests, requests over limits."""
    resources = domain.get("resources") or {}
    candidates = (
        ((domain.get("memory") or {}).get("guest"), f"{DOMAIN}.memory.guest"),
        ((resources.get("requests") or {}).get("memory"), f"{DOMAIN}.resources.requests.memory"),
        ((resources.get("limits") or {}).get("memory"), f"{DOMAIN}.resources.limits.memory"),
    )
    for value, path in candidates:
        if value is not None:
            return mib_of(value), path
    return 0, candidates[0][1]


def hugepages_kib(domain: Mapping[str, Any]) -> int:
    """The page size asked for, 0 for none."""
    size = ((domain.get("memory") or {}).get("hugepages") or {}).get("pageSize")
    return int(parse_quantity(size) / 1024) if size else 0


def cpu(domain: Mapping[str, Any]) -> tuple[CpuSpec, str]:
    """(topology, manifest path of the count). Without a topology, limits or requests say how many sockets."""
    declared = domain.get("cpu") or {}
    path = f"{DOMAIN}.cpu"
    sockets = declared.get("sockets")
    if not any(declared.get(part) for part in ("sockets", "cores", "threads")):
        resources = domain.get("resources") or {}
        for section in ("limits", "requests"):
            quantity = (resources.get(section) or {}).get("cpu")
            if quantity is not None:
                sockets, path = max(1, math.ceil(parse_quantity(quantity))), f"{DOMAIN}.resources.{section}.cpu"
                break
    sockets = sockets or 1
    features = sorted((item["name"], item.get("policy") or "require") for item in declared.get("features") or [])
    return (
        CpuSpec(
            sockets=sockets,
            cores=declared.get("cores") or 1,
            threads=declared.get("threads") or 1,
            max_sockets=max(declared.get("maxSockets") or sockets, sockets),
            model=declared.get("model") or "",
            features=tuple(features),
        ),
        path,
    )


def features(domain: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """(features, hyperv), each (name, setting) sorted by name."""
    declared = domain.get("features") or {}
    plain: dict[str, str] = {"acpi": _on(declared.get("acpi") or {})}
    for name in ("apic", "smm", "pvspinlock"):
        if declared.get(name) is not None:
            plain[name] = _on(declared[name])
    if (declared.get("apic") or {}).get("endOfInterrupt"):
        plain["apic.eoi"] = "on"
    if (declared.get("kvm") or {}).get("hidden"):
        plain["kvm.hidden"] = "on"
    hyperv = {name: _hyperv(name, setting or {}) for name, setting in (declared.get("hyperv") or {}).items()}
    for name, needed in HYPERV_NEEDS.items():
        if hyperv.get(name, "off") != "off":
            hyperv.setdefault(needed, "on")
    return tuple(sorted(plain.items())), tuple(sorted(hyperv.items()))


def _hyperv(name: str, setting: Mapping[str, Any]) -> str:
    """An enlightenment's setting: the value where it has one of its own, else on or off."""
    detail = {"spinlocks": "spinlocks", "vendorid": "vendorid"}.get(name)
    value = setting.get(detail) if detail else None
    return str(value) if value is not None and setting.get("enabled") is not False else _on(setting)


def _on(setting: Mapping[str, Any]) -> str:
    return "off" if setting.get("enabled") is False else "on"


def clock(domain: Mapping[str, Any]) -> ClockSpec:
    """The guest's clock; UTC unless said otherwise."""
    declared = domain.get("clock") or {}
    offset = "utc"
    if declared.get("timezone"):
        offset = f"timezone:{declared['timezone']}"
    elif (declared.get("utc") or {}).get("offsetSeconds"):
        offset = f"utc:{declared['utc']['offsetSeconds']}"
    timers = []
    for name, timer in (declared.get("timer") or {}).items():
        said = timer or {}
        parts = [f"present={'no' if said.get('present') is False else 'yes'}"]
        parts += [f"{word.lower()}={said[word]}" for word in ("tickPolicy", "track") if said.get(word)]
        timers.append((name, ",".join(parts)))
    return ClockSpec(offset=offset, timers=tuple(sorted(timers)))


def bootloader(domain: Mapping[str, Any]) -> tuple[str, bool]:
    """(``bios`` or ``efi``, secure boot). KubeVirt's EFI has secure boot on unless said otherwise."""
    loader = (domain.get("firmware") or {}).get("bootloader") or {}
    if loader.get("efi") is None:
        return "bios", False
    return "efi", loader["efi"].get("secureBoot") is not False


def watchdog(devices: Mapping[str, Any]) -> str:
    """The watchdog's action, empty for no watchdog. KubeVirt's default action is reset."""
    declared = devices.get("watchdog")
    if not declared:
        return ""
    return (declared.get("i6300esb") or {}).get("action") or "reset"


def inputs(devices: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """(name, type, bus) of each input device; the bus is usb unless said otherwise."""
    return tuple((item["name"], item["type"], item.get("bus") or "usb") for item in devices.get("inputs") or [])
