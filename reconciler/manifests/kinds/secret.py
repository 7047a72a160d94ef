"""Rules for a Secret. No message shows a value."""

from __future__ import annotations

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import is_base64, is_data_key

MAX_DATA_BYTES = 1024 * 1024


def check_secret(findings: Findings) -> None:
    """Keys, base64 and size."""
    body = findings.document.body
    for field in ("data", "stringData"):
        check_data_keys(findings, field)
    for key, value in body.get("data", {}).items():
        if not is_base64(value):
            text = f"the value of {key[:80]!r} is not base64"
            findings.add("base64-invalid", ("data", key), text, "encode it, or move it to stringData")
    check_data_size(findings, ("data", "stringData"))


def check_data_keys(findings: Findings, field: str) -> None:
    """The keys of ``data`` and its like."""
    for key in findings.document.body.get(field, {}):
        if not is_data_key(key):
            text = f"the key {key[:80]!r} is not allowed"
            hint = "use letters, digits, -, _ and ., at most 253 characters"
            findings.add("data-key-invalid", (field, key), text, hint, at_key=True)


def check_data_size(findings: Findings, fields: tuple[str, ...]) -> None:
    """All values together."""
    body = findings.document.body
    size = sum(len(value) for field in fields for value in body.get(field, {}).values())
    if size > MAX_DATA_BYTES:
        text = f"the values take {size} characters; at most {MAX_DATA_BYTES} are allowed"
        findings.add("data-too-large", (fields[0],), text)
