"""A front before an API server, on loopback: passes requests on, answers some itself, cuts watches, and acts as KubeVirt's API.

Watches are passed on as they come. What it was told to answer, it answers once for each time that it was told.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.cluster.emulator import Refusal
from tests.cluster.loopback import Exchange, Loopback, kubeconfig_text

_SUBRESOURCE = re.compile(
    r"/apis/subresources\.kubevirt\.io/v1/namespaces/([^/]+)/(virtualmachines|virtualmachineinstances)/([^/]+)/(\w+)"
)
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "authorization", "accept-encoding"})


@dataclass(kw_only=True)
class Planned:
    """An answer of the front's own to requests whose line matches. ``hang_s``: it says nothing for so long first."""

    line: re.Pattern[str]
    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    text: bytes = b""
    """What is answered in place of ``body``."""
    times: int = 1
    hang_s: float = 0.0
    carried_out: bool = False
    """Whether the API server gets it all the same: the answer alone is lost."""


class Front:
    """See the module. ``seen`` are the request lines that came, ``acted`` the actions asked of KubeVirt."""

    def __init__(self, kubeconfig: Path, act: Callable[[str, str, str], int | None]) -> None:
        """``act`` carries out (verb, namespace, name) and may say with which status."""
        said = yaml.safe_load(kubeconfig.read_text())
        server, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
        self._to = urlsplit(server["server"])
        self._tls: ssl.SSLContext | None = None
        if self._to.scheme == "https":
            self._tls = ssl.create_default_context(cafile=server["certificate-authority"])
            self._tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self.planned: list[Planned] = []
        self.seen: list[str] = []
        self.acted: list[tuple[str, str, str]] = []
        self._act = act
        self._watches: dict[socket.socket, str] = {}
        self._cuts = 0
        self._lock = threading.Lock()
        self.reacts: Callable[[], None] = lambda: None
        """What a controller does at once after each write, before its answer goes out: the least favourable moment."""
        self.is_silent = False
        """Whether watches are kept open and nothing is passed on."""
        self._server = Loopback("front", self._serve)
        self.url = self._server.url

    def kubeconfig(self, path: Path, token: str = "") -> Path:
        """A kubeconfig that names the front."""
        path.write_text(json.dumps(kubeconfig_text(self.url, "front", {"token": token} if token else None)))
        return path

    def plan(self, line: str, status: int, message: str = "planned", **how: Any) -> Planned:
        """Answer requests whose line (``PATCH /apis/…``) matches."""
        body = {"kind": "Status", "status": "Failure", "message": message, "code": status, **how.pop("body", {})}
        made = Planned(line=re.compile(line), status=status, body=body, **how)
        with self._lock:
            self.planned.append(made)
        return made

    def watches(self, plural: str) -> int:
        """How many watches of a kind stand."""
        with self._lock:
            return sum(f"/{plural}?" in line for line in self._watches.values()) // 2

    def cut_watches(self) -> None:
        """Break every watch that was asked for until now, also those that are just being opened."""
        with self._lock:
            self._cuts += 1
            open_ones = list(self._watches)
        for one in open_ones:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self.cut_watches()
        self._server.close()

    def _due(self, line: str) -> tuple[Planned | None, int]:
        """What is planned for a request, and how often watches were cut before it came."""
        with self._lock:
            self.seen.append(line)
            found = next((one for one in self.planned if one.times > 0 and one.line.search(line)), None)
            if found is not None:
                found.times -= 1
            return found, self._cuts

    def _serve(self, exchange: Exchange) -> None:
        planned, cuts = self._due(f"{exchange.command} {exchange.path}")
        if planned is not None:
            if planned.carried_out:
                self._pass_on(exchange, cuts, lost=True)
            time.sleep(planned.hang_s)
            exchange.answer(planned.status, planned.text or json.dumps(planned.body).encode(), planned.headers)
            return
        action = _SUBRESOURCE.match(exchange.path)
        if action and "*/*" not in exchange.headers.get("Accept", "*/*"):
            # virt-api's actions name no type that they answer with, so that whoever takes JSON alone is refused.
            exchange.answer(406, b"406: Not Acceptable", {"Content-Type": "text/plain"})
            return
        if action:
            namespace, _, name, verb = action.groups()
            self.acted.append((verb, namespace, name))
            try:
                status = self._act(verb, namespace, name) or 202
                said = {"kind": "Status", "status": "Failure", "code": status, "message": f"no {verb} now"}
            except Refusal as refusal:
                status, said = refusal.status, refusal.body
            exchange.answer(status, json.dumps(said).encode() if status >= 400 else b"")
            return
        self._pass_on(exchange, cuts, lost=False)

    def _pass_on(self, exchange: Exchange, cuts: int, *, lost: bool) -> None:
        host, port = self._to.hostname or "", self._to.port
        to: http.client.HTTPConnection = (
            http.client.HTTPSConnection(host, port, context=self._tls, timeout=400)
            if self._tls is not None
            else http.client.HTTPConnection(host, port, timeout=400)
        )
        headers = {name: value for name, value in exchange.headers.items() if name.lower() not in _HOP}
        try:
            to.request(exchange.command, exchange.path, exchange.body or None, headers)
            answer = to.getresponse()
            if lost:
                answer.read()
            elif "watch=true" in exchange.path and answer.status == 200:
                self._stream(exchange, to, answer, cuts)
            else:
                kept = {"Retry-After": value} if (value := answer.headers.get("Retry-After")) else {}
                said = answer.read()
                if exchange.command != "GET":
                    self.reacts()
                exchange.answer(answer.status, said, kept)
        except (OSError, http.client.HTTPException):
            exchange.close_connection = True
        finally:
            to.close()

    def _stream(
        self, exchange: Exchange, to: http.client.HTTPConnection, answer: http.client.HTTPResponse, cuts: int
    ) -> None:
        ends = (exchange.connection, to.sock)
        with self._lock:
            if self._cuts != cuts:
                exchange.close_connection = True
                return
            self._watches |= dict.fromkeys(ends, exchange.path)
        try:
            exchange.begin_stream(chunked=False)
            while piece := answer.read1(65536):
                if not self.is_silent:
                    exchange.send(piece)
        finally:
            with self._lock:
                for end in ends:
                    self._watches.pop(end, None)
