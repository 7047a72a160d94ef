"""An HTTP server on loopback for what stands in an API server's place, before it, or beside it in tests."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Exchange(BaseHTTPRequestHandler):
    """One request and what is answered to it. ``body`` is what came with it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    body = b""

    def log_message(self, *arguments: Any) -> None:
        """Nothing is printed."""

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """The whole answer; whoever is gone meanwhile does not get it."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        with suppress(OSError):
            self.end_headers()
            self.wfile.write(body)

    def begin_stream(self, *, chunked: bool) -> None:
        """The head of an answer that goes on; see `send`."""
        self.close_connection = True
        self._chunked = chunked
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
        self.end_headers()

    def send(self, piece: bytes) -> None:
        """A piece of it."""
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if self._chunked else piece)
        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """An engine opens a watch for each kind, all at once."""


class Loopback:
    """Listens until `close`; each request goes to ``serve``, on a thread of its own."""

    def __init__(self, name: str, serve: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> None:
        def handle(exchange: Exchange) -> None:
            exchange.body = exchange.rfile.read(int(exchange.headers.get("Content-Length") or 0))
            serve(exchange)

        methods = dict.fromkeys((f"do_{verb}" for verb in ("GET", "POST", "PUT", "PATCH", "DELETE")), handle)
        self._server = _Server(("127.0.0.1", 0), type("Served", (Exchange,), methods))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name=name, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def kubeconfig_text(server: str, name: str, user: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A kubeconfig of one cluster, user and context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": dict(user or {})}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
