"""Where revisions come from: one small class a transport, so that credentials and time-outs have one home."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import pygit2

from reconciler.model.errors import SourceError
from reconciler.model.follow import Follow
from reconciler.model.plain_text import one_line
from reconciler.model.source_spec import SourceSpec
from reconciler.source.heads import RemoteHead
from reconciler.source.limits import SourceLimits
from reconciler.source.local_remote import LocalRemote


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
        SourceError: no transport knows such a URL.
    """
    url = spec.url
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise SourceError(f"file URLs name no host, but {one_line(parts.netloc)!r} stands in one: use file:///PATH")
        return LocalRemote(Path(unquote(parts.path)), limits)
    if "://" in url:
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise SourceError(
            f"gitvirt cannot fetch from {one_line(shown)!r}: only file:///PATH and plain paths are supported"
        )
    if not url:
        raise SourceError("the source has no URL: set it to file:///PATH or a path")
    return LocalRemote(Path(url).expanduser().absolute(), limits)


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
