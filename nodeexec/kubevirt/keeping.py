"""What of a served object is kept in memory: what is compared or shown, and no secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, POOL, SNAPSHOT, VM
from nodeexec.kubevirt.leaves import MASK

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "ownerReferences",
)
_STATUS = {
    VM: (
        "printableStatus",
        "ready",
        "conditions",
        "startFailure",
        "instancetypeRef",
        "preferenceRef",
        "snapshotInProgress",
        "restoreInProgress",
    ),
    INSTANCE: (
        "phase",
        "reason",
        "conditions",
        "interfaces",
        "guestOSInfo",
        "nodeName",
        "phaseTransitionTimestamps",
        "memory",
        "currentCPUTopology",
        "activePods",
        "migrationState",
    ),
    DATA_VOLUME: ("phase", "progress", "conditions", "claimName", "restartCount"),
    CLAIM: ("phase", "capacity", "conditions"),
    SNAPSHOT: ("phase", "error"),
    POOL: ("replicas", "readyReplicas"),
}
_FOREIGN_ANNOTATIONS = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
_KEY = secrets.token_bytes(32)
"""Of this process alone: values of Secrets are kept as digests, to tell whether they are as wanted."""


def kept(document: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """An object without managedFields, without the status that nobody looks at, values of Secrets as digests."""
    metadata = document.get("metadata") or {}
    cut = {name: metadata[name] for name in _METADATA if name in metadata}
    if cut.get("annotations"):
        cut["annotations"] = {
            name: value for name, value in cut["annotations"].items() if name not in _FOREIGN_ANNOTATIONS
        }
    body = {name: value for name, value in document.items() if name not in ("metadata", "status")}
    if kind == "Secret":
        body = {**body, "data": {name: digest_of(value) for name, value in (body.get("data") or {}).items()}}
    status = document.get("status") or {}
    seen = {name: status[name] for name in _STATUS.get(kind, ()) if name in status}
    return {**body, "metadata": cut, **({"status": seen} if seen else {})}


def digest_of(value: Any) -> str:
    """A Secret's value (base64) as it is kept; what is known only as a digest already stays that."""
    if str(value).startswith(MASK):
        return str(value)
    return "kept:" + hmac.new(_KEY, str(value).encode(), hashlib.sha256).hexdigest()[:12]


def secret_as_kept(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret's manifest in the form in which the server's is kept: ``stringData`` becomes ``data``, as the server does it."""
    plain = {
        name: value if str(value).startswith(MASK) else b64encode(str(value).encode()).decode()
        for name, value in (body.get("stringData") or {}).items()
    }
    data = {**(body.get("data") or {}), **plain}
    rest = {name: value for name, value in body.items() if name not in ("data", "stringData")}
    return {**rest, "data": {name: digest_of(value) for name, value in data.items()}}


def version_of(document: Mapping[str, Any]) -> int:
    """The resource version as a number: later ones of one kind are larger."""
    text = str((document.get("metadata") or {}).get("resourceVersion", "0"))
    return int(text) if text.isdigit() else 0
