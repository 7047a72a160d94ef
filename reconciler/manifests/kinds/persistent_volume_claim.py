"""Rules for a PersistentVolumeClaim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.model.document import FieldPath


def check_claim(findings: Findings) -> None:
    """All rules of one PersistentVolumeClaim."""
    spec = findings.document.spec
    path: FieldPath = ("spec", "resources", "requests", "storage")
    size = spec.get("resources", {}).get("requests", {}).get("storage")
    if size is None:
        hint = "add spec.resources.requests.storage, such as 20Gi"
        findings.add("claim-no-size", path, "nothing says how large the disk is", hint)
    findings.amount(path, size)
    check_access_modes(findings, spec, ("spec",), required=True)


def check_access_modes(findings: Findings, spec: Mapping[str, Any], path: FieldPath, *, required: bool) -> None:
    """``accessModes`` of a claim whose spec stands at ``path``."""
    modes = spec.get("accessModes", [])
    if required and not modes:
        findings.add(
            "claim-access-modes", (*path, "accessModes"), "accessModes is missing", "add accessModes: [ReadWriteOnce]"
        )
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        text = "ReadWriteOncePod cannot be combined with other access modes"
        findings.add("claim-access-modes", (*path, "accessModes"), text)
