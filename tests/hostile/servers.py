"""Web servers that lie, trickle, never end or lead elsewhere; each on loopback, each gone when its test ends."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Talk = Callable[[socket.socket], None]


class HostileServer:
    """Answers each connection with ``talk``, after the request's head was read. ``tls`` makes it an https server."""

    def __init__(self, talk: Talk, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        self.talk = talk
        self.requests: list[bytes] = []
        self._tls = tls
        self._listening = socket.create_server((address, 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str = "image.raw", host: str = "127.0.0.1") -> str:
        """Where something of it is."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/{path}"

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self._listening.close()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head and (data := connection.recv(4096)):
                head += data
            self.requests.append(head)
            self.talk(connection)
            connection.shutdown(socket.SHUT_WR)
            connection.close()


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> Talk:
    """One whole answer; ``length`` is the Content-Length that is claimed, -1 for none."""
    claimed = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", *([f"Content-Length: {claimed}"] if claimed >= 0 else []), *headers, "", ""]
    return lambda connection: connection.sendall("\r\n".join(lines).encode("latin-1") + body)


def redirect(location: str) -> Talk:
    """A redirect."""
    return answer(b"", f"Location: {location}", status="302 Found")


def endless(piece: bytes = bytes(1 << 16)) -> Talk:
    """A body that does not end."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(piece)

    return talk


def trickle(pause_s: float, head: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Talk:
    """The head at once, then a byte now and then."""
    stop = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        while not stop.wait(pause_s):
            connection.sendall(b"x")

    return talk


def self_signed(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for loopback in a file, and the context of a server that has it."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context
