"""Servers that hang, trickle, lie and never end, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.remotes.processes import program

Write = Callable[[bytes], None]
Answer = Callable[[bytes, Write], None]
"""Called with what an honest server would answer and with what writes to the client."""


def honest(answer: bytes, write: Write) -> None:
    write(answer)


def band(data: bytes, number: int = 1) -> bytes:
    return b"%04x%c" % (len(data) + 5, number) + data


def in_pack(pack: bytes) -> bytes:
    """A whole answer of protocol version 2 with this pack."""
    pieces = [band(pack[start : start + 60000]) for start in range(0, len(pack), 60000)]
    return b"000dpackfile\n" + b"".join(pieces) + b"0000"


@contextmanager
def git_server(repository: Path, *, refs: Answer = honest, pack: Answer = honest) -> Iterator[str]:
    """The URL of a server of protocol version 2 that answers as ``refs`` and ``pack`` make it."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond("advertisement", _upload_pack(repository, "--http-backend-info-refs"), honest)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = _upload_pack(repository, "--stateless-rpc", data=body)
            self._respond("result", answer, pack if b"command=fetch" in body else refs)

        def _respond(self, kind: str, answer: bytes, how: Answer) -> None:
            self.send_response(200)
            self.send_header("content-type", f"application/x-git-upload-pack-{kind}")
            self.end_headers()

            def write(data: bytes) -> None:
                if stop.is_set():
                    raise ConnectionError("the test is over")
                self.wfile.write(data)

            with suppress(ConnectionError):
                how(answer, write)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/x.git"
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _upload_pack(repository: Path, *arguments: str, data: bytes = b"") -> bytes:
    environment = {**os.environ, "GIT_PROTOCOL": "version=2"}
    command = [program("git"), "upload-pack", *arguments, str(repository)]
    return subprocess.run(command, input=data, capture_output=True, env=environment, check=False).stdout


@contextmanager
def raw_server(conversation: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """The port of a server that does this with each connection, until the event says stop."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            conversation(connection, stop)

    def accept() -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        acceptor.join()
        for thread in threads:
            thread.join()
        listener.close()
