"""One request to an API server, one answer: time limits, credentials, and errors in our words.

It stands on the official client's configuration and connections, and speaks plain JSON: documents go out and come in as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3
from kubernetes.client.rest import RESTClientObject

from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError, api_error

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
JSON = "application/json"
CONNECT_TIMEOUT_S = 5.0
_PIECE = 64 << 10
_UNAUTHORIZED = 401
_BAD = 400


class ApiClient:
    """Talks to one API server. Calls may come from several threads. ``requests`` counts what was sent, by method; what
    writes is not a GET.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        timeout_s: float = 30.0,
        connections: int = 32,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """``connect`` gives the configuration, anew when the server no longer knows our credentials; ``may_write`` is asked
        before each request that writes.
        """
        self._connect = connect
        self._may_write = may_write
        self._timeout_s = timeout_s
        self._connections = connections
        self._lock = threading.Lock()
        self._generation = 0
        self._use(connect())
        self.requests: dict[str, int] = {}

    def _use(self, configuration: Any) -> None:
        configuration.connection_pool_maxsize = self._connections
        self._configuration = configuration
        self.host = str(configuration.host).rstrip("/")
        self._pool: Any = RESTClientObject(configuration).pool_manager

    def call(
        self,
        method: str,
        path: str,
        request: Request,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        timeout_s: float | None = None,
    ) -> Any:
        """The answer's JSON; an empty mapping for an answer without any.

        Raises:
            ApiError: the server refused.
            UnreachableError: it did not answer in time, or at all.
        """
        generation = self._generation
        try:
            return self._call(method, path, request, query, body, content_type, timeout_s)
        except ApiError as error:
            if error.status != _UNAUTHORIZED or not self._renew(generation):
                raise
        return self._call(method, path, request, query, body, content_type, timeout_s)

    def _call(
        self, method: str, path: str, request: Request, query: Mapping[str, str] | None, body: Any,
        content_type: str, timeout_s: float | None,
    ) -> Any:  # fmt: skip
        limit = self._timeout_s if timeout_s is None else timeout_s
        answer = self._send(method, path, request, query, body, content_type, read_s=limit, stream=False)
        return _decoded(answer.data, request, answer)

    def stream(
        self, path: str, request: Request, query: Mapping[str, str], *, silence_s: float, opened: Callable[[], None]
    ) -> Iterator[bytes]:
        """Lines of a watch as they come; ends when the server ends it. ``opened`` is called when the server has begun to answer, which may be
        long before there is anything to tell.

        Raises:
            ApiError: the server refused.
            UnreachableError: it cannot be reached, or was silent for ``silence_s``.
        """
        generation = self._generation
        try:
            answer = self._send("GET", path, request, query, None, JSON, read_s=silence_s, stream=True)
        except ApiError as error:
            if error.status != _UNAUTHORIZED or not self._renew(generation):
                raise
            answer = self._send("GET", path, request, query, None, JSON, read_s=silence_s, stream=True)
        rest = b""
        with closing(answer):
            opened()
            try:
                for piece in _pieces(answer):
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from (line for line in lines if line)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise UnreachableError(request, f"the watch broke: {_words(error)}", sent=True) from error

    def _send(
        self, method: str, path: str, request: Request, query: Mapping[str, str] | None, body: Any,
        content_type: str, *, read_s: float, stream: bool,
    ) -> Any:  # fmt: skip
        if method != "GET" and not self._may_write():
            raise UnreachableError(request, "not sent: this replica does not lead at the moment", sent=False)
        headers = {"Accept": JSON, "User-Agent": "gitvirt"}
        token = self._configuration.auth_settings().get("BearerToken")
        if token:
            headers["Authorization"] = token["value"]
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = orjson.dumps(body)
        url = f"{self.host}{path}" + (f"?{urlencode(query)}" if query else "")
        with self._lock:
            self.requests[method] = self.requests.get(method, 0) + 1
        try:
            answer = self._pool.request(
                method, url, body=data, headers=headers, retries=False, redirect=False,
                preload_content=not stream,
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, read_s), read=read_s),
            )  # fmt: skip
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise UnreachableError(request, f"{self.host} cannot be reached: {_words(error)}", sent=False) from error
        except urllib3.exceptions.SSLError as error:
            raise UnreachableError(request, f"{self.host}: TLS: {_words(error)}", sent=False) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(request, f"{self.host} did not answer: {_words(error)}", sent=True) from error
        if answer.status >= _BAD:
            with closing(answer):
                _decoded(answer.data, request, answer)
        return answer

    def _renew(self, generation: int) -> bool:
        """Read the credentials again, once for all threads that were refused with the same ones."""
        with self._lock:
            if self._generation == generation:
                self._use(self._connect())
                self._generation += 1
        return True

    def close(self) -> None:
        """Let go of connections."""
        self._pool.clear()


def _pieces(answer: Any) -> Iterator[bytes]:
    """What comes, when it comes: without chunks, as some proxies pass a watch on, `stream` would wait for a full buffer."""
    if answer.chunked:
        yield from answer.stream(_PIECE, decode_content=True)
        return
    while piece := answer.read1(_PIECE):
        yield piece


def _decoded(data: bytes, request: Request, answer: Any) -> Any:
    """The JSON of an answer.

    Raises:
        ApiError: it is a refusal.
        UnreachableError: it is no JSON, so it is not an API server's.
    """
    try:
        body = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError as error:
        if answer.status < _BAD:
            raise UnreachableError(
                request, "the answer is not JSON: something else answers there", sent=True
            ) from error
        body = {"message": data[:200].decode("utf-8", "replace")}
    if answer.status >= _BAD:
        raise api_error(request, answer.status, body, answer.headers.get("Retry-After"))
    return body


def _words(error: BaseException) -> str:
    """What happened, without the address of a Python object."""
    reason = getattr(error, "reason", None) or error
    text = str(reason)
    return text.rpartition(">: ")[2] if ">: " in text else text
