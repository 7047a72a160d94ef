"""A small web server for imports: serves files, slowly if asked to, and counts requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ImageServer:
    """Serves ``files`` (name → bytes) on loopback. ``delay_s`` passes before each 64 KiB; ``cut_after`` names how many
    bytes of a file are sent before the connection breaks, once.
    """

    def __init__(self, files: dict[str, bytes], *, delay_s: float = 0.0) -> None:
        self.files = files
        self.delay_s = delay_s
        self.cut_after: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
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
        for start in range(0, cut, 1 << 16):
            time.sleep(self.delay_s)
            request.wfile.write(data[start : min(start + (1 << 16), cut)])
        request.close_connection = True

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
