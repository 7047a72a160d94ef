"""Where revisions come from: one small class a transport, so that credentials and callbacks have one home."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import pygit2
from pygit2.enums import ObjectType, ReferenceType, RepositoryOpenFlag

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import one_line
from reconciler.source.errors import UnreachableError
from reconciler.source.limits import SourceLimits

_SHOWN_BRANCHES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteHead:
    """The remote's answer. ``commit`` is empty when the ref is not there, and ``fault`` then says what is;
    ``unborn`` when the repository holds no commit at all.
    """

    commit: str
    fault: str = ""
    unborn: bool = False


class Remote(Protocol):
    """A repository elsewhere. ``shown`` is its URL without credentials."""

    shown: str

    def look(self, ref: str) -> RemoteHead:
        """One round trip: what the ref stands at now.

        Raises:
            UnreachableError: no answer.
        """
        ...

    def fetch(self, mirror: pygit2.Repository, refspec: str) -> None:
        """Bring what a refspec names, with all its history, into the mirror.

        Raises:
            UnreachableError: it did not arrive whole.
        """
        ...


class Deadline(pygit2.RemoteCallbacks):
    """Ends a transfer that takes longer than ``limit_s``. The place where credentials of a transport belong."""

    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self._limit_s = limit_s
        self._until = time.monotonic() + limit_s

    def transfer_progress(self, stats: object) -> None:
        """Called with each piece that arrives; raising ends the transfer."""
        del stats
        if time.monotonic() > self._until:
            raise UnreachableError(f"the transfer took longer than {self._limit_s:g} s and was ended")


class LocalRemote:
    """A repository on this machine, bare or with a work tree, given by its path."""

    def __init__(self, path: Path, limits: SourceLimits) -> None:
        self.shown = str(path)
        self._path = path
        self._limits = limits

    def look(self, ref: str) -> RemoteHead:
        """See `Remote.look`; reads one ref, whatever the size of the repository."""
        repository = self._open()
        try:
            reference = repository.references.get(ref)
            if reference is not None and (resolved := _resolve(repository, reference)) is not None:
                return resolved
            branches = sorted(name.removeprefix("refs/heads/") for name in repository.references)
        except (pygit2.GitError, KeyError, ValueError, OSError) as fault:
            raise UnreachableError(f"{self.shown} cannot be read: {one_line(str(fault))}") from fault
        if not branches:
            return RemoteHead(commit="", fault="the repository has no commit yet", unborn=True)
        return RemoteHead(commit="", fault=f"it has {_some(branches)}")

    def fetch(self, mirror: pygit2.Repository, refspec: str) -> None:
        """See `Remote.fetch`."""
        self._open()
        try:
            remote = mirror.remotes.create_anonymous(str(self._path))
            remote.fetch([refspec], message="fetch", callbacks=Deadline(self._limits.fetch_timeout_s))
        except (pygit2.GitError, KeyError, ValueError, OSError) as fault:
            raise UnreachableError(f"fetching from {self.shown} failed: {one_line(str(fault))}") from fault

    def _open(self) -> pygit2.Repository:
        try:
            if not self._path.exists():
                raise UnreachableError(f"{self.shown} does not exist (is its file system mounted?)")
            return pygit2.Repository(str(self._path), RepositoryOpenFlag.NO_SEARCH)
        except PermissionError as fault:
            raise UnreachableError(f"{self.shown} may not be read by this user: {fault.strerror}") from fault
        except (pygit2.GitError, OSError) as fault:
            raise UnreachableError(f"{self.shown} is not a Git repository that can be read: {fault}") from fault


def remote_for(url: str, limits: SourceLimits) -> Remote:
    """The remote that a URL or a path names.

    Raises:
        SourceError: no transport knows such a URL.
    """
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


def full_ref(ref: str) -> str:
    """``main`` → ``refs/heads/main``; full refs and ``HEAD`` as they are.

    Raises:
        SourceError: Git allows no such name.
    """
    full = ref if ref == "HEAD" or ref.startswith("refs/") else f"refs/heads/{ref}"
    if not ref or not pygit2.reference_is_valid_name(full):
        raise SourceError(
            f"{one_line(ref)!r} is no name for a branch or ref: use a branch such as main, or refs/tags/v1"
        )
    return full


def _resolve(repository: pygit2.Repository, reference: pygit2.Reference) -> RemoteHead | None:
    """The commit behind a reference; None for a symbolic one that leads nowhere yet."""
    if reference.type == ReferenceType.SYMBOLIC:
        target = repository.references.get(str(reference.target))
        return None if target is None else _resolve(repository, target)
    try:
        return RemoteHead(commit=str(reference.peel(ObjectType.COMMIT).id))
    except pygit2.InvalidSpecError:
        return RemoteHead(commit="", fault="it names something that is not a commit")


def _some(branches: list[str]) -> str:
    shown = ", ".join(one_line(name, 60) for name in branches[:_SHOWN_BRANCHES])
    more = f" and {len(branches) - _SHOWN_BRANCHES} more" if len(branches) > _SHOWN_BRANCHES else ""
    return f"{shown}{more}"
