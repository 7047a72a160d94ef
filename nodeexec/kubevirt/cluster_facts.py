"""What is asked of a cluster once: its version, and how KubeVirt rolls changes of VMs out."""

from __future__ import annotations

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request
from nodeexec.kubevirt.rollout import UNKNOWN, Rollout, rollout_of

_REFUSED = (403, 404)


def server_version(client: ApiClient) -> str:
    """``Kubernetes v1.36.2``.

    Raises:
        ApiError, UnreachableError: it cannot be asked.
    """
    said = client.call("GET", "/version", Request(verb="get", resource="/version"))
    return f"Kubernetes {said.get('gitVersion', '')}".strip()


def rollout(client: ApiClient) -> Rollout:
    """How changes are carried out, as the KubeVirt object says it; `UNKNOWN` where there is none or it may not be read.

    Raises:
        ApiError, UnreachableError: it cannot be asked.
    """
    request = Request(verb="list", resource="kubevirts.kubevirt.io")
    try:
        found = client.call("GET", "/apis/kubevirt.io/v1/kubevirts", request)
    except ApiError as error:
        if error.status in _REFUSED:
            return UNKNOWN
        raise
    return next((rollout_of(one) for one in found.get("items") or ()), UNKNOWN)
