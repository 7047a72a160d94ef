"""History that comes from a copy of the journal elsewhere: brought into a repository beside it, then taken over in one step.

Beside it, because objects without a branch that leads to them are what a damaged journal looks like.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pygit2

from reconciler.journal.store import BRANCH, GITVIRT, prepare_libgit2
from reconciler.model.errors import JournalError


def make_draft(draft: Path, journal: Path, head: str) -> None:
    """An empty bare repository that knows the journal's objects, so that only what is not there has to come.

    Raises:
        OSError, pygit2.GitError: it cannot be made.
    """
    prepare_libgit2()
    drop_draft(draft)
    repository = pygit2.init_repository(str(draft), bare=True, initial_head="main")
    draft.chmod(0o700)
    if head:
        (draft / "objects" / "info").mkdir(exist_ok=True)
        (draft / "objects" / "info" / "alternates").write_text(f"{(journal / 'objects').resolve()}\n")
        repository = pygit2.Repository(str(draft), pygit2.enums.RepositoryOpenFlag.BARE)
        repository.references.create(BRANCH, pygit2.Oid(hex=head))


def drop_draft(draft: Path) -> None:
    """What was left of an earlier attempt goes."""
    shutil.rmtree(draft, ignore_errors=True)


def refuse_strangers(draft: Path, commit: str, shown: str) -> None:
    """Only what gitvirt committed is a journal: a wrong branch name must not make anything else one.

    Raises:
        JournalError: it is something else.
        pygit2.GitError, KeyError, ValueError: it cannot be read.
    """
    found = pygit2.Repository(str(draft), pygit2.enums.RepositoryOpenFlag.BARE)[commit].peel(pygit2.Commit)
    if (found.committer.name, found.committer.email) != GITVIRT:
        raise JournalError(
            f"{shown} is no journal: its newest commit {commit[:12]} is not gitvirt's. Nothing was pushed; name another branch with "
            "journal.push.branch"
        )


def move_objects(draft: Path, journal: Path) -> None:
    """Every object of the draft into the journal; the index of a pack last, because a pack without one is not looked at.

    Raises:
        OSError: the disk refuses.
    """
    found = [path for path in (draft / "objects").rglob("*") if path.is_file() and path.parent.name != "info"]
    for path in sorted(found, key=lambda path: path.suffix == ".idx"):
        place = journal / "objects" / path.relative_to(draft / "objects")
        place.parent.mkdir(exist_ok=True)
        path.replace(place)
    handle = os.open(journal / "objects" / "pack", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
