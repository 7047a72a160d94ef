"""A repository on this machine, bare or with a work tree, given by its path."""

from __future__ import annotations

import time
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, ReferenceType, RepositoryOpenFlag

from reconciler.loose_objects import LooseObjects, object_directory, require_whole
from reconciler.model.follow import Follow, FollowKind
from reconciler.model.plain_text import one_line
from reconciler.source.errors import UnreachableError
from reconciler.source.heads import Ref, RemoteHead, chosen, not_there, ref_prefix
from reconciler.source.limits import SourceLimits
from reconciler.source.mirror import FETCHED


class Deadline(pygit2.RemoteCallbacks):
    """Ends a transfer that takes longer than ``limit_s``."""

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
    """See `remotes.Remote`."""

    def __init__(self, path: Path, limits: SourceLimits) -> None:
        self.shown = str(path)
        self._path = path
        self._limits = limits
        self._looked_at: LooseObjects | None = None

    def look(self, follow: Follow) -> RemoteHead:
        """See `Remote.look`; but for a range of versions it reads one ref, whatever the size of the repository."""
        repository = self._open()
        try:
            if follow.kind is FollowKind.COMMIT:
                return _commit_in(repository, follow.name)
            if follow.kind is FollowKind.SEMVER:
                tags = [name for name in repository.references if name.startswith(ref_prefix(follow))]
                head = chosen(follow, (Ref(name=name, oid="") for name in tags))
                name = head.ref if head else ""
            else:
                name = follow.ref
            reference = repository.references.get(name) if name else None
            if reference is not None and (resolved := _resolve(repository, reference)) is not None:
                return resolved
            names = list(repository.references)
        except (pygit2.GitError, KeyError, ValueError, OSError) as fault:
            raise UnreachableError(f"{self.shown} cannot be read: {one_line(str(fault))}") from fault
        if not names:
            return RemoteHead(commit="", fault="the repository has no commit yet", unborn=True)
        return not_there(follow, names)

    def fetch(self, mirror: pygit2.Repository, oid: str) -> None:
        """See `Remote.fetch`."""
        self.copy(mirror, f"+{oid}:{FETCHED}")

    def copy(self, mirror: pygit2.Repository, refspec: str) -> None:
        """Bring what a refspec names, with all its history, into the mirror.

        Raises:
            UnreachableError: it did not arrive whole.
        """
        opened = self._open()
        try:
            self._loose(opened).require_whole()
            remote = mirror.remotes.create_anonymous(str(self._path))
            remote.fetch([refspec], message="fetch", callbacks=Deadline(self._limits.fetch_timeout_s))
        except (pygit2.GitError, KeyError, ValueError, OSError) as fault:
            raise UnreachableError(f"fetching from {self.shown} failed: {one_line(str(fault))}") from fault

    def close(self) -> None:
        """See `Remote.close`; nothing is held."""

    def _loose(self, repository: pygit2.Repository) -> LooseObjects:
        """What of its objects was looked at is remembered for as long as it is the same directory."""
        directory = object_directory(repository)
        if self._looked_at is None or self._looked_at.repository != directory:
            self._looked_at = LooseObjects(directory)
        return self._looked_at

    def _open(self) -> pygit2.Repository:
        try:
            if not self._path.exists():
                raise UnreachableError(f"{self.shown} does not exist (is its file system mounted?)")
            return pygit2.Repository(str(self._path), RepositoryOpenFlag.NO_SEARCH)
        except PermissionError as fault:
            raise UnreachableError(f"{self.shown} may not be read by this user: {fault.strerror}") from fault
        except (pygit2.GitError, OSError) as fault:
            raise UnreachableError(f"{self.shown} is not a Git repository that can be read: {fault}") from fault


def _commit_in(repository: pygit2.Repository, commit: str) -> RemoteHead:
    require_whole(object_directory(repository), commit)
    found = repository.get(commit)
    if found is None:
        return RemoteHead(commit="", fault="it does not hold that commit")
    if not isinstance(found, pygit2.Commit):
        return RemoteHead(commit="", fault="that hash names something that is not a commit")
    return RemoteHead(commit=commit, oid=commit)


def _resolve(repository: pygit2.Repository, reference: pygit2.Reference) -> RemoteHead | None:
    """The commit behind a reference; None for a symbolic one that leads nowhere yet."""
    if reference.type == ReferenceType.SYMBOLIC:
        target = repository.references.get(str(reference.target))
        return None if target is None else _resolve(repository, target)
    require_whole(object_directory(repository), str(reference.target))
    try:
        commit = str(reference.peel(ObjectType.COMMIT).id)
    except pygit2.InvalidSpecError:
        return RemoteHead(commit="", fault="it names something that is not a commit")
    return RemoteHead(commit=commit, oid=str(reference.target), ref=reference.name)
