"""A Git server behind https: one connection that is kept, and credentials that go to one host only.

Source: gitprotocol-http(5).
"""

from __future__ import annotations

import base64
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import one_line
from reconciler.model.source_spec import SourceSpec
from reconciler.source.errors import UnreachableError
from reconciler.source.http_faults import fault_of_answer, fault_of_connection
from reconciler.source.limits import SourceLimits
from reconciler.source.pkt_line import PktReader
from reconciler.source.remote_url import HttpUrl
from reconciler.source.secret_file import read_secret
from reconciler.source.upload_pack import READ, WRITE, Advertisement, read_advertisement

_MOST_REDIRECTS = 5
_PIECE_BYTES = 64 * 1024
_TOKEN_USER = "x-access-token"  # noqa: S105  (a user name that hosts take beside a token)
_HEADERS = {"user-agent": "git/gitvirt", "git-protocol": "version=2", "accept-encoding": "identity"}


class HttpTransport:
    """See `smart_remote.Transport`. A conversation is a request each; the server keeps no state between them."""

    def __init__(self, url: HttpUrl, spec: SourceSpec, limits: SourceLimits, *, service: str = READ) -> None:
        """Nothing is connected or read yet. ``service`` is what is asked of the server.

        Raises:
            SourceError: a password would cross a network in plain text.
        """
        self.shown = url.url
        self._service = service
        self._ask = f"/info/refs?service={service}"
        self._spec = spec
        self._limits = limits
        self._auth = spec.auth
        if url.is_plain and (spec.proxy or not _is_loopback(url.host)):
            if not spec.allow_plain_http:
                raise SourceError(
                    f"{self.shown} is not encrypted: whoever is on the way could change what VMs are to be. Use https, "
                    "or set allowPlainHttp: true where the network itself is trusted"
                )
            if self._auth.token_file or self._auth.password_file:
                raise SourceError(f"{self.shown} is not encrypted: no password or token is sent there. Use https")
        self._client: httpx.AsyncClient | None = None
        self._ca_stamp = 0
        self._base = url.url
        self._server: Advertisement | None = None
        self._takes_bearer = False

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[HttpTransport]:
        """See `Transport.talk`. What was learnt of the server is kept only while all goes well."""
        try:
            await self._refresh()
            yield self
        except httpx.HTTPError as fault:
            await self.forget()
            raise UnreachableError(fault_of_connection(fault, self._spec)) from fault
        except BaseException:
            await self.forget()
            raise

    async def forget(self) -> None:
        """Close the connection; the next conversation learns everything anew."""
        client, self._client, self._server = self._client, None, None
        self._base, self._takes_bearer = self.shown, False
        if client is not None:
            await client.aclose()

    async def advertised(self) -> Advertisement:
        """See `Talk.advertised`. A server of version 2 is asked once, an older one each time: its refs are in the answer."""
        if self._server is None or self._server.version != 2:
            async with self._send("GET", self._base + self._ask, self._kind("advertisement")) as answer:
                reader = PktReader(answer.aiter_raw(), limit=self._limits.ref_bytes)
                self._server = await read_advertisement(reader)
                await reader.drain()
        return self._server

    @asynccontextmanager
    async def ask(self, request: bytes, *, limit: int, then: BinaryIO | None = None) -> AsyncIterator[PktReader]:
        """See `Talk.ask`."""
        url = f"{self._base}/{self._service}"
        async with self._send("POST", url, self._kind("result"), request, then) as answer:
            reader = PktReader(answer.aiter_raw(), limit=limit)
            yield reader
            await reader.drain()

    async def _refresh(self) -> None:
        """A client with the certificate authorities as they are now."""
        stamp = _stamp(self._spec.ca_file)
        if self._client is not None and stamp == self._ca_stamp:
            return
        await self.forget()
        self._ca_stamp = stamp
        self._client = httpx.AsyncClient(
            verify=_trust(self._spec.ca_file),
            proxy=self._spec.proxy or None,
            trust_env=False,
            follow_redirects=False,
            headers=_HEADERS,
            timeout=httpx.Timeout(self._limits.stall_timeout_s, connect=self._limits.connect_timeout_s),
        )

    @asynccontextmanager
    async def _send(
        self, method: str, url: str, expected: str, body: bytes = b"", then: BinaryIO | None = None
    ) -> AsyncIterator[httpx.Response]:
        """One request, its redirects and the server's wish for another way to send the token included."""
        for _ in range(_MOST_REDIRECTS + 2):
            async with self._stream(method, url, expected, body, then) as answer:
                if answer.status_code == httpx.codes.UNAUTHORIZED and self._try_bearer(answer):
                    continue
                if not answer.has_redirect_location:
                    if fault := fault_of_answer(
                        answer, expected, self._auth, deed="write" if self._service == WRITE else "read"
                    ):
                        raise UnreachableError(fault)
                    yield answer
                    return
                url = self._redirected(method, url, answer.headers["location"])
        raise UnreachableError("it redirects in circles")

    def _stream(
        self, method: str, url: str, expected: str, body: bytes, then: BinaryIO | None
    ) -> AbstractAsyncContextManager[httpx.Response]:
        if self._client is None:
            raise AssertionError("asked outside a talk")
        headers = {"accept": expected, **self._authorization()}
        content: bytes | AsyncIterator[bytes] | None = body or None
        if body:
            headers["content-type"] = self._kind("request")
        if then is not None:
            headers["content-length"] = str(len(body) + then.seek(0, os.SEEK_END))
            content = _pieces(body, then)
        return self._client.stream(method, url, content=content, headers=headers)

    def _kind(self, what: str) -> str:
        return f"application/x-{self._service}-{what}"

    def _authorization(self) -> dict[str, str]:
        """The header, built for one request from the file as it is now."""
        auth = self._auth
        if auth.token_file:
            secret = read_secret(auth.token_file, "auth.tokenFile").reveal
            if self._takes_bearer:
                return {"authorization": f"Bearer {secret.decode('latin-1')}"}
        elif auth.password_file:
            secret = read_secret(auth.password_file, "auth.passwordFile").reveal
        else:
            return {}
        pair = (auth.username or _TOKEN_USER).encode() + b":" + secret
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def _try_bearer(self, answer: httpx.Response) -> bool:
        """Whether to ask again with the token in the other way: the server names Bearer and not Basic."""
        offered = ", ".join(answer.headers.get_list("www-authenticate")).lower()
        if not self._auth.token_file or self._takes_bearer or "bearer" not in offered or "basic" in offered:
            return False
        self._takes_bearer = True
        return True

    def _redirected(self, method: str, url: str, location: str) -> str:
        """Where to go on: the same host only, so that neither credentials nor trust move to another one."""
        target = str(httpx.URL(url).join(location))
        old, new = urlsplit(url), urlsplit(target)
        same = (old.hostname, old.port) == (new.hostname, new.port) and old.scheme == new.scheme
        safer = old.hostname == new.hostname and (old.scheme, new.scheme) == ("http", "https")
        if method != "GET" or not (same or safer) or not target.endswith(self._ask):
            raise UnreachableError(
                f"it redirects to {one_line(f'{new.scheme}://{new.hostname}{new.path}', 200)}: if the repository moved "
                "there, set url to it"
            )
        self._base = target.removesuffix(self._ask)
        return target


async def _pieces(body: bytes, then: BinaryIO) -> AsyncIterator[bytes]:
    """From its beginning, also when it is sent a second time."""
    yield body
    then.seek(0)
    while piece := then.read(_PIECE_BYTES):
        yield piece


def _is_loopback(host: str) -> bool:
    """A connection to oneself crosses no network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _stamp(ca_file: Path | None) -> int:
    try:
        return ca_file.stat().st_mtime_ns if ca_file else 0
    except OSError as fault:
        raise UnreachableError(f"caFile {ca_file} cannot be read: {fault.strerror}") from fault


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates are always checked: against the file's authorities, else the system's."""
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (ssl.SSLError, OSError) as fault:
        raise UnreachableError(f"caFile {ca_file} holds no certificates in PEM form") from fault
