"""Rules for a PersistentVolumeClaim. *Source*: Kubernetes' validation of claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_dns_subdomain
from reconciler.manifests.kinds.scheduling import check_label_selector
from reconciler.model.document import FieldPath

DATA_SOURCES = ("dataSource", "dataSourceRef")


def check_claim(findings: Findings) -> None:
    """All rules of one PersistentVolumeClaim."""
    spec = findings.document.spec
    path: FieldPath = ("spec", "resources", "requests", "storage")
    size = spec.get("resources", {}).get("requests", {}).get("storage")
    if size is None:
        hint = "add spec.resources.requests.storage, such as 20Gi"
        findings.add("claim-no-size", path, "nothing says how large the disk is", hint)
    check_place(findings, spec, ("spec",))
    check_access_modes(findings, spec, ("spec",), required=True)


def check_place(findings: Findings, spec: Mapping[str, Any], path: FieldPath) -> None:
    """What a claim and the ``storage`` or ``pvc`` of a DataVolume have in common; the spec stands at ``path``."""
    resources = spec.get("resources", {})
    wanted, limit = (
        findings.amount((*path, "resources", part, "storage"), resources.get(part, {}).get("storage"))
        for part in ("requests", "limits")
    )
    if wanted and limit and wanted > limit:
        text = f"the request {resources['requests']['storage']} is above the limit {resources['limits']['storage']}"
        findings.add("claim-size-order", (*path, "resources", "requests", "storage"), text, "remove limits")
    for field in ("storageClassName", "volumeName"):
        if spec.get(field) and (fault := fault_of_dns_subdomain(spec[field])):
            findings.add("claim-name-invalid", (*path, field), f"{field} {fault}")
    if "selector" in spec:
        check_label_selector(findings, spec["selector"], (*path, "selector"), "claim-selector")
    for field in DATA_SOURCES:
        if field in spec:
            _check_data_source(findings, spec[field], (*path, field))
    if all(field in spec for field in DATA_SOURCES) and _named(spec["dataSource"]) != _named(spec["dataSourceRef"]):
        text = "dataSource and dataSourceRef name two things"
        findings.add("claim-data-source", (*path, "dataSourceRef"), text, "keep one of them", at_key=True)


def _named(source: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(source.get(field, "")) for field in ("apiGroup", "kind", "name"))


def _check_data_source(findings: Findings, source: Mapping[str, Any], path: FieldPath) -> None:
    """It names an object, with its group unless that is a claim."""
    for field in ("kind", "name"):
        if not source[field]:
            findings.add("claim-data-source", (*path, field), f"{field} is empty")
    if source["kind"] and source["kind"] != "PersistentVolumeClaim" and not source.get("apiGroup"):
        text = f"a {source['kind'][:40]} is known by its apiGroup too"
        findings.add("claim-data-source", (*path, "apiGroup"), text, "add apiGroup, such as snapshot.storage.k8s.io")


def check_access_modes(
    findings: Findings, spec: Mapping[str, Any], path: FieldPath, *, required: bool, single: bool = False
) -> None:
    """``accessModes`` of a claim whose spec stands at ``path``; ``single`` allows one only."""
    modes = spec.get("accessModes", [])
    if required and not modes:
        findings.add(
            "claim-access-modes", (*path, "accessModes"), "accessModes is missing", "add accessModes: [ReadWriteOnce]"
        )
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        text = "ReadWriteOncePod cannot be combined with other access modes"
        findings.add("claim-access-modes", (*path, "accessModes"), text)
    elif single and len(modes) > 1:
        text = "the pvc of a DataVolume has one access mode"
        findings.add("claim-access-modes", (*path, "accessModes"), text, "keep one, or use storage")
