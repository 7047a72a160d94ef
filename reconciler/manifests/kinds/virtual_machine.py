"""Rules for a VirtualMachine: what its parts have to obey, a file a part."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.metadata import check_labels, check_reserved_labels
from reconciler.manifests.kinds.scheduling import (
    check_affinity,
    check_node_selector,
    check_priority_class,
    check_tolerations,
    check_topology_spread,
)
from reconciler.manifests.kinds.vm_cpu import check_cpu
from reconciler.manifests.kinds.vm_credentials import check_credentials
from reconciler.manifests.kinds.vm_devices import DEVICE_RULES, check_io_threads
from reconciler.manifests.kinds.vm_disk_options import check_disk_options
from reconciler.manifests.kinds.vm_disks import check_disks, check_volumes
from reconciler.manifests.kinds.vm_features import check_clock, check_features
from reconciler.manifests.kinds.vm_firmware import (
    check_architecture,
    check_firmware,
    check_launch_security,
    check_machine,
)
from reconciler.manifests.kinds.vm_guest_names import (
    check_dns_config,
    check_dns_policy,
    check_grace_period,
    check_hostname,
    check_subdomain,
)
from reconciler.manifests.kinds.vm_instancetype import check_instancetype
from reconciler.manifests.kinds.vm_memory import check_memory
from reconciler.manifests.kinds.vm_network_options import check_network_options
from reconciler.manifests.kinds.vm_networks import check_boot_order, check_interfaces
from reconciler.manifests.kinds.vm_paths import Section, SectionRule, check_sections
from reconciler.manifests.kinds.vm_probes import check_liveness_probe, check_readiness_probe
from reconciler.manifests.kinds.vm_templates import check_templates
from reconciler.manifests.kinds.vm_volumes import check_service_account, check_volume_sources

MAX_DOMAIN_NAME = 200

_GUEST_RULES: Mapping[str, SectionRule] = {
    "hostname": check_hostname,
    "subdomain": check_subdomain,
    "dnsPolicy": check_dns_policy,
    "dnsConfig": check_dns_config,
    "terminationGracePeriodSeconds": check_grace_period,
    "architecture": check_architecture,
    "volumes": check_volume_sources,
    "serviceAccountName": check_service_account,
    "accessCredentials": check_credentials,
    "readinessProbe": check_readiness_probe,
    "livenessProbe": check_liveness_probe,
    "nodeSelector": check_node_selector,
    "affinity": check_affinity,
    "tolerations": check_tolerations,
    "topologySpreadConstraints": check_topology_spread,
    "priorityClassName": check_priority_class,
}
_DOMAIN_RULES: Mapping[str, SectionRule] = {
    "cpu": check_cpu,
    "firmware": check_firmware,
    "machine": check_machine,
    "features": check_features,
    "clock": check_clock,
    "launchSecurity": check_launch_security,
    "ioThreadsPolicy": check_io_threads,
}
_DEVICE_RULES: Mapping[str, SectionRule] = {**DEVICE_RULES, "disks": check_disk_options}


def check_virtual_machine(findings: Findings) -> None:
    """All rules of one VirtualMachine."""
    spec = findings.document.spec
    template = spec["template"]
    _check_name(findings)
    _check_run_strategy(findings, spec)
    if "metadata" in template:
        check_labels(findings, template["metadata"], ("spec", "template", "metadata"))
        check_reserved_labels(findings, template["metadata"], ("spec", "template", "metadata"))
    if "dataVolumeTemplates" in spec:
        check_templates(findings, spec)
    if "instancetype" in spec or "preference" in spec:
        check_instancetype(findings, spec)
    if "spec" not in template:
        text = "the template has no spec, so the VM has no hardware"
        findings.add("vm-no-memory", ("spec", "template", "spec"), text, "set spec.template.spec.domain.memory.guest")
        return
    vmi = template["spec"]
    if "instancetype" not in spec:
        check_memory(findings, vmi)
    check_sections(findings, vmi, _GUEST_RULES, vmi)
    check_sections(findings, vmi["domain"], _DOMAIN_RULES, vmi)
    check_sections(findings, vmi["domain"]["devices"], _DEVICE_RULES, vmi)
    check_disks(findings, vmi)
    check_volumes(findings, vmi)
    check_interfaces(findings, vmi)
    check_network_options(findings, vmi)
    check_boot_order(findings, vmi)


def _check_name(findings: Findings) -> None:
    key = findings.document.key
    length = len(key.namespace) + 1 + len(key.name)
    if length > MAX_DOMAIN_NAME:
        text = f"{key.namespace}_{key.name[:40]}… has {length} characters; a domain name has at most {MAX_DOMAIN_NAME}"
        findings.add("name-too-long", ("metadata", "name"), text)


def _check_run_strategy(findings: Findings, spec: Section) -> None:
    if "running" in spec and "runStrategy" in spec:
        text = "running and runStrategy are both set; only one may be"
        findings.add("vm-run-strategy-twice", ("spec", "running"), text, "remove running", at_key=True)
    elif "running" not in spec and "runStrategy" not in spec:
        hint = "add runStrategy: Always, or Halted for a VM that stays off"
        findings.add("vm-no-run-strategy", ("spec", "runStrategy"), "nothing says whether the VM should run", hint)
