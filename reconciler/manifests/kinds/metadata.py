"""Rules for ``metadata`` of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import (
    fault_of_dns_label,
    fault_of_dns_subdomain,
    fault_of_label_value,
    fault_of_qualified_name,
)
from reconciler.manifests.schema_fields import similar
from reconciler.model.annotations import ANNOTATIONS, PREFIX, VALUES, WRITTEN
from reconciler.model.document import FieldPath

MAX_ANNOTATION_BYTES = 256 * 1024

RESERVED_LABELS = frozenset(
    f"kubevirt.io/{name}"
    for name in (
        "created-by",
        "migrationJobUID",
        "nodeName",
        "migrationTargetNodeName",
        "schedulable",
        "install-strategy",
    )
)
"""Labels that only KubeVirt puts on a running VM. *Source*: its admission."""


def check_metadata(findings: Findings) -> None:
    """Name, namespace, labels and annotations."""
    key = findings.document.key
    fault = fault_of_dns_label(key.name) if key.kind == "Namespace" else fault_of_dns_subdomain(key.name)
    if fault:
        findings.add("name-invalid", ("metadata", "name"), f"the name {key.name[:80]!r} {fault}")
    if key.namespace and (fault := fault_of_dns_label(key.namespace)):
        findings.add("name-invalid", ("metadata", "namespace"), f"the namespace {key.namespace[:80]!r} {fault}")
    metadata = findings.document.body["metadata"]
    if "generateName" in metadata:
        text = "generateName makes a new object each time it is applied"
        findings.add("metadata-generate-name", ("metadata", "generateName"), text, "remove it; name stays", at_key=True)
    check_labels(findings, metadata, ("metadata",))


def check_labels(findings: Findings, metadata: Mapping[str, Any], path: FieldPath) -> None:
    """Labels and annotations of one ``metadata``, which stands at ``path``."""
    for label, value in metadata.get("labels", {}).items():
        if fault := fault_of_qualified_name(label):
            findings.add(
                "label-invalid", (*path, "labels", label), f"the label key {label[:80]!r}: {fault}", at_key=True
            )
        if fault := fault_of_label_value(value):
            findings.add("label-invalid", (*path, "labels", label), f"the value of the label {label[:80]!r} {fault}")
    annotations: Mapping[str, str] = metadata.get("annotations", {})
    for name in annotations:
        if fault := fault_of_qualified_name(name.lower()):
            text = f"the annotation key {name[:80]!r}: {fault}"
            findings.add("annotation-invalid", (*path, "annotations", name), text, at_key=True)
        elif name.startswith(PREFIX) and name not in ANNOTATIONS:
            _check_unknown_annotation(findings, name, (*path, "annotations", name))
        elif (known := VALUES.get(name)) and annotations[name] not in known:
            text = f"{name} is {' or '.join(known)}, not {annotations[name][:80]!r}"
            findings.add("annotation-value", (*path, "annotations", name), text)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in annotations.items())
    if size > MAX_ANNOTATION_BYTES:
        text = f"annotations take {size} bytes; at most {MAX_ANNOTATION_BYTES} are allowed"
        findings.add("annotation-invalid", (*path, "annotations"), text)


def check_reserved_labels(findings: Findings, metadata: Mapping[str, Any], path: FieldPath) -> None:
    """No label of a VM's template is one of those that only KubeVirt sets."""
    for label in metadata.get("labels", {}):
        if label in RESERVED_LABELS:
            text = f"the label {label} is KubeVirt's own; it refuses VMs that come with it"
            findings.add("label-reserved", (*path, "labels", label), text, "remove it", at_key=True)


def _check_unknown_annotation(findings: Findings, name: str, path: FieldPath) -> None:
    if name in WRITTEN:
        text = f"{name} is written by gitvirt itself and means nothing in a manifest"
        findings.add("annotation-reserved", path, text, "remove it", at_key=True)
        return
    near = similar(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in sorted(ANNOTATIONS)])
    hint = f"did you mean {PREFIX}{near}?" if near else "docs/manifests.md lists the annotations"
    findings.add("annotation-unknown", path, f"gitvirt has no annotation {name[:80]}", hint, at_key=True)
