"""Where gitvirt's own objects lie on a cluster, and what they are called: the Lease of an owner, its record of deletions, and its register of disks."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from nodeexec.kubevirt.settings import KubevirtSettings

USUAL_NAMESPACE = "gitvirt"

_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace(settings: KubevirtSettings) -> str:
    """That of the pod unless settings say another; whoever works as this owner from elsewhere has to name the same."""
    return settings.lease_namespace or _pod_namespace() or USUAL_NAMESPACE


def lease_name(owner: str) -> str:
    """``gitvirt-OWNER``; of an owner that no object can be called after, a digest of it."""
    if _OBJECT_NAME.fullmatch(owner):
        return f"gitvirt-{owner}"
    return f"gitvirt-{hashlib.sha256(owner.encode()).hexdigest()[:16]}"


def deletions_name(owner: str) -> str:
    """The ConfigMap beside the Lease."""
    return f"{lease_name(owner)}-deletions"


def register_names(owner: str) -> tuple[str, ...]:
    """The ConfigMaps that the register of disks may have, the first one first; `deploy/` names them too. Each has room for some 5,000 disks."""
    first = f"{lease_name(owner)}-disks"
    return (first, *(f"{first}-{number}" for number in range(2, 9)))


def _pod_namespace() -> str:
    try:
        return _OWN_NAMESPACE.read_text("ascii").strip()
    except OSError:
        return ""
