"""A Lease as an API server keeps it, in memory and in a file, with what can go wrong on the way to it."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nodeexec.kubevirt.lease import MovedError
from reconciler.model.errors import EngineError


class StoredLease:
    """`LeaseApi` with the API server's rules: each write is another resourceVersion, and needs the last one."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.writes = 0
        self._lock = threading.Lock()

    def read(self) -> Mapping[str, Any] | None:
        return json.loads(json.dumps(self.lease)) if self.lease else None

    def create(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._lock:
            if self.lease is not None:
                raise MovedError
            return self._stored(body)

    def replace(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._lock:
            if self.lease is None or body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise MovedError
            return self._stored(body)

    def annotate(self) -> None:
        """Somebody else writes it."""
        assert self.lease is not None
        self._stored({**self.lease, "metadata": {**self.lease["metadata"], "annotations": {"seen": "yes"}}})

    def _stored(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.writes += 1
        made = {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": str(self.writes)}}
        self.lease = json.loads(json.dumps(made))
        return made


class Road:
    """The way of one replica to the Lease. ``fault`` says what becomes of each request: ``unsent``, ``unanswered``,
    seconds that it takes each way, or nothing.
    """

    def __init__(self, stored: StoredLease, fault: Callable[[], str | float], pass_s: Callable[[float], None]) -> None:
        self._stored, self._fault, self._pass_s = stored, fault, pass_s

    def read(self) -> Mapping[str, Any] | None:
        return self._sent(self._stored.read)

    def create(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._sent(lambda: self._stored.create(body))

    def replace(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._sent(lambda: self._stored.replace(body))

    def _sent(self, call: Callable[[], Any]) -> Any:
        fault = self._fault()
        if fault == "unsent":
            raise EngineError("the server cannot be reached")
        delay_s = fault if isinstance(fault, float) else 0.0
        self._pass_s(delay_s)
        answer = call()
        self._pass_s(delay_s)
        if fault == "unanswered":
            raise EngineError("no answer came")
        return answer


class FiledLease:
    """The same between processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mapping[str, Any] | None:
        with self._open() as stored:
            return stored.read()

    def create(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._open() as stored:
            return stored.create(body)

    def replace(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._open() as stored:
            return stored.replace(body)

    @contextmanager
    def _open(self) -> Iterator[StoredLease]:
        with self._path.open("a+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            stored = StoredLease()
            stored.lease = json.loads(stream.read() or "null")
            before = stored.lease
            stored.writes = int(before["metadata"]["resourceVersion"]) if before else 0
            yield stored
            if stored.lease != before:
                stream.seek(0)
                stream.truncate()
                json.dump(stored.lease, stream)
