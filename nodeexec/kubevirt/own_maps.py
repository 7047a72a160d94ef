"""ConfigMaps in which gitvirt keeps what it has to remember: read as a whole, written where it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeexec.kubevirt.access import FIELD_MANAGER
from nodeexec.kubevirt.client import MERGE, ApiClient
from nodeexec.kubevirt.errors import ApiError, Request
from nodeexec.kubevirt.kinds import KINDS
from nodeexec.kubevirt.marks import metadata_of

NOT_FOUND, CONFLICT = 404, 409
_KIND = KINDS["ConfigMap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMap:
    """What stands in one, and the resource version at which it did."""

    data: Mapping[str, str]
    version: str


class OwnMaps:
    """Those of one namespace. Nothing is cached here."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client, self.namespace = client, namespace

    def read(self, name: str) -> OwnMap | None:
        """None where there is none.

        Raises:
            ApiError, UnreachableError: it cannot be read.
        """
        try:
            return _own_map(self._client.call("GET", self._path(name), self._request("get", name)))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def create(self, name: str, data: Mapping[str, str]) -> OwnMap:
        """Make one.

        Raises:
            ApiError, UnreachableError: see `ApiClient.call`; status `NOT_FOUND` where there is no such namespace.
        """
        metadata = {"name": name, "namespace": self.namespace, "labels": {"app.kubernetes.io/managed-by": "gitvirt"}}
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
        request = self._request("create", name)
        return _own_map(self._client.call("POST", _KIND.path(self.namespace), request, body=made))

    def change(self, name: str, data: Mapping[str, str | None], *, version: str = "") -> OwnMap:
        """Set these entries, or take those away that are None. With ``version`` not if anybody wrote it since.

        Raises:
            ApiError, UnreachableError: see `ApiClient.call`; status `NOT_FOUND` where there is none.
        """
        change = {**({"metadata": {"resourceVersion": version}} if version else {}), "data": dict(data)}
        answer = self._client.call(
            "PATCH", self._path(name), self._request("patch", name), query={"fieldManager": FIELD_MANAGER},
            body=change, content_type=MERGE,
        )  # fmt: skip
        return _own_map(answer)

    def shown(self, name: str) -> str:
        """For people."""
        return f"{self.namespace}/{name}"

    def no_namespace(self, what: str) -> str:
        """What to say where the namespace is missing; ``what`` was to be written there."""
        said = f"there is no namespace {self.namespace} for {what}"
        return f"{said}; make it, or set engine.kubevirt.leaseNamespace"

    def _path(self, name: str) -> str:
        return _KIND.path(self.namespace, name)

    def _request(self, verb: str, name: str) -> Request:
        return Request(verb=verb, resource=_KIND.resource, object=self.shown(name))


def _own_map(document: Mapping[str, Any]) -> OwnMap:
    version = str(metadata_of(document).get("resourceVersion") or "")
    return OwnMap(data=document.get("data") or {}, version=version)
