"""Where the parts of a VirtualMachine stand, and how rules for a part are found by the part's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.model.document import FieldPath

TEMPLATE: FieldPath = ("spec", "template", "spec")
DOMAIN: FieldPath = (*TEMPLATE, "domain")
DEVICES: FieldPath = (*DOMAIN, "devices")
DISKS, FILESYSTEMS, INTERFACES = (*DEVICES, "disks"), (*DEVICES, "filesystems"), (*DEVICES, "interfaces")
VOLUMES, NETWORKS = (*TEMPLATE, "volumes"), (*TEMPLATE, "networks")

Section = Mapping[str, Any]
SectionRule = Callable[[Findings, Section], None]
"""A rule for one part of a VM; it is given the template's whole spec."""

EntryRule = Callable[[Findings, Section, FieldPath, Section], None]
"""A rule for one entry of a list: findings, the entry, its path, the template's whole spec."""


def check_sections(findings: Findings, section: Section, rules: Mapping[str, SectionRule], vmi: Section) -> None:
    """Run the rules of the fields that a section has: what is not written costs nothing."""
    for field in section:
        rule = rules.get(field)
        if rule is not None:
            rule(findings, vmi)


def check_entry(
    findings: Findings, entry: Section, path: FieldPath, rules: Mapping[str, EntryRule], vmi: Section
) -> None:
    """Run the rules of the fields that a list's entry has."""
    for field in entry:
        rule = rules.get(field)
        if rule is not None:
            rule(findings, entry, path, vmi)


def is_on(state: Section | None) -> bool:
    """Whether a feature that is written is on: it is unless it says ``enabled: false``."""
    return state is not None and state.get("enabled") is not False
