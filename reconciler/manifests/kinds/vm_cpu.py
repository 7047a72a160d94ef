"""Rules for a VM's virtual CPUs: counts, features, placement."""

from __future__ import annotations

import re
from math import prod

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_memory import amount_of
from reconciler.manifests.kinds.vm_paths import DOMAIN, Section
from reconciler.model.document import FieldPath

FEATURE_POLICIES = frozenset({"", "force", "require", "optional", "disable", "forbid"})
MAX_THREADS_DEDICATED = 2

_CPU: FieldPath = (*DOMAIN, "cpu")
_DEDICATED: FieldPath = (*_CPU, "dedicatedCpuPlacement")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_MASK = re.compile(r"(\^?[0-9]+(-[0-9]+)?)(,\^?[0-9]+(-[0-9]+)?)*", re.ASCII)


def check_cpu(findings: Findings, vmi: Section) -> None:
    """Everything below ``domain.cpu``."""
    cpu = vmi["domain"]["cpu"]
    for field in ("cores", "sockets", "threads", "maxSockets"):
        if cpu.get(field, 1) < 1:
            findings.add("vm-cpu-invalid", (*_CPU, field), f"{field} must be at least 1")
    if "maxSockets" in cpu and cpu.get("sockets", 1) > cpu["maxSockets"]:
        text = f"{cpu.get('sockets', 1)} sockets are more than maxSockets {cpu['maxSockets']}"
        findings.add("vm-cpu-sockets", (*_CPU, "sockets"), text, "raise maxSockets, or leave it out")
    if "model" in cpu and not _NAME.fullmatch(cpu["model"]):
        text = f"{cpu['model'][:80]!r} is not the name of a CPU model"
        findings.add("vm-cpu-model", (*_CPU, "model"), text, "write host-model, host-passthrough or a model's name")
    if "features" in cpu:
        _check_features(findings, cpu)
    if cpu.get("dedicatedCpuPlacement"):
        _check_dedicated(findings, vmi)
    else:
        _check_needs_dedicated(findings, cpu)
    if "numa" in cpu or "realtime" in cpu:
        _check_numa(findings, vmi)


def _check_features(findings: Findings, cpu: Section) -> None:
    seen: set[str] = set()
    for index, feature in enumerate(cpu["features"]):
        path = (*_CPU, "features", index)
        name = feature["name"]
        if feature.get("policy", "") not in FEATURE_POLICIES:
            policies = ", ".join(sorted(FEATURE_POLICIES - {""}))
            text = f"{feature['policy'][:40]!r} is not a policy for a CPU feature"
            findings.add("vm-cpu-feature", (*path, "policy"), text, f"a policy is one of {policies}")
        if not _NAME.fullmatch(name):
            findings.add("vm-cpu-feature", (*path, "name"), f"{name[:80]!r} is not the name of a CPU feature")
        elif name in seen:
            findings.add("vm-cpu-feature", (*path, "name"), f"the CPU feature {name} stands above already")
        seen.add(name)


def _check_dedicated(findings: Findings, vmi: Section) -> None:
    """Pinned CPUs are whole ones, and all that is said of their number agrees."""
    cpu, resources = vmi["domain"]["cpu"], vmi["domain"].get("resources", {})
    amounts = {part: amount_of(resources, part, "cpu") for part in ("requests", "limits")}
    for part, amount in amounts.items():
        if amount and amount.denominator != 1:
            text = f"the cpu {part} {resources[part]['cpu']} is not a whole number, and CPUs are dedicated"
            findings.add("vm-cpu-dedicated", (*DOMAIN, "resources", part, "cpu"), text)
    wanted, limit = amounts["requests"], amounts["limits"]
    if wanted and limit and wanted != limit:
        text = "the cpu request and its limit differ, and CPUs are dedicated"
        findings.add("vm-cpu-dedicated", (*DOMAIN, "resources", "requests", "cpu"), text, "make them equal")
    memory, most = amount_of(resources, "requests", "memory"), amount_of(resources, "limits", "memory")
    if memory and most and memory != most:
        text = "the memory request and its limit differ, and CPUs are dedicated"
        findings.add("vm-cpu-dedicated", (*DOMAIN, "resources", "requests", "memory"), text, "make them equal")
    counts = [cpu[part] for part in ("sockets", "cores", "threads") if cpu.get(part)]
    said = [amount for amount in (wanted, limit) if amount]
    if not counts and not said:
        text = "CPUs are dedicated and nothing says how many"
        findings.add("vm-cpu-dedicated", _DEDICATED, text, "add cpu.cores")
    elif counts and said and prod(counts) not in said:
        text = f"{prod(counts)} virtual CPUs are not the number in resources, and CPUs are dedicated"
        findings.add("vm-cpu-dedicated", _DEDICATED, text, "remove cpu from resources")
    if cpu.get("threads", 1) > MAX_THREADS_DEDICATED:
        text = f"{cpu['threads']} threads in a core are more than the {MAX_THREADS_DEDICATED} that dedicated CPUs have"
        findings.add("vm-cpu-dedicated", (*_CPU, "threads"), text)


def _check_needs_dedicated(findings: Findings, cpu: Section) -> None:
    hint = "set dedicatedCpuPlacement: true"
    if cpu.get("isolateEmulatorThread"):
        text = "isolateEmulatorThread needs dedicated CPUs"
        findings.add("vm-cpu-isolate", (*_CPU, "isolateEmulatorThread"), text, hint)
    if "guestMappingPassthrough" in cpu.get("numa", {}):
        text = "guestMappingPassthrough needs dedicated CPUs"
        findings.add("vm-cpu-numa", (*_CPU, "numa", "guestMappingPassthrough"), text, hint)
    if "realtime" in cpu:
        findings.add("vm-cpu-realtime", (*_CPU, "realtime"), "realtime needs dedicated CPUs", hint)


def _check_numa(findings: Findings, vmi: Section) -> None:
    cpu = vmi["domain"]["cpu"]
    mapped = "guestMappingPassthrough" in cpu.get("numa", {})
    if mapped and "hugepages" not in vmi["domain"].get("memory", {}):
        text = "guestMappingPassthrough needs huge pages"
        findings.add("vm-cpu-numa", (*_CPU, "numa", "guestMappingPassthrough"), text, "add memory.hugepages")
    realtime = cpu.get("realtime")
    if realtime is None:
        return
    if not mapped:
        text = "realtime needs the host's NUMA topology"
        findings.add("vm-cpu-realtime", (*_CPU, "realtime"), text, "add numa: {guestMappingPassthrough: {}}")
    if realtime.get("mask") and not _MASK.fullmatch(realtime["mask"]):
        text = f"{realtime['mask'][:40]!r} is not a list of virtual CPUs"
        findings.add("vm-cpu-realtime", (*_CPU, "realtime", "mask"), text, "write it as 0-3,^1")
