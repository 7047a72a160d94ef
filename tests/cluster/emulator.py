"""An API server in memory, for machines that have no real one: objects, server-side apply with managers, watches that resume.

It knows no schemas, defaults, admission or rights. The tests that run on it run on the real server too wherever there is one, and
hold it to that.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cluster.loopback import Exchange, Loopback, kubeconfig_text

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z-]+)(?:/(?P<name>[^/]+))?(?P<status>/status)?$"
)
_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")
_APPLY, _UPDATE = "Apply", "Update"
Path_ = tuple[str, ...]


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer with a status of its own."""

    def __init__(self, status: int, message: str, causes: tuple[Mapping[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"kind": "Status", "status": "Failure", "code": status, "message": message,
                     "reason": "NotFound" if status == 404 else "", "details": {"causes": list(causes)}}  # fmt: skip


class Store:
    """Objects by (collection, namespace, name), and all that ever happened to them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._managers: dict[tuple[str, str, str], dict[tuple[str, str], set[Path_]]] = {}
        self.events: list[tuple[int, str, str, dict[str, Any]]] = []
        self.version = 100

    def get(self, key: tuple[str, str, str]) -> dict[str, Any]:
        """One object."""
        if key not in self._objects:
            raise Refusal(404, f"{key[0]} {key[2]!r} not found")
        return self._objects[key]

    def items(self, collection: str, namespace: str) -> list[dict[str, Any]]:
        """What there is, in one namespace or in all."""
        return [one for key, one in self._objects.items() if key[0] == collection and namespace in ("", key[1])]

    def create(self, key: tuple[str, str, str], body: Mapping[str, Any], manager: tuple[str, str]) -> dict[str, Any]:
        """A new object."""
        if key in self._objects:
            raise Refusal(409, f"{key[2]!r} already exists")
        made = copy.deepcopy(dict(body))
        made["metadata"] = {
            **{k: v for k, v in made["metadata"].items() if k not in _OWN},
            "uid": str(uuid.uuid4()),
            "generation": 1,
        }
        made["metadata"]["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._managers[key] = {manager: set(_leaves(body))}
        return self._put(key, made, "ADDED")

    def apply(self, key: tuple[str, str, str], body: Mapping[str, Any], manager: str, *, force: bool) -> dict[str, Any]:
        """Server-side apply."""
        if key not in self._objects:
            if body["metadata"].get("resourceVersion"):
                raise Refusal(409, "the object to be changed is not there")
            return self.create(key, body, (manager, _APPLY))
        have, me = self._objects[key], (manager, _APPLY)
        self._expect(have, body)
        wanted = {path: value for path, value in _leaves(body).items() if path[:2] != ("metadata", "resourceVersion")}
        owners = self._managers[key]
        self._refuse_conflicts(have, wanted, {who: paths for who, paths in owners.items() if who != me}, force)
        made = copy.deepcopy(have)
        others = {path for who, paths in owners.items() if who != me for path in paths}
        for path in owners.get(me, set()) - set(wanted) - others:
            _remove(made, path)
        for path, value in wanted.items():
            _set(made, path, value)
            for who, paths in owners.items():
                if who != me and _value(have, path) != value:
                    paths.discard(path)
        owners[me] = set(wanted)
        return have if made == have else self._put(key, made, "MODIFIED", before=have)

    @staticmethod
    def _refuse_conflicts(
        have: Mapping[str, Any], wanted: Mapping[Path_, Any], others: Mapping[tuple[str, str], set[Path_]], force: bool
    ) -> None:
        causes = tuple(
            {"reason": "FieldManagerConflict", "message": f'conflict with "{who[0]}"', "field": "." + ".".join(path)}
            for who, paths in sorted(others.items())
            for path in sorted(paths & set(wanted))
            if _value(have, path) != wanted[path]
        )
        if causes and not force:
            raise Refusal(409, "Apply failed with conflicts", causes)

    def merge(self, key: tuple[str, str, str], change: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """A merge patch."""
        have = self.get(key)
        self._expect(have, change)
        made = _merged(have, change)
        made["metadata"] |= {name: have["metadata"][name] for name in _OWN if name in have["metadata"]}
        if made == have:
            return have
        owners = self._managers[key]
        if "managedFields" in change.get("metadata", {}):
            owners.clear()
        for path, value in _leaves(change).items():
            if _value(have, path) != value:
                for paths in owners.values():
                    paths.discard(path)
                owners.setdefault((manager, _UPDATE), set()).add(path)
        if made["metadata"].get("deletionTimestamp") and not made["metadata"].get("finalizers"):
            return self._drop(key)
        return self._put(key, made, "MODIFIED", before=have)

    def delete(self, key: tuple[str, str, str], options: Mapping[str, Any]) -> dict[str, Any]:
        """Delete, or mark as going while something holds it."""
        have = self.get(key)
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != have["metadata"]["uid"]:
            raise Refusal(409, "the uid in the precondition is another")
        version = (options.get("preconditions") or {}).get("resourceVersion")
        if version and version != have["metadata"]["resourceVersion"]:
            raise Refusal(409, "the resourceVersion in the precondition is another")
        finalizers = have["metadata"].get("finalizers") or (
            ["orphan"] if options.get("propagationPolicy") == "Orphan" else []
        )
        if not finalizers:
            return {"kind": "Status", "status": "Success", "gone": self._drop(key)["metadata"]["uid"]}
        made = copy.deepcopy(have)
        made["metadata"] |= {
            "deletionTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "finalizers": finalizers,
        }
        return self._put(key, made, "MODIFIED", before=have)

    def replace(self, key: tuple[str, str, str], body: Mapping[str, Any]) -> dict[str, Any]:
        """Write all of an object."""
        have = self.get(key)
        self._expect(have, body)
        return self._put(key, {**copy.deepcopy(dict(body))}, "MODIFIED", before=have)

    @staticmethod
    def _expect(have: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        said = (body.get("metadata") or {}).get("resourceVersion")
        if said and said != have["metadata"]["resourceVersion"]:
            raise Refusal(409, "the object has been modified; please apply your changes to the latest version")

    def _put(
        self, key: tuple[str, str, str], made: dict[str, Any], what: str, before: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        if before is not None and before.get("spec") != made.get("spec"):
            made["metadata"]["generation"] = made["metadata"].get("generation", 1) + 1
        self._objects[key] = made
        self._tell(what, key, made)
        return made

    def _drop(self, key: tuple[str, str, str]) -> dict[str, Any]:
        self.version += 1
        gone = copy.deepcopy(self._objects.pop(key))
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell("DELETED", key, gone)
        return gone

    def _tell(self, what: str, key: tuple[str, str, str], document: dict[str, Any]) -> None:
        self.events.append((self.version, what, key[0], copy.deepcopy(document)))
        self.changed.notify_all()


class Emulator:
    """The store behind HTTP on loopback."""

    def __init__(self, directory: Path) -> None:
        self.store = Store()
        self._closed = False
        self._server = Loopback("emulator", self._serve)
        self.kubeconfig = directory / "emulator.kubeconfig"
        self.kubeconfig.write_text(json.dumps(kubeconfig_text(self._server.url, "emulator")))

    def close(self) -> None:
        """End it."""
        self._closed = True
        with self.store.changed:
            self.store.changed.notify_all()
        self._server.close()

    def _serve(self, exchange: Exchange) -> None:
        parts = urlsplit(exchange.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            if query.get("watch") == "true":
                events = self.watch(parts.path, query)
                exchange.begin_stream(chunked=True)
                with suppress(OSError):
                    for event in events:
                        exchange.send(json.dumps(event).encode() + b"\n")
                return
            body = json.loads(exchange.body) if exchange.body else None
            content_type = exchange.headers.get("Content-Type") or ""
            answer = self.answer(exchange.command, parts.path, query, body, content_type)
            exchange.answer(201 if exchange.command == "POST" else 200, json.dumps(answer).encode())
        except Refusal as refusal:
            exchange.answer(refusal.status, json.dumps(refusal.body).encode())

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str) -> Any:
        """What a request comes to.

        Raises:
            Refusal: a status of its own.
        """
        if path == "/version":
            return {"gitVersion": "v0.0.0-emulated"}
        found = _PATH.match(path)
        if found is None:
            raise Refusal(404, f"{path} is not served")
        collection = f"{found['plural']}.{found['group'] or ''}"
        namespace, name = found["namespace"] or "", found["name"] or ""
        key, store, manager = (collection, namespace, name), self.store, query.get("fieldManager", "unknown")
        with store.changed:
            match method:
                case "GET" if name:
                    return store.get(key)
                case "GET":
                    items = [one for one in store.items(collection, namespace) if _selected(one, query)]
                    begun = int(query.get("continue") or 0)
                    end = begun + int(query.get("limit") or len(items))
                    more = {"continue": str(end)} if end < len(items) else {}
                    metadata = {"resourceVersion": str(store.version), **more}
                    return {"kind": "List", "metadata": metadata, "items": items[begun:end]}
                case "POST":
                    return store.create((collection, namespace, body["metadata"]["name"]), body, (manager, _UPDATE))
                case "PUT":
                    return store.replace(key, body)
                case "PATCH" if content_type.startswith("application/apply"):
                    return store.apply(key, body, manager, force=query.get("force") == "true")
                case "PATCH":
                    return store.merge(key, body, manager)
                case "DELETE":
                    for one in [key[2]] if key[2] else [have["metadata"]["name"] for have in store.items(*key[:2])]:
                        said = store.delete((*key[:2], one), body or {})
                    return said if key[2] else {"kind": "Status", "status": "Success"}
        raise Refusal(405, f"{method} is not served")

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Events after a version, as they come.

        Raises:
            Refusal: a kind that is not served.
        """
        found = _PATH.match(path)
        if found is None:
            raise Refusal(404, f"{path} is not served")
        since = int(query.get("resourceVersion") or 0)
        return self._events(f"{found['plural']}.{found['group'] or ''}", found["namespace"] or "", since, query)

    def _events(
        self, collection: str, namespace: str, since: int, query: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        seen, store = 0, self.store
        while not self._closed and store is self.store:
            with store.changed:
                if len(store.events) == seen:
                    store.changed.wait(1.0)
                fresh = store.events[seen:]
                seen = len(store.events)
                bookmark = {"metadata": {"resourceVersion": str(store.version)}}
            if not fresh and store.version >= since and query.get("allowWatchBookmarks") == "true":
                yield {"type": "BOOKMARK", "object": bookmark}
            for version, what, of, document in fresh:
                inside = of == collection and namespace in ("", document["metadata"].get("namespace", ""))
                if version > since and inside and _selected(document, query):
                    yield {"type": what, "object": document}


def _selected(document: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    fields = filter(None, query.get("fieldSelector", "").split(","))
    if any(str(_value(document, tuple(field.split("=")[0].split(".")))) != field.split("=")[1] for field in fields):
        return False
    name, _, value = query.get("labelSelector", "").partition("=")
    return not name or (document["metadata"].get("labels") or {}).get(name) == value


def _leaves(node: Any, path: Path_ = ()) -> dict[Path_, Any]:
    """Every value by its path; a list is one value, as in kinds without list types."""
    if isinstance(node, Mapping) and node:
        return {below: value for name, one in node.items() for below, value in _leaves(one, (*path, name)).items()}
    return {path: node}


def _value(node: Any, path: Path_) -> Any:
    for name in path:
        if not isinstance(node, Mapping) or name not in node:
            return None
        node = node[name]
    return node


def _set(node: dict[str, Any], path: Path_, value: Any) -> None:
    for name in path[:-1]:
        if not isinstance(node.get(name), dict):
            node[name] = {}
        node = node[name]
    if value != {} or not isinstance(node.get(path[-1]), dict):
        node[path[-1]] = copy.deepcopy(value)


def _remove(node: dict[str, Any], path: Path_) -> None:
    parent = _value(node, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)


def _merged(have: Any, change: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(copy.deepcopy(have)) if isinstance(have, Mapping) else {}
    for name, value in change.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            made[name] = _merged(made.get(name), value)
        else:
            made[name] = copy.deepcopy(value)
    return made
