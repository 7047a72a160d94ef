"""Rules for a VirtualMachine, besides its disks and interfaces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from reconciler.manifests.kinds.data_volume import check_data_volume_spec
from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.metadata import check_labels
from reconciler.manifests.kinds.names import fault_of_dns_label, fault_of_dns_subdomain
from reconciler.manifests.kinds.vm_disks import check_disks, check_volumes
from reconciler.manifests.kinds.vm_networks import check_boot_order, check_interfaces
from reconciler.model.document import FieldPath

MAX_DOMAIN_NAME = 200
TEMPLATE: FieldPath = ("spec", "template", "spec")
DOMAIN: FieldPath = (*TEMPLATE, "domain")

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


def check_virtual_machine(findings: Findings) -> None:
    """All rules of one VirtualMachine."""
    spec = findings.document.spec
    template = spec["template"]
    _check_name(findings)
    _check_run_strategy(findings, spec)
    check_labels(findings, template.get("metadata", {}), ("spec", "template", "metadata"))
    _check_templates(findings, spec)
    if "spec" not in template:
        text = "the template has no spec, so the VM has no hardware"
        findings.add("vm-no-memory", ("spec", "template", "spec"), text, "set spec.template.spec.domain.memory.guest")
        return
    vmi = template["spec"]
    _check_host_name(findings, vmi)
    if "instancetype" not in spec:
        _check_memory(findings, vmi["domain"])
    _check_cpu(findings, vmi["domain"])
    _check_firmware(findings, vmi["domain"])
    check_disks(findings, vmi)
    check_volumes(findings, vmi)
    check_interfaces(findings, vmi)
    check_boot_order(findings, vmi)


def _check_name(findings: Findings) -> None:
    key = findings.document.key
    length = len(key.namespace) + 1 + len(key.name)
    if length > MAX_DOMAIN_NAME:
        text = f"{key.namespace}_{key.name[:40]}… has {length} characters; a domain name has at most {MAX_DOMAIN_NAME}"
        findings.add("name-too-long", ("metadata", "name"), text)


def _check_run_strategy(findings: Findings, spec: Mapping[str, Any]) -> None:
    if "running" in spec and "runStrategy" in spec:
        text = "running and runStrategy are both set; only one may be"
        findings.add("vm-run-strategy-twice", ("spec", "running"), text, "remove running", at_key=True)
    elif "running" not in spec and "runStrategy" not in spec:
        hint = "add runStrategy: Always, or Halted for a VM that stays off"
        findings.add("vm-no-run-strategy", ("spec", "runStrategy"), "nothing says whether the VM should run", hint)


def _check_host_name(findings: Findings, vmi: Mapping[str, Any]) -> None:
    for field in ("hostname", "subdomain"):
        name = vmi.get(field)
        if name and (fault := fault_of_dns_label(name)):
            findings.add("vm-hostname-invalid", (*TEMPLATE, field), f"{field} {fault}")


def _check_memory(findings: Findings, domain: Mapping[str, Any]) -> None:
    memory, resources = domain.get("memory", {}), domain.get("resources", {})
    guest = findings.amount((*DOMAIN, "memory", "guest"), memory.get("guest"))
    most = findings.amount((*DOMAIN, "memory", "maxGuest"), memory.get("maxGuest"))
    amounts: dict[tuple[str, str], Fraction | None] = {}
    for part in ("requests", "limits"):
        for name, value in resources.get(part, {}).items():
            path = (*DOMAIN, "resources", part, name)
            amounts[part, name] = findings.amount(path, value, zero_allowed=name != "memory")
    if "guest" not in memory and ("requests", "memory") not in amounts and ("limits", "memory") not in amounts:
        hint = "add domain.memory.guest, such as 2Gi"
        findings.add("vm-no-memory", (*DOMAIN, "memory", "guest"), "nothing says how much memory the VM has", hint)
    if guest and most and guest > most:
        text = f"guest memory {memory['guest']} is above maxGuest {memory['maxGuest']}"
        findings.add("vm-memory-order", (*DOMAIN, "memory", "guest"), text)
    for (part, name), wanted in amounts.items():
        limit = amounts.get(("limits", name))
        if part == "requests" and wanted and limit and wanted > limit:
            text = f"the {name} request {resources['requests'][name]} is above its limit {resources['limits'][name]}"
            findings.add("vm-memory-order", (*DOMAIN, "resources", "requests", name), text)


def _check_cpu(findings: Findings, domain: Mapping[str, Any]) -> None:
    cpu = domain.get("cpu", {})
    for field in ("cores", "sockets", "threads", "maxSockets"):
        if cpu.get(field, 1) < 1:
            findings.add("vm-cpu-invalid", (*DOMAIN, "cpu", field), f"{field} must be at least 1")
    if "maxSockets" in cpu and cpu.get("sockets", 1) > cpu["maxSockets"]:
        text = f"{cpu.get('sockets', 1)} sockets are more than maxSockets {cpu['maxSockets']}"
        findings.add("vm-cpu-invalid", (*DOMAIN, "cpu", "sockets"), text)


def _check_firmware(findings: Findings, domain: Mapping[str, Any]) -> None:
    uuid = domain.get("firmware", {}).get("uuid")
    if uuid is not None and not _UUID.fullmatch(uuid):
        text = f"{uuid[:40]!r} is not a UUID"
        hint = "write 8-4-4-4-12 hexadecimal digits, or leave it out"
        findings.add("vm-uuid-invalid", (*DOMAIN, "firmware", "uuid"), text, hint)


def _check_templates(findings: Findings, spec: Mapping[str, Any]) -> None:
    seen: set[str] = set()
    for index, template in enumerate(spec.get("dataVolumeTemplates", ())):
        path = ("spec", "dataVolumeTemplates", index)
        name = template.get("metadata", {}).get("name", "")
        if not name or name in seen:
            text = f"a template named {name} stands above" if name else "the template has no metadata.name"
            findings.add("vm-template-name-twice", (*path, "metadata", "name"), text)
        elif fault := fault_of_dns_subdomain(name):
            findings.add("name-invalid", (*path, "metadata", "name"), f"the name {name[:80]!r} {fault}")
        seen.add(name)
        check_data_volume_spec(findings, template["spec"], (*path, "spec"))
