"""What is asked of a cluster once: its version, and how KubeVirt rolls changes of VMs out."""

from __future__ import annotations

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request
from nodeexec.kubevirt.impacts import LIVE_UPDATE, STAGE

_REFUSED = (403, 404)


def server_version(client: ApiClient) -> str:
    """``Kubernetes v1.36.2``.

    Raises:
        ApiError, UnreachableError: it cannot be asked.
    """
    said = client.call("GET", "/version", Request(verb="get", resource="/version"))
    return f"Kubernetes {said.get('gitVersion', '')}".strip()


def rollout_strategy(client: ApiClient) -> str:
    """``LiveUpdate`` or ``Stage``, as the KubeVirt object says it. Where it says nothing or may not be read, changes are taken to be
    staged: what is live after all then comes as good news.

    Raises:
        ApiError, UnreachableError: it cannot be asked.
    """
    request = Request(verb="list", resource="kubevirts.kubevirt.io")
    try:
        found = client.call("GET", "/apis/kubevirt.io/v1/kubevirts", request)
    except ApiError as error:
        if error.status in _REFUSED:
            return STAGE
        raise
    said = [
        ((one.get("spec") or {}).get("configuration") or {}).get("vmRolloutStrategy")
        for one in found.get("items") or ()
    ]
    return LIVE_UPDATE if said and all(one == LIVE_UPDATE for one in said) else STAGE
