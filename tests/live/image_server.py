"""A small web server for imports: serves files, no further than it is let, and counts requests."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE_BYTES = 1 << 16


class ImageServer:
    """Serves ``files`` (name → bytes) on loopback. ``cut_after`` names how many bytes of a file are sent before the connection
    breaks, once. Of a file that is held (`hold`) no more is sent until `release`, however long that takes.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.cut_after: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
        self._held: dict[str, int] = {}
        self._let_go = threading.Condition()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        """Where a file is."""
        return f"http://user:sesame@127.0.0.1:{self._server.server_port}/{name}?token=sesame"

    def hold(self, name: str, after_bytes: int) -> None:
        """Send so many bytes of a file, in whole pieces, and then nothing."""
        with self._let_go:
            self._held[name] = after_bytes
            self._let_go.notify_all()

    def release(self, name: str) -> None:
        """Send the rest."""
        with self._let_go:
            self._held.pop(name, None)
            self._let_go.notify_all()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One request."""
        name = request.path.partition("?")[0].lstrip("/")
        self.asked[name] += 1
        data = self.files.get(name)
        if data is None:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        cut = self.cut_after.pop(name, len(data))
        for start in range(0, cut, PIECE_BYTES):
            self._wait_for(name, start)
            request.wfile.write(data[start : min(start + PIECE_BYTES, cut)])
        request.close_connection = True

    def _wait_for(self, name: str, start: int) -> None:
        with self._let_go:
            self._let_go.wait_for(lambda: start < self._held.get(name, start + 1))

    def close(self) -> None:
        """Stop serving."""
        for name in tuple(self._held):
            self.release(name)
        self._server.shutdown()
        self._server.server_close()
