"""The one Lease of an owner, over the API client."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from functools import partial
from typing import Any

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.configuration import connection_of
from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError
from nodeexec.kubevirt.leadership import LeaseLeadership
from nodeexec.kubevirt.lease import Lease, MovedError
from nodeexec.kubevirt.own_objects import lease_name, own_namespace
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.model.errors import EngineError
from reconciler.ports import Clock

REQUEST_S = 4.0
"""Shorter than what is left between the time that a holder may act and the time that others wait for."""

_MISSING, _CONFLICT = 404, 409


def cluster_leadership(settings: KubevirtSettings, owner: str, clock: Clock) -> LeaseLeadership:
    """Leadership of an owner on a cluster: the Lease ``gitvirt-OWNER``. See `own_objects` for where it lies.

    Raises:
        EngineError: the settings lead to no API server.
    """
    client = ApiClient(partial(connection_of, settings), timeout_s=REQUEST_S, connections=1)
    identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
    api = ClusterLease(client, namespace=own_namespace(settings), name=lease_name(owner))
    return LeaseLeadership(Lease(api, identity=identity, now=clock.now))


def why_no_lease(settings: KubevirtSettings, owner: str) -> str:
    """What would stand in the way of `cluster_leadership`, for people; empty for nothing. Nothing is written.

    Raises:
        EngineError: the settings lead to no API server.
    """
    client = ApiClient(partial(connection_of, settings), timeout_s=REQUEST_S, connections=1)
    try:
        api = ClusterLease(client, namespace=own_namespace(settings), name=lease_name(owner))
        if api.read() is None:
            api.create({}, dry_run=True)
    except MovedError:
        return ""
    except EngineError as fault:
        return str(fault)
    finally:
        client.close()
    return ""


class ClusterLease:
    """`lease.LeaseApi` for ``NAMESPACE/NAME``."""

    def __init__(self, client: ApiClient, *, namespace: str, name: str) -> None:
        self._client = client
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace, self._name = namespace, name

    def read(self) -> Mapping[str, Any] | None:
        """See `LeaseApi.read`."""
        try:
            found: Mapping[str, Any] = self._call("get", "GET", f"{self._all}/{self._name}")
        except _MissingError:
            return None
        return found

    def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> Mapping[str, Any]:
        """See `LeaseApi.create`."""
        named = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
        }
        try:
            made: Mapping[str, Any] = self._call(
                "create", "POST", self._all, {**named, **body}, {"dryRun": "All"} if dry_run else None
            )
        except _MissingError as error:
            raise EngineError(
                f"the leadership cannot be asked for: there is no namespace {self._namespace} for its Lease: "
                f"`kubectl create namespace {self._namespace}`, or set engine.kubevirt.leaseNamespace."
            ) from error
        return made

    def replace(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `LeaseApi.replace`. One that is gone has moved as well."""
        try:
            written: Mapping[str, Any] = self._call("update", "PUT", f"{self._all}/{self._name}", body)
        except _MissingError as error:
            raise MovedError from error
        return written

    def _call(
        self,
        verb: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        request = Request(verb=verb, resource="leases.coordination.k8s.io", object=f"{self._namespace}/{self._name}")
        try:
            return self._client.call(method, path, request, body=body, query=query, timeout_s=REQUEST_S)
        except ApiError as error:
            if error.status == _CONFLICT:
                raise MovedError from error
            if error.status == _MISSING and error.reason == "NotFound":
                raise _MissingError from error
            raise EngineError(f"the leadership cannot be asked for: {error.outcome.reason}.") from error
        except UnreachableError as error:
            raise EngineError(f"the leadership cannot be asked for: {error}.") from error


class _MissingError(Exception):
    """There is no such Lease."""
