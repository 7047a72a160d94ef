"""HTTP over connections that were checked: where they lead, and that the other side keeps talking.

A name is resolved once, its addresses are checked, and the connection goes to an address that passed: a name server that
answers differently a moment later changes nothing. Every redirect is a request like the first. Proxies named in the
environment are not used: through one, nobody could say where a request ends up.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from typing import Any

import httpcore
import httpx

from nodeexec.libvirt.import_addresses import Address, ImportAddresses
from nodeexec.libvirt.settings import ImportLimits

_TRIES_A_NAME = 4
_DISCARD_PORT = 9


class DeniedAddressError(Exception):
    """The settings do not let images come from there; the message says which address and what it is."""


class TooSlowError(Exception):
    """The server keeps the connection without sending enough."""


class GuardedTransport(httpx.BaseTransport):
    """httpx's way to the network for one import. ``tls`` None trusts the system's authorities."""

    def __init__(self, addresses: ImportAddresses, limits: ImportLimits, tls: ssl.SSLContext | None = None) -> None:
        self._https_only = False
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(addresses, limits),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, after which plain http is refused if it went over https.

        Raises:
            DeniedAddressError, TooSlowError: the connection is not made, or not kept.
            httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException: it failed.
            httpx.UnsupportedProtocol: a redirect leads to something else than http and https, or from https to http.
        """
        scheme = request.url.scheme
        if scheme not in ("http", "https") or (self._https_only and scheme != "https"):
            raise httpx.UnsupportedProtocol(f"a redirect to {scheme or 'no scheme'} is not followed", request=request)
        self._https_only = self._https_only or scheme == "https"
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Let the connections go."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """An answer's body, closed with it."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class GuardedBackend(httpcore.NetworkBackend):
    """Connects only to addresses that `ImportAddresses` lets through."""

    def __init__(self, addresses: ImportAddresses, limits: ImportLimits) -> None:
        self._addresses = addresses
        self._limits = limits
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """See `httpcore.NetworkBackend.connect_tcp`.

        Raises:
            DeniedAddressError: an address of the host is not allowed; none of them is tried then.
        """
        found = resolve(host, port)
        if not self._addresses.trusts(host):
            for address in found:
                if why := self._why_not(address):
                    raise DeniedAddressError(_denied(host, address, why))
        failed: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in found[:_TRIES_A_NAME]:
            try:
                stream = self._plain.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failed = error
            else:
                return PacedStream(stream, self._limits)
        raise failed or httpcore.ConnectError(f"{host} has no address")

    def _why_not(self, address: Address) -> str:
        why = self._addresses.why_not(address)
        if not why and not any(address in network for network in self._addresses.allowed) and is_own(address):
            why = "an address of this host itself"
        return why

    def sleep(self, seconds: float) -> None:
        """See `httpcore.NetworkBackend.sleep`."""
        time.sleep(seconds)


class PacedStream(httpcore.NetworkStream):
    """A connection whose other side must send at least ``limits.min_rate_bytes_s``, taken over each
    ``limits.stall_timeout_s`` of waiting for it: answers, headers and bodies that trickle end there. Time that gitvirt spends on
    something else does not count.
    """

    def __init__(
        self, stream: httpcore.NetworkStream, limits: ImportLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._clock = clock
        self._waited_s = 0.0
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See `httpcore.NetworkStream.read`.

        Raises:
            TooSlowError: too little came for too long.
        """
        begun = self._clock()
        data = self._stream.read(max_bytes, timeout)
        self._waited_s += self._clock() - begun
        self._received += len(data)
        if self._waited_s >= self._limits.stall_timeout_s:
            if self._received < self._limits.min_rate_bytes_s * self._waited_s:
                raise TooSlowError(
                    f"the server sent {self._received} bytes in {self._waited_s:.0f} s; "
                    f"at least {self._limits.min_rate_bytes_s} bytes a second are expected"
                )
            self._waited_s, self._received = 0.0, 0
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See `httpcore.NetworkStream.write`."""
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """See `httpcore.NetworkStream.close`."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """See `httpcore.NetworkStream.start_tls`. Certificates are checked against the name, not the address."""
        return PacedStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._limits, self._clock)

    def get_extra_info(self, info: str) -> Any:
        """See `httpcore.NetworkStream.get_extra_info`."""
        return self._stream.get_extra_info(info)


def resolve(host: str, port: int) -> tuple[Address, ...]:
    """Every address of a host, as the system resolves it: this is also where ``0x7f.1`` and ``2130706433`` become what they are.

    Raises:
        httpcore.ConnectError: it has none.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the name {host} is not known") from error
    return tuple(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


def is_own(address: Address) -> bool:
    """Whether it is an address of this host: the kernel speaks to those from themselves. Nothing is sent."""
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD_PORT))
            own = ip_address(probe.getsockname()[0])
    except OSError:
        return False
    return own == address


def _denied(host: str, address: Address, why: str) -> str:
    named = f"{host} ({address})" if str(address) != host.strip("[]") else str(address)
    return f"{named} is {why}; allow it in the settings (imports.allowedAddresses or imports.allowedHosts) if that is meant"
