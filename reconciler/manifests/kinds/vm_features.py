"""Rules for the platform features a guest sees: Hyper-V enlightenments, clock and timers."""

from __future__ import annotations

import re

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_paths import DOMAIN, Section, is_on
from reconciler.model.document import FieldPath
from reconciler.model.domain import HYPERV_NEEDS

LEAST_SPINLOCKS = 4096
MAX_VENDOR_ID = 12

_FEATURES: FieldPath = (*DOMAIN, "features")
_CLOCK: FieldPath = (*DOMAIN, "clock")
_TIMEZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


def check_features(findings: Findings, vmi: Section) -> None:
    """Hyper-V enlightenments: what they need, and values that hypervisors take."""
    features = vmi["domain"]["features"]
    hyperv = features.get("hyperv")
    if hyperv is None:
        return
    if "hypervPassthrough" in features:
        text = "hyperv and hypervPassthrough are both set"
        findings.add("vm-hyperv-twice", (*_FEATURES, "hypervPassthrough"), text, "keep one", at_key=True)
    for name, needed in HYPERV_NEEDS.items():
        if is_on(hyperv.get(name)) and hyperv.get(needed, {}).get("enabled") is False:
            text = f"{name} is on and needs {needed}, which is off"
            findings.add("vm-hyperv-needs", (*_FEATURES, "hyperv", needed), text, f"turn {needed} on, or {name} off")
    if is_on(hyperv.get("evmcs")):
        _check_vmx(findings, vmi["domain"])
    retries = hyperv.get("spinlocks", {}).get("spinlocks")
    if retries is not None and retries < LEAST_SPINLOCKS:
        text = f"{retries} spinlock retries are fewer than {LEAST_SPINLOCKS}, the least that guests accept"
        findings.add("vm-hyperv-value", (*_FEATURES, "hyperv", "spinlocks", "spinlocks"), text)
    vendor = hyperv.get("vendorid", {}).get("vendorid", "")
    if len(vendor) > MAX_VENDOR_ID or not vendor.isascii() or "," in vendor:
        text = f"a vendor id has at most {MAX_VENDOR_ID} plain characters and no comma"
        findings.add("vm-hyperv-value", (*_FEATURES, "hyperv", "vendorid", "vendorid"), text)


def _check_vmx(findings: Findings, domain: Section) -> None:
    for index, feature in enumerate(domain.get("cpu", {}).get("features", ())):
        if feature["name"] == "vmx" and feature.get("policy", "require") not in ("", "require"):
            path = (*DOMAIN, "cpu", "features", index, "policy")
            findings.add("vm-hyperv-needs", path, "evmcs is on and needs the CPU feature vmx", "write policy: require")


def check_clock(findings: Findings, vmi: Section) -> None:
    """One offset, and a time zone that has the form of one."""
    clock = vmi["domain"]["clock"]
    if "utc" in clock and "timezone" in clock:
        text = "utc and timezone are both set; a clock has one offset"
        findings.add("vm-clock-twice", (*_CLOCK, "timezone"), text, "keep one", at_key=True)
    zone = clock.get("timezone")
    if zone is not None and not _TIMEZONE.fullmatch(zone):
        findings.add("vm-timezone", (*_CLOCK, "timezone"), f"{zone[:40]!r} is not a time zone", "write Europe/Paris")
