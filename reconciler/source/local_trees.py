"""Manifests of ``REPO@REV[:PATH]``, for the commands that need no daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pygit2

from reconciler.loose_objects import CutOffError, LooseObjects, object_directory
from reconciler.model.errors import SourceError
from reconciler.model.plain_text import one_line
from reconciler.source.commits import revision_of
from reconciler.source.limits import DEFAULT_LIMITS, SourceLimits
from reconciler.source.local import Input, Reading, shown_path
from reconciler.source.mirror import prepare_libgit2
from reconciler.source.trees import TreeReader


def open_tree(repository: Path, revision: str, *, limits: SourceLimits = DEFAULT_LIMITS) -> Input:
    """The manifests of ``REVISION`` or ``REVISION:PATH`` in a repository, bare or not; a directory inside a work tree
    stands for that directory of the revision. Names are paths below the repository's root.

    Raises:
        SourceError: no repository, no such revision or path, or it is over a limit.
    """
    prepare_libgit2()
    spec, _, below = revision.partition(":")
    shown = f"{shown_path(str(repository))}@{shown_path(revision)}"
    try:
        found = pygit2.discover_repository(str(repository))
        if found is None:
            raise SourceError(f"{shown_path(str(repository))} is not in a Git repository")
        opened = pygit2.Repository(found)
        LooseObjects(object_directory(opened)).require_whole()
        commit = opened.revparse_single(spec or "HEAD").peel(pygit2.Commit)
    except CutOffError as fault:
        raise SourceError(f"{shown} cannot be read: {fault}; `git fsck` there tells more") from fault
    except (KeyError, ValueError, pygit2.GitError) as fault:
        raise SourceError(
            f"{shown}: there is no revision {shown_path(spec)!r} ({one_line(str(fault))}): "
            "name a branch, a tag or a commit of that repository"
        ) from fault
    inside = _inside(repository, opened) if not below else ()
    parts = inside + tuple(part.encode(errors="surrogateescape") for part in below.split("/") if part not in ("", "."))
    reader = TreeReader(opened, limits)
    listing = reader.list(
        reader.find(commit.tree_id.raw, parts),
        "".join(f"{part.decode(errors='backslashreplace')}/" for part in parts),
    )
    files = tuple((name, _blob_reader(opened, name, blob)) for name, blob in listing.files.items())
    return Input(files=files, refused=tuple(listing.refused.items()), revision=revision_of(commit))


def _blob_reader(repository: pygit2.Repository, name: str, blob: str) -> Reading:
    def read() -> bytes:
        try:
            return repository.odb.read(pygit2.Oid(hex=blob))[1]
        except (KeyError, pygit2.GitError) as fault:
            raise SourceError(f"{name} cannot be read from the repository: {one_line(str(fault))}") from fault

    return read


def _inside(directory: Path, repository: pygit2.Repository) -> tuple[bytes, ...]:
    """Where a directory lies in its repository's work tree; nowhere when it is the repository itself."""
    if not repository.workdir:
        return ()
    work_tree, wanted = Path(repository.workdir).resolve(), directory.resolve()
    if not wanted.is_relative_to(work_tree) or wanted.is_relative_to(Path(repository.path).resolve()):
        return ()
    return tuple(os.fsencode(part) for part in wanted.relative_to(work_tree).parts)
