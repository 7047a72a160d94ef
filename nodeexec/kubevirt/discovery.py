"""Where kinds that are not in the table are served: asked of the API server once for each group and version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request
from nodeexec.kubevirt.kinds import KINDS, Kind
from reconciler.model.keys import ObjectKey

_GONE = 404


class Discovery:
    """Finds kinds. What is not served now is asked for again the next time."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._found: dict[str, Kind] = dict(KINDS)

    def known(self, key: ObjectKey) -> Kind | None:
        """The kind of an object, as far as it was met before."""
        return self._found.get(key.kind)

    def of(self, key: ObjectKey, api_version: str) -> Kind | None:
        """The kind of an object whose document says ``api_version``; None when the cluster does not serve it.

        Raises:
            ApiError, UnreachableError: it cannot be found out.
        """
        found = self._found.get(key.kind)
        if found is not None:
            return found
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            body = self._client.call("GET", path, Request(verb="get", resource=path))
        except ApiError as error:
            if error.status == _GONE:
                return None
            raise
        for resource in body.get("resources") or ():
            self._note(group, version, resource)
        return self._found.get(key.kind)

    def _note(self, group: str, version: str, resource: Mapping[str, Any]) -> None:
        plural, kind = str(resource.get("name", "")), str(resource.get("kind", ""))
        if "/" in plural or not kind:
            return
        name = f"{kind}.{group}" if group else kind
        self._found.setdefault(
            name,
            Kind(
                name=name, kind=kind, group=group, version=version, plural=plural,
                namespaced=bool(resource.get("namespaced")),
            ),
        )  # fmt: skip
