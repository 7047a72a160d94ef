"""One kind kept in step: list, then watch with bookmarks, resume where it broke, list again when the server forgot.

*Source*: Kubernetes API concepts, "Efficient detection of changes".
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from nodeexec.kubevirt.cache import Cache
from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError
from reconciler.ports import Clock

PAGE = 500
WATCH_S = 300
SILENCE_S = 120.0
RELIST_S = 3600.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
_GONE = 410
_NOT_FOUND = 404


class Watch:
    """A thread that keeps a `Cache` in step, in one namespace or (empty) in all. ``missing`` says that the cluster never had such
    a kind (one that it had and has no more is unread, not empty); ``fault`` is why it is out of step now, since the monotonic time ``fault_at``.
    """

    def __init__(
        self, client: ApiClient, cache: Cache, clock: Clock, *, namespace: str = "", selector: str = ""
    ) -> None:
        self._client, self._cache, self._clock = client, cache, clock
        self._namespace, self._selector = namespace, selector
        self.kind = cache.kind
        self._closed = threading.Event()
        self._version = ""
        self._listed_at: float | None = None
        self.synced = threading.Event()
        self.missing = False
        self.fault = ""
        self.fault_at = 0.0
        self.lists = 0
        self._thread = threading.Thread(target=self._run, name=f"watch {cache.kind.plural}", daemon=True)

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """End with the next line that the server sends; the thread keeps no process alive."""
        self._closed.set()

    def _run(self) -> None:
        delay_s = FIRST_DELAY_S
        while not self._closed.is_set():
            try:
                self._once()
                delay_s = FIRST_DELAY_S
                continue
            except ApiError as error:
                if error.status == _GONE:
                    self._version = ""
                    continue
                self._refused(error)
            except UnreachableError as error:
                self._note(str(error))
            delay_s = LONGEST_DELAY_S if self.missing else min(delay_s * 2, LONGEST_DELAY_S)
            self._closed.wait(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, guards nothing

    def _refused(self, error: ApiError) -> None:
        if error.status == _NOT_FOUND and self._listed_at is None:
            self._cache.replace((), self._namespace)
            self.missing, self.fault, self._version = True, "", ""
            self.synced.set()
        else:
            gone = f"{self.kind.resource} were served before and are not now"
            self._note(gone if error.status == _NOT_FOUND else error.outcome.reason)
            self._version = "" if error.status == _NOT_FOUND else self._version

    def _note(self, fault: str) -> None:
        if not self.fault:
            self.fault_at = self._clock.monotonic()
        self.fault = fault

    def _once(self) -> None:
        """List where needed, then one watch until the server ends it."""
        listed_at = self._listed_at
        if not self._version or listed_at is None or self._clock.monotonic() - listed_at > RELIST_S:
            self._list()
        seconds = str(WATCH_S + random.randrange(60))  # noqa: S311
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": seconds,
            **self._narrowed(),
        }
        for line in self._client.stream(
            self._path(), self._request("watch"), query, silence_s=SILENCE_S, opened=self._recovered
        ):
            if self._closed.is_set():
                return
            self._take(orjson.loads(line))

    def _recovered(self) -> None:
        """What happened meanwhile comes now."""
        self.fault = ""

    def _take(self, event: Mapping[str, Any]) -> None:
        document = event.get("object") or {}
        match event.get("type"):
            case "ADDED" | "MODIFIED":
                self._cache.put(document)
            case "DELETED":
                self._cache.drop(document)
            case "ERROR":
                code = int(document.get("code", 0))
                raise ApiError(
                    self._request("watch"), code, str(document.get("reason", "")), str(document.get("message", ""))
                )
        self._version = str((document.get("metadata") or {}).get("resourceVersion", self._version))

    def _list(self) -> None:
        self.lists += 1
        pages = list(self._pages())
        self._cache.replace((item for page in pages for item in page.get("items") or ()), self._namespace)
        self._version = str((pages[-1].get("metadata") or {}).get("resourceVersion", ""))
        self._listed_at = self._clock.monotonic()
        self.missing, self.fault = False, ""
        self.synced.set()

    def _pages(self) -> Iterator[Mapping[str, Any]]:
        query = {"limit": str(PAGE), **self._narrowed()}
        while True:
            page = self._client.call("GET", self._path(), self._request("list"), query=query)
            yield page
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def _path(self) -> str:
        return self._cache.kind.path(self._namespace)

    def _request(self, verb: str) -> Request:
        where = f"in namespace {self._namespace}" if self._namespace else ""
        return Request(verb=verb, resource=self._cache.kind.resource, object=where)

    def _narrowed(self) -> dict[str, str]:
        return {"labelSelector": self._selector} if self._selector else {}
