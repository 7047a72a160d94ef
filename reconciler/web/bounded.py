"""An HTTP server that a caller can neither hold up nor fill: bounded connections, each with a bounded time and one request.

See docs/adr for why this stands on the standard library.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_CONNECTIONS = 32
MAX_BODY_BYTES = 1 << 20
SILENCE_S = 5.0
"""How long a caller may say nothing."""
REQUEST_S = 10.0
"""How long a caller may take for its whole request, however steadily it trickles in."""
PLAIN = "text/plain; charset=utf-8"
_DRAIN_S = 1.0
_DRAIN_BYTES = 2 * MAX_BODY_BYTES


class BoundedServer(ThreadingHTTPServer):
    """A thread a connection, a bounded number of them; one more is closed at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS

    def __init__(
        self, address: tuple[str, int], family: socket.AddressFamily, handler: type[BaseHTTPRequestHandler]
    ) -> None:
        self.address_family = family
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no fault of ours."""


class _Deadlined(io.RawIOBase):
    """A connection's incoming bytes, until its time is up."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = time.monotonic() + REQUEST_S

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What has come.

        Raises:
            TimeoutError: nothing has for too long, or the time for the whole request is over.
        """
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(min(left_s, SILENCE_S))
        return self._connection.recv_into(buffer)


class BoundedHandler(BaseHTTPRequestHandler):
    """One request of one connection. Answers are plain text and say little."""

    timeout = SILENCE_S
    wbufsize = -1  # an answer is one packet
    server_version = "gitvirt"
    sys_version = ""

    def setup(self) -> None:
        """Reading ends by a deadline."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Deadlined(self.connection))

    def version_string(self) -> str:
        """No version: it is nobody's business."""
        return self.server_version

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: a probe every few seconds is no news."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses by itself, without repeating what was sent."""
        del message, explain
        self.send(HTTPStatus(code), b"bad request\n")

    def send(self, status: HTTPStatus, body: bytes, content_type: str = PLAIN, **headers: str) -> None:
        """The one answer of the connection. A header's name has ``_`` for ``-``."""
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self) -> bytes | None:
        """The request's body; None when it is not taken, and the caller was told why."""
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            self._refuse_body(HTTPStatus.LENGTH_REQUIRED, b"a body needs a Content-Length\n")
        elif len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            self._refuse_body(HTTPStatus.BAD_REQUEST, b"bad request\n")
        elif len(lengths[0]) > len(str(MAX_BODY_BYTES)) or int(lengths[0]) > MAX_BODY_BYTES:
            self._refuse_body(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"at most 1 MiB\n")
        else:
            size = int(lengths[0])
            body = self.rfile.read(size)
            return body if len(body) == size else None
        return None

    def _refuse_body(self, status: HTTPStatus, said: bytes) -> None:
        """Answer, then let a caller that is still sending come to read it: closing at once would reset the connection."""
        self.send(status, said)
        self.wfile.flush()
        until, taken = time.monotonic() + _DRAIN_S, 0
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while taken < _DRAIN_BYTES and (left_s := until - time.monotonic()) > 0:
                self.connection.settimeout(left_s)
                some = len(self.connection.recv(1 << 16))
                if not some:
                    break
                taken += some
