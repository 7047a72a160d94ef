"""Where revisions come from: one small class a transport, so that credentials and time-outs have one home."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pygit2

from reconciler.model.errors import SourceError
from reconciler.model.follow import Follow
from reconciler.model.plain_text import one_line
from reconciler.model.source_spec import SourceSpec
from reconciler.source.heads import RemoteHead
from reconciler.source.http_transport import HttpTransport
from reconciler.source.limits import SourceLimits
from reconciler.source.local_remote import LocalRemote
from reconciler.source.remote_url import HttpUrl, LocalUrl, SshUrl, parse_url
from reconciler.source.smart_remote import SmartRemote
from reconciler.source.ssh_transport import SshTransport


class Remote(Protocol):
    """A repository elsewhere. ``shown`` is its URL without credentials. For one thread at a time."""

    shown: str

    def look(self, follow: Follow) -> RemoteHead:
        """One round trip: what is followed stands where now.

        Raises:
            UnreachableError: no answer.
        """
        ...

    def fetch(self, mirror: pygit2.Repository, oid: str) -> None:
        """Bring a commit or an annotated tag, with all its history, into the mirror.

        Raises:
            UnreachableError: it did not arrive whole.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def remote_for(spec: SourceSpec, limits: SourceLimits) -> Remote:
    """The remote that a specification names.

    Raises:
        SourceError: no transport knows such a URL, or it lacks what it needs.
    """
    limits = replace(limits, fetch_timeout_s=spec.timeout_s)
    url = parse_url(spec.url)
    match url:
        case LocalUrl():
            return LocalRemote(url.path, limits)
        case HttpUrl():
            return SmartRemote(HttpTransport(url, spec, limits), limits)
        case SshUrl():
            return SmartRemote(SshTransport(url, spec, limits), limits)


def checked_follow(follow: Follow) -> Follow:
    """``follow``, when Git can know something of that name.

    Raises:
        SourceError: it allows no such name.
    """
    if follow.ref and not (follow.name and pygit2.reference_is_valid_name(follow.ref)):
        raise SourceError(
            f"{one_line(follow.name)!r} is no name for a {follow.kind}: use a branch such as main, or refs/tags/v1"
        )
    return follow
