"""Credentials, headers and authorities of an image's source, on the way to that source and to nobody else."""

from __future__ import annotations

import ssl

import httpx

from nodeexec.libvirt.guarded_transport import GuardedTransport
from nodeexec.libvirt.settings import ImportLimits
from reconciler.model.resolved import SourceAccess


class BadAuthoritiesError(Exception):
    """The authorities of a source are not certificates; the message says what to do."""


class AccessTransport(httpx.BaseTransport):
    """Adds a source's headers to requests that go to the scheme, host and port of its URL. A redirect elsewhere is followed
    without them.
    """

    def __init__(self, inner: httpx.BaseTransport, access: SourceAccess) -> None:
        self._inner = inner
        self._origin = _origin(httpx.URL(access.url.reveal.decode()))
        self._headers = [(name.encode(), value.reveal) for name, value in access.headers]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, its own headers left as they are so that a redirect copies nothing secret."""
        if _origin(request.url) != self._origin:
            return self._inner.handle_request(request)
        given = {name.lower() for name, _ in self._headers}
        kept = [(name, value) for name, value in request.headers.raw if name.lower() not in given]
        opened = httpx.Request(
            request.method,
            request.url,
            headers=[*kept, *self._headers],
            stream=request.stream,
            extensions=request.extensions,
        )
        return self._inner.handle_request(opened)

    def close(self) -> None:
        """Let the connections go."""
        self._inner.close()


def transport_for(access: SourceAccess | None, limits: ImportLimits) -> httpx.BaseTransport:
    """The guarded way to a source, with what opens it.

    Raises:
        BadAuthoritiesError: its authorities cannot be read.
    """
    if access is None:
        return GuardedTransport(limits.addresses, limits)
    guarded = GuardedTransport(limits.addresses, limits, _trust(access.authorities) if access.authorities else None)
    return AccessTransport(guarded, access) if access.headers else guarded


def _trust(authorities: str) -> ssl.SSLContext:
    """The system's authorities and these."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError):
        raise BadAuthoritiesError(
            "the ConfigMap of certConfigMap holds no certificates that can be read; put PEM text into it"
        ) from None
    return context


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, port
