"""The objects of one kind, as its watch and our own writes left them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from typing import Any

from nodeexec.kubevirt.keeping import kept, version_of
from nodeexec.kubevirt.kinds import Kind

Name = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is empty."""

Changed = Callable[[Kind, Name, Mapping[str, Any] | None, Mapping[str, Any] | None], None]
"""Called with the kind, the name, the object before and after."""

_GONE_KEPT = 4096
"""Objects that are gone and still known as that: more than can go while one request of ours is under way."""


class Cache:
    """Objects by name. All methods may be called from several threads; ``changed`` is called with the lock held.

    Our own writes are put in when their answer comes, before the watch tells of them, or after it: an older version never replaces a
    newer one. What we deleted does not come back by an event of the time before, and what is gone not by an answer of the time
    before; no watch would ever tell of it again.
    """

    def __init__(self, kind: Kind, lock: RLock, changed: Changed) -> None:
        self.kind = kind
        self._lock = lock
        self._changed = changed
        self._objects: dict[Name, Mapping[str, Any]] = {}
        self._deleted: set[str] = set()
        self._gone: dict[str, int] = {}
        """uid → the version as of which it is gone."""

    def get(self, name: Name) -> Mapping[str, Any] | None:
        """One object, None when it is not there."""
        with self._lock:
            return self._objects.get(name)

    def items(self) -> tuple[tuple[Name, Mapping[str, Any]], ...]:
        """All objects."""
        with self._lock:
            return tuple(self._objects.items())

    def put(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take an object in, unless a newer version is there; what is there then."""
        made, name = kept(document, self.kind.name), name_of(document)
        with self._lock:
            before, uid = self._objects.get(name), uid_of(made)
            is_late = uid in self._deleted or version_of(made) <= self._gone.get(uid, -1)
            if is_late or (before is not None and uid_of(before) == uid and version_of(before) >= version_of(made)):
                return before if before is not None else made
            self._objects[name] = made
            self._changed(self.kind, name, before, made)
            return made

    def drop(self, document: Mapping[str, Any]) -> None:
        """An object is gone, as of the version in which that is told."""
        self._end(document, version_of(document))

    def _end(self, document: Mapping[str, Any], version: int) -> None:
        name, uid = name_of(document), uid_of(document)
        with self._lock:
            self._gone[uid] = max(version, self._gone.pop(uid, 0))
            if len(self._gone) > _GONE_KEPT:
                del self._gone[next(iter(self._gone))]
            before = self._objects.get(name)
            if before is not None and uid_of(before) == uid:
                del self._objects[name]
                self._changed(self.kind, name, before, None)

    def forget(self, document: Mapping[str, Any]) -> None:
        """We deleted an object and the server says that it is gone; later events of it are of the past."""
        with self._lock:
            self._deleted.add(uid_of(document))
            self.drop(document)

    def replace(
        self, documents: Iterable[Mapping[str, Any]], namespace: str = "", *, version: int = 0, anew: bool = False
    ) -> None:
        """What a list of that resource version found, in one namespace or (empty) in all: what is not among it is gone, unless we wrote
        it after the list was made. ``anew``: what is known is newer than the server itself, so it goes whatever its version.
        """
        found = {name_of(document): document for document in documents}
        with self._lock:
            gone = [
                name
                for name, known in self._objects.items()
                if namespace in ("", name[0]) and (anew or (name not in found and version_of(known) <= version))
            ]
            for name in gone:
                self._end(self._objects[name], version)
            if anew:
                self._deleted.clear()
                self._gone.clear()
            for document in found.values():
                self.put(document)
            self._deleted.clear()


def name_of(document: Mapping[str, Any]) -> Name:
    """Namespace and name of an object."""
    metadata = document.get("metadata") or {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def uid_of(document: Mapping[str, Any]) -> str:
    """The server's own name for an object: another one of the same name has another."""
    return str((document.get("metadata") or {}).get("uid", ""))
