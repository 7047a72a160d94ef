"""Health and metrics over HTTP: read-only, on loopback unless the settings say otherwise. HTTP changes nothing.

See docs/adr for why this stands on the standard library.
"""

from __future__ import annotations

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reconciler.model.errors import RequirementError
from reconciler.model.plain_text import one_line
from reconciler.web.health import Answer, Health
from reconciler.web.metrics import CONTENT_TYPE, Metrics

_MAX_CONNECTIONS = 32
_TIMEOUT_S = 5.0
_PLAIN = "text/plain; charset=utf-8"


class WebServer:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics`` from `start` to `stop`."""

    def __init__(self, *, host: str, port: int, health: Health, metrics: Metrics) -> None:
        """``port`` 0 takes a free one; see `address`."""
        self._host, self._port = host, port
        self._health, self._metrics = health, metrics
        self._server: _BoundedServer | None = None

    @property
    def address(self) -> str:
        """``ADDRESS:PORT`` that is listened on; empty when none is."""
        if self._server is None:
            return ""
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def start(self) -> None:
        """Listen.

        Raises:
            RequirementError: the address cannot be had.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._server = _BoundedServer((self._host, self._port), family, self._health, self._metrics)
        except OSError as error:
            raise RequirementError(
                f"web.listen {self._host}:{self._port} cannot be used: {error.strerror}. "
                "Set another address, or web.listen: off."
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="web", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _BoundedServer(ThreadingHTTPServer):
    """A thread a connection, a bounded number of them; one more is closed at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = _MAX_CONNECTIONS

    def __init__(
        self, address: tuple[str, int], family: socket.AddressFamily, health: Health, metrics: Metrics
    ) -> None:
        self.address_family = family
        self.health, self.metrics = health, metrics
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__(address, _Handler)

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


class _Handler(BaseHTTPRequestHandler):
    server: _BoundedServer
    timeout = _TIMEOUT_S
    server_version = "gitvirt"
    sys_version = ""

    def version_string(self) -> str:
        """No version: it is nobody's business."""
        return self.server_version

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/healthz":
                self._answer(self.server.health.alive())
            case "/readyz":
                self._answer(self.server.health.ready())
            case "/metrics":
                self._send(HTTPStatus.OK, self.server.metrics.text(), CONTENT_TYPE)
            case _:
                self._send(HTTPStatus.NOT_FOUND, b"there is /healthz, /readyz and /metrics\n", _PLAIN)

    def do_HEAD(self) -> None:
        self.do_GET()

    def __getattr__(self, name: str) -> Any:
        """Every other method there is or will be."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"HTTP changes nothing here; use the gitvirt command\n", _PLAIN)

    def _answer(self, answer: Answer) -> None:
        good, text = answer
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        self._send(status, f"{one_line(text, 1000)}\n".encode(), _PLAIN)

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: a probe every few seconds is no news."""
