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
from reconciler.model.document import FieldPath

MAX_ANNOTATION_BYTES = 256 * 1024


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
    size = sum(len(name.encode()) + len(value.encode()) for name, value in annotations.items())
    if size > MAX_ANNOTATION_BYTES:
        text = f"annotations take {size} bytes; at most {MAX_ANNOTATION_BYTES} are allowed"
        findings.add("annotation-invalid", (*path, "annotations"), text)
