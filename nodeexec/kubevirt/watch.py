"""One kind kept in step: list, then watch with bookmarks, resume where it broke, list again when the server forgot.

*Source*: Kubernetes API concepts, "Efficient detection of changes".
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from nodeexec.kubevirt.cache import Cache
from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request, SilentError, UnreachableError
from reconciler.ports import Clock

PAGE = 500
WATCH_S = 300
SILENCE_S = 120.0
"""A server with nothing to tell sends a bookmark about once a minute."""

RELIST_S = 3600.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
CALM_S = 10.0
"""A watch that lasted so long, or brought something, is begun again at once; the others ever later."""

_GONE = 410
_NOT_FOUND, _FORBIDDEN = 404, 403


class Watch:
    """A thread that keeps a `Cache` in step, in one namespace or (empty) in all. ``missing`` says that the cluster never had such
    a kind (one that it had and has no more is unread, not empty); ``fault`` is why it is out of step now, since the monotonic time ``fault_at``;
    ``is_refused`` that it may not be read; ``heard_at`` is when the server last said something on it, or took it.
    """

    def __init__(
        self,
        client: ApiClient,
        cache: Cache,
        clock: Clock,
        *,
        namespace: str = "",
        selector: str = "",
        on_served: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_served`` is called when a kind that was missing is there."""
        self._client, self._cache, self._clock, self._on_served = client, cache, clock, on_served
        self._namespace, self._selector = namespace, selector
        self.kind = cache.kind
        self._closed, self._hurry = threading.Event(), threading.Event()
        self._version = ""
        self._newest = 0
        self._paged = True
        self._heard = False
        self._was_silent = False
        self.silence_s = SILENCE_S
        self._listed_at: float | None = None
        self.synced = threading.Event()
        self.missing = False
        self.is_refused = False
        self.fault = ""
        self.fault_at = 0.0
        self.heard_at = 0.0
        self.lists = 0
        self._thread = threading.Thread(target=self._run, name=f"watch {cache.kind.plural}", daemon=True)

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """End with the next line that the server sends; the thread keeps no process alive."""
        self._closed.set()
        self._hurry.set()

    def hurry(self) -> None:
        """Begin the next attempt now: somebody waits for it."""
        self._hurry.set()

    @property
    def is_behind(self) -> bool:
        """Whether it was in step once and is not now."""
        return bool(self.fault) and self.synced.is_set() and not (self.kind.optional and self.is_refused)

    def _run(self) -> None:
        rounds = 0
        try:
            while not self._closed.is_set():
                began, self._heard = self._clock.monotonic(), False
                least_s = self._round()
                is_calm = self._heard or self._clock.monotonic() - began > CALM_S
                rounds = 0 if is_calm else rounds + 1
                self._hurry.wait(max(least_s, _delay_s(rounds)))
                self._hurry.clear()
        finally:
            if not self._closed.is_set():
                self._note("it is not watched any more, by a fault of gitvirt's own: start it again, and see its log")

    def _round(self) -> float:
        """One watch, as long as it lasts. How many seconds to wait at least."""
        try:
            self._once()
        except ApiError as error:
            if error.status == _GONE and self._version:
                self._version = ""
                return 0.0
            return self._refused(error)
        except SilentError as error:
            # A server that was set back to a backup takes the watch too, and is silent until it is as far as it was.
            self._was_silent, self._version = True, ""
            self._note(str(error))
        except UnreachableError as error:
            self._note(str(error))
        return 0.0

    def _refused(self, error: ApiError) -> float:
        if error.status == _NOT_FOUND and self._listed_at is None:
            self._cache.replace((), self._namespace, anew=True)
            self.missing, self.fault, self._version = True, "", ""
            self.synced.set()
            return LONGEST_DELAY_S
        self.is_refused = error.status == _FORBIDDEN
        gone = f"{self.kind.resource} were served before and are not now"
        self._note(gone if error.status == _NOT_FOUND else error.outcome.reason)
        if error.status == _NOT_FOUND:
            self._version = ""
        return error.retry_after_s or 0.0

    def _note(self, fault: str) -> None:
        if not self.fault:
            self.fault_at = self._clock.monotonic()
        self.fault = fault

    def _once(self) -> None:
        """List where needed, then one watch until the server ends it."""
        listed_at = self._listed_at
        if not self._version or listed_at is None or self._clock.monotonic() - listed_at > RELIST_S:
            self._list()
        seconds = str(WATCH_S + random.randrange(60))  # noqa: S311 - spreads load
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": seconds,
            **self._narrowed(),
        }
        for line in self._client.stream(
            self._path(), self._request("watch"), query, silence_s=self.silence_s, opened=self._recovered
        ):
            if self._closed.is_set():
                return
            self._take(self._event(line))
            self.fault, self._heard, self._was_silent = "", True, False
            self.heard_at = self._clock.monotonic()
        self._recovered()

    def _recovered(self) -> None:
        """What happened meanwhile comes now. Of a server that took the last watch and then said nothing that is not known before it says something."""
        if not self._was_silent:
            self.fault, self.heard_at = "", self._clock.monotonic()

    def _event(self, line: bytes) -> Mapping[str, Any]:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
            raise UnreachableError(self._request("watch"), "what came is no event: something else answers", sent=True)
        return event

    def _take(self, event: Mapping[str, Any]) -> None:
        document = event["object"]
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
        self._newest = max(self._newest, _number(self._version))

    def _list(self) -> None:
        self.lists += 1
        pages = list(self._pages())
        version = str(pages[-1]["metadata"].get("resourceVersion", ""))
        number = _number(version)
        items = (item for page in pages for item in page["items"])
        # A server that was set back to a backup counts on from there: what is known of the time after it is worth nothing.
        self._cache.replace(items, self._namespace, version=number, anew=number < self._newest)
        self._version, self._newest = version, number
        self._listed_at = self.heard_at = self._clock.monotonic()
        was_missing, self.missing, self.fault, self.is_refused = self.missing, False, "", False
        self.synced.set()
        if was_missing:
            self._on_served()

    def _pages(self) -> Iterator[Mapping[str, Any]]:
        """What there is, page by page; in one piece after a list that took so long that the server forgot where it was."""
        query = {**({"limit": str(PAGE)} if self._paged else {}), **self._narrowed()}
        self._paged = True
        while True:
            try:
                page = self._client.call("GET", self._path(), self._request("list"), query=query)
            except ApiError as error:
                self._paged = error.status != _GONE or "continue" not in query
                raise
            if not isinstance(page.get("items"), list) or not isinstance(page.get("metadata"), dict):
                raise UnreachableError(
                    self._request("list"), "the answer is no list: something else answers", sent=True
                )
            yield page
            token = page["metadata"].get("continue")
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


def _delay_s(rounds: int) -> float:
    """Seconds between two watches, doubling with each that came to nothing; a random part of it spreads those of many."""
    longest = min(FIRST_DELAY_S * 2.0 ** min(max(rounds - 1, 0), 16), LONGEST_DELAY_S)
    share: float = random.uniform(0.5, 1.0)  # noqa: S311 - guards nothing
    return longest * share


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0
