"""Where kinds that are not in the table are served: asked of the API server once for each group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request
from nodeexec.kubevirt.kinds import KEPT, KINDS, Kind, not_served
from reconciler.model.keys import ObjectKey
from reconciler.ports import Clock

_GONE = 404
_AGAIN_S = 5.0


class Discovery:
    """Finds kinds. What is not served now is asked for again a little later, when somebody needs it."""

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._again_at: dict[str, float] = {}
        self._found: dict[str, Kind] = dict(KINDS)

    def known(self, key: ObjectKey) -> Kind | None:
        """The kind of an object, as far as it was met before."""
        return self._found.get(key.kind)

    def of(self, key: ObjectKey) -> Kind | None:
        """The kind of an object, in the version that the server prefers; None when the cluster does not serve it.

        Raises:
            ApiError, UnreachableError: it cannot be found out.
        """
        found = self._found.get(key.kind)
        if found is not None or self._clock.monotonic() < self._again_at.get(key.kind, 0.0):
            return found
        found = self.served(key.kind)
        self._again_at[key.kind] = self._clock.monotonic() + _AGAIN_S
        return found

    def served(self, name: str) -> Kind | None:
        """The same by the kind's name, asked now; nobody misses what is not there.

        Raises:
            ApiError, UnreachableError: it cannot be found out.
        """
        group = name.partition(".")[2]
        version = "v1"
        if group:
            said = self._read(f"/apis/{group}")
            version = str((said.get("preferredVersion") or {}).get("version", ""))
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for resource in self._read(path).get("resources") or () if version else ():
            self._note(group, version, resource)
        return self._found.get(name)

    def unserved(self) -> dict[str, str]:
        """Kinds that were asked for and are not there, and what to do about each."""
        names = [name for name in tuple(self._again_at) if name not in self._found]
        return {name: not_served(name, name.partition(".")[2] or "v1", "") for name in names}

    def _read(self, path: str) -> Mapping[str, Any]:
        """What the server says of a group or a version; nothing of one that it does not serve."""
        try:
            found: Mapping[str, Any] = self._client.call("GET", path, Request(verb="get", resource=path))
        except ApiError as error:
            if error.status == _GONE:
                return {}
            raise
        return found

    def _note(self, group: str, version: str, resource: Mapping[str, Any]) -> None:
        plural, kind = str(resource.get("name", "")), str(resource.get("kind", ""))
        if "/" in plural or not kind:
            return
        name = f"{kind}.{group}" if group else kind
        self._found.setdefault(
            name,
            Kind(
                name=name, kind=kind, group=group, version=version, plural=plural,
                namespaced=bool(resource.get("namespaced")), optional=name in KEPT,
            ),
        )  # fmt: skip
