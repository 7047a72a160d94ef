"""Rules for a VM's ``dataVolumeTemplates``. *Source*: KubeVirt's admission."""

from __future__ import annotations

from reconciler.manifests.kinds.data_volume import check_data_volume_spec
from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_dns_subdomain
from reconciler.manifests.kinds.vm_disks import claim_of
from reconciler.manifests.kinds.vm_paths import Section
from reconciler.manifests.schema_fields import similar


def check_templates(findings: Findings, spec: Section) -> None:
    """Names of their own, the VM's namespace, a volume that uses each, and the rules of a DataVolume."""
    namespace = findings.document.key.namespace
    used = {claim_of(volume) for volume in spec["template"].get("spec", {}).get("volumes", ())}
    seen: set[str] = set()
    for index, template in enumerate(spec["dataVolumeTemplates"]):
        path = ("spec", "dataVolumeTemplates", index)
        metadata = template.get("metadata", {})
        name = metadata.get("name", "")
        if not name or name in seen:
            text = f"a template named {name} stands above" if name else "the template has no metadata.name"
            findings.add("vm-template-name-twice", (*path, "metadata", "name"), text)
        elif fault := fault_of_dns_subdomain(name):
            findings.add("name-invalid", (*path, "metadata", "name"), f"the name {name[:80]!r} {fault}")
        elif name not in used:
            near = similar(name, tuple(used - {""}))
            hint = f"did you mean {near}?" if near else f"add a volume with dataVolume: {{name: {name}}}"
            findings.add("vm-template-unused", (*path, "metadata", "name"), f"no volume uses the disk {name}", hint)
        if metadata.get("namespace", namespace) != namespace:
            text = f"the disk would be in another namespace than its VM, which is in {namespace}"
            findings.add("vm-template-namespace", (*path, "metadata", "namespace"), text, "remove namespace")
        seen.add(name)
        check_data_volume_spec(findings, template["spec"], (*path, "spec"))
