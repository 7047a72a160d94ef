"""Rules for a VM's memory and for the amounts it requests from its host."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_paths import DOMAIN, Section
from reconciler.model.document import FieldPath
from reconciler.model.quantity import GIB, MIB, parse_quantity

LEAST_MEMORY = 1_000_000
"""Bytes. *Source*: KubeVirt's admission of requests.memory."""

PAGE_SIZES: Mapping[str, frozenset[int]] = {
    "amd64": frozenset({2 * MIB, GIB}),
    "arm64": frozenset({64 << 10, 2 * MIB, 32 * MIB, 512 * MIB, GIB, 16 * GIB}),
    "s390x": frozenset({MIB}),
}
"""Huge pages by architecture, in bytes. *Source*: the Linux kernel's documentation of hugetlbpage."""

_GUEST: FieldPath = (*DOMAIN, "memory", "guest")
_PAGE_SIZE: FieldPath = (*DOMAIN, "memory", "hugepages", "pageSize")


def check_memory(findings: Findings, vmi: Section) -> None:
    """Memory is given, large enough, in order and fits the huge pages."""
    domain = vmi["domain"]
    memory, resources = domain.get("memory", {}), domain.get("resources", {})
    guest = findings.amount(_GUEST, memory.get("guest"))
    most = findings.amount((*DOMAIN, "memory", "maxGuest"), memory.get("maxGuest"))
    amounts = _amounts(findings, resources) if resources else {}
    requested, limit = amounts.get(("requests", "memory")), amounts.get(("limits", "memory"))
    if "guest" not in memory and ("requests", "memory") not in amounts and ("limits", "memory") not in amounts:
        hint = "add domain.memory.guest, such as 2Gi"
        findings.add("vm-no-memory", _GUEST, "nothing says how much memory the VM has", hint)
    if guest and most and guest > most:
        text = f"guest memory {memory['guest']} is above maxGuest {memory['maxGuest']}"
        findings.add("vm-memory-order", _GUEST, text)
    if guest and limit and guest > limit:
        text = f"guest memory {memory['guest']} is above the memory limit {resources['limits']['memory']}"
        findings.add("vm-memory-limit", _GUEST, text, "raise the limit, or leave it out")
    for path, amount in ((_GUEST, guest), ((*DOMAIN, "resources", "requests", "memory"), requested)):
        if amount and int(amount) < LEAST_MEMORY:
            findings.add("vm-memory-small", path, f"{int(amount)} bytes of memory are less than 1M", "mind the unit")
    if "hugepages" in memory:
        _check_hugepages(findings, vmi, guest, requested)
    if most:
        _check_hotplug(findings, vmi, guest, most)


def amount_of(resources: Section, part: str, name: str) -> Fraction | None:
    """One amount of ``resources``; None when it is absent or unreadable, which is reported once elsewhere."""
    written = resources.get(part, {}).get(name)
    try:
        return None if written is None else parse_quantity(written)
    except ValueError:
        return None


def _amounts(findings: Findings, resources: Section) -> dict[tuple[str, str], Fraction | None]:
    """Every request and limit, each readable, and no request above its limit."""
    amounts: dict[tuple[str, str], Fraction | None] = {}
    for part in ("requests", "limits"):
        for name, value in resources.get(part, {}).items():
            path = (*DOMAIN, "resources", part, name)
            amounts[part, name] = findings.amount(path, value, zero_allowed=name != "memory")
    for (part, name), wanted in amounts.items():
        limit = amounts.get(("limits", name))
        if part == "requests" and wanted and limit and wanted > limit:
            text = f"the {name} request {resources['requests'][name]} is above its limit {resources['limits'][name]}"
            code = "vm-memory-order" if name == "memory" else "vm-resource-order"
            findings.add(code, (*DOMAIN, "resources", "requests", name), text)
    return amounts


def _check_hugepages(findings: Findings, vmi: Section, guest: Fraction | None, requested: Fraction | None) -> None:
    written = vmi["domain"]["memory"]["hugepages"].get("pageSize")
    if written is None:
        text = "hugepages says no page size"
        findings.add("vm-hugepages", _PAGE_SIZE, text, "add pageSize: 2Mi")
        return
    size = findings.amount(_PAGE_SIZE, written)
    if size is None:
        return
    sizes = PAGE_SIZES.get(vmi.get("architecture", "amd64"))
    if sizes is not None and size not in sizes:
        findings.add("vm-hugepages", _PAGE_SIZE, f"there are no huge pages of {written}", "take 2Mi or 1Gi")
        return
    for path, amount in ((_GUEST, guest), ((*DOMAIN, "resources", "requests", "memory"), requested)):
        if amount and amount % size:
            text = f"memory is not a multiple of the page size {written}"
            findings.add("vm-hugepages", path, text, f"take a multiple of {written}")


def _check_hotplug(findings: Findings, vmi: Section, guest: Fraction | None, most: Fraction) -> None:
    """What ``maxGuest`` asks of the rest. *Source*: KubeVirt's rules for live updates of memory."""
    domain = vmi["domain"]
    path = (*DOMAIN, "memory", "maxGuest")
    cpu: Mapping[str, Any] = domain.get("cpu", {})
    ruled_out = (
        ("launchSecurity", "launchSecurity" in domain),
        ("cpu.realtime", "realtime" in cpu),
        ("cpu.numa.guestMappingPassthrough", "guestMappingPassthrough" in cpu.get("numa", {})),
        ("an architecture other than amd64", vmi.get("architecture", "amd64") not in ("", "amd64")),
    )
    other = next((name for name, is_there in ruled_out if is_there), "")
    if other:
        text = f"maxGuest lets memory grow while the VM runs, which {other} rules out"
        findings.add("vm-max-guest", path, text, f"remove maxGuest, or {other}")
        return
    if "guest" not in domain["memory"]:
        findings.add("vm-max-guest", path, "maxGuest is set and guest is not", "add memory.guest")
        return
    step = GIB if domain["memory"].get("hugepages", {}).get("pageSize") == "1Gi" else 2 * MIB
    unit = "1Gi" if step == GIB else "2Mi"
    for place, amount in ((_GUEST, guest), (path, most)):
        if amount and amount % step:
            text = f"with maxGuest, {place[-1]} must be a multiple of {unit}"
            findings.add("vm-max-guest", place, text)
    if guest and guest < GIB:
        text = "with maxGuest, the guest must begin with at least 1Gi"
        findings.add("vm-max-guest", _GUEST, text, "raise memory.guest, or remove maxGuest")
