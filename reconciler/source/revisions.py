"""A commit of the mirror as the manifest files below one directory."""

from __future__ import annotations

import pygit2

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import is_plain, one_line
from reconciler.model.revision import Snapshot
from reconciler.source.commits import approvals_since, revision_of
from reconciler.source.errors import DamagedError
from reconciler.source.limits import SourceLimits
from reconciler.source.mirror import Mirror
from reconciler.source.trees import Listing, TreeReader


def read_revision(
    mirror: Mirror, commit: str, previous: str, known: Listing | None, parts: tuple[bytes, ...], limits: SourceLimits
) -> tuple[Snapshot, Listing]:
    """A commit's manifest files below the directory ``parts``; ``known`` is a listing whose trees the mirror holds.
    Approvals count in all commits since ``previous``.

    Raises:
        PathMissingError: the sub-path is not a directory of it.
        TooLargeError: it is over a limit.
        DamagedError: an object is missing or damaged.
    """
    repository = mirror.repository
    try:
        found = repository[commit].peel(pygit2.Commit)
        revision = revision_of(found, approvals_since(repository, commit, previous, limits.approval_commits))
    except (KeyError, ValueError, pygit2.GitError) as fault:
        raise DamagedError(f"the commit {commit} cannot be read from the local copy: {fault}") from fault
    reader = TreeReader(repository, limits)
    tree = reader.find(found.tree_id.raw, parts)
    prefix = "".join(f"{part.decode()}/" for part in parts)
    listing = reader.list(tree, prefix, known)
    refused = tuple(listing.refused.items())
    return Snapshot(revision=revision, files=listing.files, refused=refused), listing


def path_parts(path: str) -> tuple[bytes, ...]:
    """A sub-path as the names on the way to it.

    Raises:
        SourceError: it would leave the repository, or no tree can have it.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or not is_plain(path):
        raise SourceError(f"the path {one_line(path)!r} does not name a directory below the repository's root")
    return tuple(part.encode() for part in parts)
