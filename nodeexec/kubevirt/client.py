"""One request to an API server, one answer: time limits, credentials, and errors in our words.

It stands on the official client's configuration and connections, and speaks plain JSON: documents go out and come in as they are.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3
from kubernetes.client.rest import RESTClientObject
from kubernetes.config.config_exception import ConfigException

from nodeexec.kubevirt.errors import ApiError, Request, SilentError, UnreachableError, api_error
from reconciler.model.errors import EngineError

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
JSON = "application/json"
_ACCEPTED = f"{JSON}, */*"
"""KubeVirt's actions answer nothing, so they name no type that they answer with, and refuse (406) whoever takes JSON alone."""
CONNECT_TIMEOUT_S = 5.0
_PIECE = 64 << 10
_UNAUTHORIZED = 401
_CONNECTION = re.compile(r"^(<[^>]*>|\w+\([^)]*\)): ")
_MOVED, _BAD = 300, 400


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
        self._credentials = threading.Lock()
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
        """The answer's JSON, an object; an empty one for an answer without any. It is there as a whole in the time, however slowly it comes.

        Raises:
            ApiError: the server refused.
            UnreachableError: it did not answer in time, or at all, or there are no credentials.
        """
        limit = self._timeout_s if timeout_s is None else timeout_s
        answer, until = self._known(
            request, lambda: self._send(method, path, request, query, body, content_type, limit)
        )
        with closing(answer):
            return _decoded(_whole(answer, request, until), request, answer.status)

    def stream(
        self, path: str, request: Request, query: Mapping[str, str], *, silence_s: float, opened: Callable[[], None]
    ) -> Iterator[bytes]:
        """Lines of a watch as they come; ends when the server ends it. ``opened`` is called when the server has begun to answer, which may be
        long before there is anything to tell.

        Raises:
            ApiError: the server refused.
            SilentError: nothing came for ``silence_s``.
            UnreachableError: it cannot be reached, or it broke.
        """
        answer, _ = self._known(request, lambda: self._send("GET", path, request, query, None, JSON, silence_s))
        rest = b""
        with closing(answer):
            opened()
            try:
                for piece in _pieces(answer):
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from (line for line in lines if line)
            except urllib3.exceptions.ReadTimeoutError as error:
                raise SilentError(request, f"the watch was silent for {silence_s:.0f} s", sent=True) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise UnreachableError(request, f"the watch broke: {_words(error)}", sent=True) from error

    def _known(self, request: Request, send: Callable[[], tuple[Any, float]]) -> tuple[Any, float]:
        """Send; once more with credentials that were read anew where the server does not know us."""
        generation = self._generation
        try:
            return send()
        except ApiError as error:
            if error.status != _UNAUTHORIZED:
                raise
        self._renew(request, generation)
        return send()

    def _send(
        self, method: str, path: str, request: Request, query: Mapping[str, str] | None, body: Any,
        content_type: str, limit_s: float,
    ) -> tuple[Any, float]:  # fmt: skip
        """An answer that is no refusal, of which nothing was read yet; and until when it has to be there."""
        if method != "GET" and not self._may_write():
            raise UnreachableError(request, "not sent: this replica does not lead at the moment", sent=False)
        headers = {"Accept": _ACCEPTED, "User-Agent": "gitvirt", **self._authorization(request)}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = orjson.dumps(body)
        url = f"{self.host}{path}" + (f"?{urlencode(query)}" if query else "")
        with self._lock:
            self.requests[method] = self.requests.get(method, 0) + 1
        until = time.monotonic() + limit_s
        try:
            answer = self._pool.request(
                method, url, body=data, headers=headers, retries=False, redirect=False, preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, limit_s), read=limit_s),
            )  # fmt: skip
        except urllib3.exceptions.SSLError as error:
            raise UnreachableError(request, f"{self.host}: TLS: {_words(error)}", sent=False) from error
        except _NOT_SENT as error:
            raise UnreachableError(request, f"{self.host} cannot be reached: {_words(error)}", sent=False) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(request, f"{self.host} did not answer: {_words(error)}", sent=True) from error
        if answer.status >= _MOVED:
            with closing(answer):
                if answer.status < _BAD:
                    said = f"{self.host} sends us elsewhere ({answer.status}): it is no API server"
                    raise UnreachableError(request, said, sent=True)
                raise _refusal(request, answer, until)
        return answer, until

    def _authorization(self, request: Request) -> dict[str, str]:
        """The header that says who we are. A token that is over is renewed here, by one thread for all.

        Raises:
            UnreachableError: it cannot be had now; a file that is just being written is such a case.
        """
        with self._credentials:
            try:
                token = self._configuration.auth_settings().get("BearerToken")
            except (ConfigException, EngineError, OSError) as error:
                raise UnreachableError(request, f"no credentials: {_words(error)}", sent=False) from error
        if not token:
            return {}
        value = str(token["value"]).strip()
        if not value.isprintable():
            raise UnreachableError(request, "no credentials: the token holds what no HTTP header can", sent=False)
        return {"Authorization": value}

    def _renew(self, request: Request, generation: int) -> None:
        """Read the credentials again, once for all threads that were refused with the same ones."""
        with self._credentials:
            if self._generation != generation:
                return
            try:
                self._use(self._connect())
            except EngineError as error:
                raise UnreachableError(request, str(error).rstrip("."), sent=False) from error
            self._generation += 1

    def close(self) -> None:
        """Let go of connections."""
        self._pool.clear()


_NOT_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.LocationValueError,
)


def _pieces(answer: Any) -> Iterator[bytes]:
    """What comes, when it comes: without chunks, as some proxies pass a watch on, `stream` would wait for a full buffer."""
    if answer.chunked:
        yield from answer.stream(_PIECE, decode_content=True)
        return
    while piece := answer.read1(_PIECE):
        yield piece


def _whole(answer: Any, request: Request, until: float) -> bytes:
    """All that was answered. Reading it has one time limit: a server that trickles would renew the connection's with every byte.

    Raises:
        UnreachableError: it breaks off, or is not there in time.
    """
    pieces: list[bytes] = []
    try:
        while piece := answer.read1(_PIECE):
            pieces.append(piece)
            if time.monotonic() > until:
                raise UnreachableError(request, "the answer was not there in time", sent=True)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnreachableError(request, f"the answer broke off: {_words(error)}", sent=True) from error
    return b"".join(pieces)


def _decoded(data: bytes, request: Request, status: int) -> dict[str, Any]:
    """The JSON of an answer.

    Raises:
        UnreachableError: it is no JSON object, so it is not an API server's.
    """
    try:
        body = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise UnreachableError(request, f"the answer ({status}) is no JSON object: something else answers", sent=True)
    return body


def _refusal(request: Request, answer: Any, until: float) -> ApiError:
    """What an answer with an error's status means; with the first words of it where it is none of an API server's."""
    try:
        data = _whole(answer, request, until)
    except UnreachableError as error:
        data = str(error).encode()
    try:
        body = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError:
        body = {"message": data[:200].decode("utf-8", "replace")}
    return api_error(request, answer.status, body, answer.headers.get("Retry-After"))


def _words(error: BaseException) -> str:
    """What happened, without what the library says of its connection."""
    reason = getattr(error, "original_error", None) or getattr(error, "reason", None) or error
    return _CONNECTION.sub("", str(reason))
