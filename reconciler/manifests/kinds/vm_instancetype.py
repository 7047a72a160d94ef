"""Rules for instancetypes and preferences, and for what may stand beside them.

*Source*: KubeVirt's instancetype webhooks.
"""

from __future__ import annotations

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_paths import DOMAIN, Section
from reconciler.model.document import FieldPath

CPU_FIELDS = ("sockets", "cores", "threads")
"""Every instancetype says how many CPUs there are; what else it says depends on the instancetype."""


def check_instancetype(findings: Findings, spec: Section) -> None:
    """Each matcher names one thing; an instancetype rules out amounts of the VM's own."""
    for field in ("instancetype", "preference"):
        if field in spec:
            _check_matcher(findings, spec, field)
    vmi = spec["template"].get("spec")
    if "instancetype" in spec and vmi is not None:
        for path in _own_amounts(vmi["domain"]):
            text = f"{path[-1]} is the instancetype's to say"
            findings.add("vm-instancetype-conflict", path, text, "remove it, or the instancetype", at_key=True)


def _check_matcher(findings: Findings, spec: Section, field: str) -> None:
    matcher = spec[field]
    name, volume = matcher.get("name"), matcher.get("inferFromVolume")
    if bool(name) == bool(volume):
        text = "name and inferFromVolume are both set" if name else f"{field} names nothing"
        findings.add("vm-instancetype-name", ("spec", field), text, "keep name")
        return
    if volume and matcher.get("kind"):
        text = "kind and inferFromVolume are both set"
        findings.add("vm-instancetype-name", ("spec", field, "kind"), text, "remove kind")
    volumes = {one["name"]: one for one in spec["template"].get("spec", {}).get("volumes", ())}
    if volume and not {"persistentVolumeClaim", "dataVolume"} & volumes.get(volume, {}).keys():
        text = f"{volume[:80]!r} is not a volume on a claim or a DataVolume"
        findings.add("vm-instancetype-name", ("spec", field, "inferFromVolume"), text)


def _own_amounts(domain: Section) -> list[FieldPath]:
    """What the VM says itself of what an instancetype says."""
    cpu, memory, resources = domain.get("cpu", {}), domain.get("memory", {}), domain.get("resources", {})
    found: list[FieldPath] = [(*DOMAIN, "cpu", field) for field in CPU_FIELDS if field in cpu]
    if "guest" in memory:
        found.append((*DOMAIN, "memory", "guest"))
    for part in ("requests", "limits"):
        found += [(*DOMAIN, "resources", part, name) for name in ("cpu", "memory") if name in resources.get(part, {})]
    return found
