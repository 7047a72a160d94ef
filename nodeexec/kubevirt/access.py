"""The few requests that the engine makes of objects: each puts what the server answered into the caches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.caches import Caches
from nodeexec.kubevirt.client import APPLY, MERGE, ApiClient
from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError
from nodeexec.kubevirt.kinds import Kind
from nodeexec.kubevirt.marks import metadata_of
from reconciler.model.keys import ObjectKey

FIELD_MANAGER = "gitvirt"
BEFORE_FIRST_APPLY = "before-first-apply"
"""Whom Kubernetes calls the holder of fields when it knows of nobody: so it is once an object was adopted that no platform wrote on."""
_NOT_FOUND = 404


class Access:
    """Reads and writes of single objects."""

    def __init__(self, client: ApiClient, caches: Caches) -> None:
        self._client, self._caches = client, caches

    def read(self, kind: Kind, key: ObjectKey) -> Mapping[str, Any] | None:
        """The object as it is now, None when it is gone.

        Raises:
            ApiError, UnreachableError: it cannot be read.
        """
        try:
            found = self._client.call("GET", kind.object_path(key), _request("get", kind, key))
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        self._taken(kind, key, "get", found)
        return dict(found)

    def apply(
        self, kind: Kind, key: ObjectKey, body: Mapping[str, Any], *, version: str, force: bool
    ) -> Mapping[str, Any]:
        """Server-side apply. ``version`` is the resource version that the object must still have; empty for none.

        Raises:
            ApiError, UnreachableError: see `ApiClient.call`.
        """
        if version:
            body = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false", "fieldValidation": "Strict"}
        answer = self._client.call(
            "PATCH", kind.object_path(key), _request("patch", kind, key), query=query, body=body, content_type=APPLY
        )
        return self._taken(kind, key, "patch", answer)

    def patch(self, kind: Kind, key: ObjectKey, change: Mapping[str, Any]) -> Mapping[str, Any]:
        """A merge patch.

        Raises:
            ApiError, UnreachableError: see `ApiClient.call`.
        """
        answer = self._client.call(
            "PATCH", kind.object_path(key), _request("patch", kind, key), query={"fieldManager": FIELD_MANAGER},
            body=change, content_type=MERGE,
        )  # fmt: skip
        return self._taken(kind, key, "patch", answer)

    def delete(self, kind: Kind, key: ObjectKey, document: Mapping[str, Any], *, unmoved: bool = False) -> bool:
        """Delete exactly the object that was looked at, with what belongs to it; with ``unmoved`` not if anything of it was written since.
        Whether it is gone already; finalizers may keep it for a while.

        Raises:
            ApiError, UnreachableError: see `ApiClient.call`.
        """
        options = {
            "propagationPolicy": "Background",
            "preconditions": {
                "uid": metadata_of(document).get("uid"),
                **({"resourceVersion": metadata_of(document).get("resourceVersion")} if unmoved else {}),
            },
        }
        try:
            answer = self._client.call("DELETE", kind.object_path(key), _request("delete", kind, key), body=options)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            answer = {}
        if answer.get("kind") == kind.kind and metadata_of(answer).get("deletionTimestamp"):
            self._caches.put(kind, answer)
            return False
        self._caches.forget(kind, document)
        return True

    def _taken(self, kind: Kind, key: ObjectKey, verb: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was answered, put into the cache; it has to be that object."""
        if metadata_of(answer).get("name") != key.name:
            raise UnreachableError(
                _request(verb, kind, key), "the answer is not that object: something else answers", sent=True
            )
        return self._caches.put(kind, answer)

    def subresource(self, name: str, key: ObjectKey, *, instance: bool = False, body: Any = None) -> None:
        """An action of KubeVirt's on a VM or its instance (``start``, ``stop``, ``restart``, ``pause``, ``unpause``).

        Raises:
            ApiError, UnreachableError: see `ApiClient.call`.
        """
        plural = "virtualmachineinstances" if instance else "virtualmachines"
        path = f"/apis/subresources.kubevirt.io/v1/namespaces/{key.namespace}/{plural}/{key.name}/{name}"
        request = Request(
            verb="update", resource=f"{plural}.subresources.kubevirt.io/{name}", object=f"{key.namespace}/{key.name}"
        )
        self._client.call("PUT", path, request, body=body if body is not None else {})


def _request(verb: str, kind: Kind, key: ObjectKey) -> Request:
    return Request(verb=verb, resource=kind.resource, object="/".join(filter(None, (key.namespace, key.name))))
