"""Rules for a ConfigMap."""

from __future__ import annotations

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import is_base64
from reconciler.manifests.kinds.secret import check_data_keys, check_data_size


def check_config_map(findings: Findings) -> None:
    """Keys, base64 and size."""
    body = findings.document.body
    plain, binary = body.get("data", {}), body.get("binaryData", {})
    for field in ("data", "binaryData"):
        check_data_keys(findings, field)
    for key, value in binary.items():
        if key in plain:
            findings.add("data-key-twice", ("binaryData", key), f"{key[:80]!r} is in data as well", at_key=True)
        if not is_base64(value):
            text = f"the value of {key[:80]!r} is not base64"
            findings.add("base64-invalid", ("binaryData", key), text, "encode it, or move it to data")
    check_data_size(findings, ("data", "binaryData"))
