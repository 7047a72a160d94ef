"""Health and metrics over HTTP, and the webhook that wakes. HTTP changes nothing.

See docs/adr for why this stands on the standard library.
"""

from __future__ import annotations

import socket
import threading
from http import HTTPStatus
from typing import Any

from reconciler.model.errors import RequirementError
from reconciler.model.plain_text import one_line
from reconciler.web.bounded import BoundedHandler, BoundedServer
from reconciler.web.health import Answer, Watched
from reconciler.web.metrics import CONTENT_TYPE, Metrics
from reconciler.web.webhook import WEBHOOK, Reception, Webhook


class WebServer:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics``, or ``/webhook``, or all of them, from `start` to `stop`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        health: Watched | None = None,
        metrics: Metrics | None = None,
        webhook: Webhook | None = None,
        setting: str = "web.listen",
    ) -> None:
        """``port`` 0 takes a free one; see `address`. ``setting`` names where the address was said, for messages."""
        self._host, self._port, self._setting = host, port, setting
        self._health, self._metrics, self._webhook = health, metrics, webhook
        self._server: _Server | None = None

    @property
    def has_webhook(self) -> bool:
        """Whether the webhook is here."""
        return self._webhook is not None

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
            self._server = _Server((self._host, self._port), family, _Handler)
        except OSError as error:
            raise RequirementError(
                f"{self._setting} {self._host}:{self._port} cannot be used: {error.strerror}. "
                f"Set another address, or {self._setting}: off."
            ) from error
        self._server.health, self._server.metrics, self._server.webhook = self._health, self._metrics, self._webhook
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="web", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(BoundedServer):
    health: Watched | None = None
    metrics: Metrics | None = None
    webhook: Webhook | None = None


class _Handler(BoundedHandler):
    server: _Server

    def do_GET(self) -> None:
        health, metrics = self.server.health, self.server.metrics
        match self.path.partition("?")[0]:
            case "/healthz" if health:
                self._answer(health.alive())
            case "/readyz" if health:
                self._answer(health.ready())
            case "/metrics" if metrics:
                self.send(HTTPStatus.OK, metrics.text(), CONTENT_TYPE)
            case _:
                told = b"there is /healthz, /readyz and /metrics\n" if health else b"not found\n"
                self.send(HTTPStatus.NOT_FOUND, told)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        webhook, path = self.server.webhook, self.path.partition("?")[0]
        if webhook is None or not (path == WEBHOOK or path.startswith(f"{WEBHOOK}/")):
            self._refuse()
            return
        with webhook.place() as is_free:
            if not is_free:
                self.send(HTTPStatus.SERVICE_UNAVAILABLE, b"busy\n", Retry_After="5")
                return
            body = self.read_body()
            if body is None:
                return
            peer = str(self.client_address[0])
            match webhook.receive(path.removeprefix(WEBHOOK).removeprefix("/"), self.headers, body, peer):
                case Reception.TAKEN:
                    self.send(HTTPStatus.ACCEPTED, b"")
                case Reception.REFUSED:
                    self.send(HTTPStatus.FORBIDDEN, b"no\n")
                case Reception.UNHEARD:
                    self.send(HTTPStatus.SERVICE_UNAVAILABLE, b"nobody hears it now\n", Retry_After="5")

    def __getattr__(self, name: str) -> Any:
        """Every other method there is or will be."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def _refuse(self) -> None:
        said = b"HTTP changes nothing here; use the gitvirt command\n"
        self.send(HTTPStatus.METHOD_NOT_ALLOWED, said, Allow="GET, HEAD")

    def _answer(self, answer: Answer) -> None:
        good, text = answer
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        self.send(status, f"{one_line(text, 1000)}\n".encode())
