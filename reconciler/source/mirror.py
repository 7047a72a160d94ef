"""The local copy of a remote: a bare repository that only gitvirt writes, and the refs that say what is accepted.

- ``refs/gitvirt/fetched``: what the remote's ref stood at when something was last fetched;
- ``refs/gitvirt/accepted``: the revision that is enforced; moved atomically, and it keeps its objects alive;
- ``refs/gitvirt/confirmed``: the last one of these that was read as a whole; what a refused one gives way to;
- ``refs/gitvirt/previous``: what was confirmed before it, so that approvals in between are found after a restart too.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2

from reconciler.locked_file import locked_file
from reconciler.model.errors import SourceError
from reconciler.source.errors import DamagedError

FETCHED = "refs/gitvirt/fetched"
ACCEPTED = "refs/gitvirt/accepted"
CONFIRMED = "refs/gitvirt/confirmed"
PREVIOUS = "refs/gitvirt/previous"
_HASH = re.compile(rb"[0-9a-f]{40}")


def prepare_libgit2() -> None:
    """Set what libgit2 only has for the whole process.

    Objects and refs are flushed to disk. Configuration of the user and the machine is left out: it could rewrite URLs.
    Repositories of other users may be read: see docs/adr/0003-git-mirror.md.
    """
    pygit2.settings.enable_fsync_gitdir(True)
    pygit2.settings.owner_validation = False
    for level in (pygit2.enums.ConfigLevel.SYSTEM, pygit2.enums.ConfigLevel.XDG, pygit2.enums.ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""


class Mirror:
    """An opened mirror. Not for several threads at a time; open another for another thread."""

    def __init__(self, path: Path) -> None:
        """Open the mirror at ``path``, or where the link ``path`` leads.

        Raises:
            DamagedError: it is no repository, or its refs cannot be read.
        """
        self.path = path.resolve()
        try:
            self.repository = pygit2.Repository(str(self.path), pygit2.enums.RepositoryOpenFlag.BARE)
            self.read(ACCEPTED)
        except (pygit2.GitError, ValueError, OSError) as fault:
            raise DamagedError(f"the local copy {path} cannot be opened: {fault}") from fault

    @classmethod
    def create(cls, place: Path) -> Mirror:
        """Make an empty mirror that will stand at ``place`` once it is `put_in_place`, and remove what unfinished ones
        left.
        """
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        current = place.resolve()
        for left in place.parent.glob(f"{place.name}.mirror-*"):
            if left != current:
                shutil.rmtree(left, ignore_errors=True)
        # Never a name used before: libgit2 keeps packs open by path in the whole process, damaged ones too.
        path = place.with_name(f"{place.name}.mirror-{uuid.uuid4().hex[:12]}")
        pygit2.init_repository(str(path), bare=True)
        path.chmod(0o700)
        return cls(path)

    def read(self, ref: str) -> str:
        """The commit a ref of the mirror stands at; empty when there is none."""
        reference = self.repository.references.get(ref)
        return "" if reference is None else str(reference.target)

    def write(self, ref: str, commit: str) -> None:
        """Move a ref, atomically and durably."""
        self.repository.references.create(ref, pygit2.Oid(hex=commit), force=True)
        # libgit2 1.9 does not say so when a full disk kept the ref where it was.
        if self.read(ref) != commit:
            raise OSError(errno.ENOSPC, f"{ref} could not be moved: No space left on device, in all likelihood")

    def delete(self, ref: str) -> None:
        """Remove a ref that is there."""
        self.repository.references.delete(ref)

    def holds(self, commit: str) -> bool:
        """Whether the commit is here. A pack arrives whole, so its history is too."""
        return self.repository.odb.exists(pygit2.Oid(hex=commit))

    def packs(self) -> int:
        """How many pack files there are."""
        return sum(1 for _ in (self.path / "objects" / "pack").glob("*.pack"))

    def descends(self, head: str, ancestor: str) -> bool:
        """Whether ``head`` is ``ancestor`` or comes after it.

        Raises:
            DamagedError: the history between them cannot be read.
        """
        if head == ancestor:
            return True
        try:
            return self.repository.descendant_of(pygit2.Oid(hex=head), pygit2.Oid(hex=ancestor))
        except (pygit2.GitError, KeyError, ValueError) as fault:
            raise DamagedError(f"the history of {head[:12]} cannot be read from the local copy: {fault}") from fault


def ref_by_file(path: Path, ref: str) -> str:
    """A ref of a mirror that cannot be opened; empty when that cannot be told either."""
    try:
        found = _HASH.match((path / ref).read_bytes())
    except OSError:
        return ""
    return found.group().decode() if found else ""


def put_in_place(mirror: Mirror, place: Path, aside: Path | None) -> None:
    """Let the link ``place`` lead to a mirror, in one step; what it led to before goes to ``aside``, or away."""
    before = place.resolve() if place.is_symlink() else None
    link = place.with_name(f"{place.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(mirror.path.name)
    link.replace(place)
    _flush_directory(place.parent)
    if before is None or not before.exists():
        return
    if aside is None:
        shutil.rmtree(before, ignore_errors=True)
    else:
        before.rename(aside)


def free_name(path: Path, suffix: str) -> Path:
    """``PATH.SUFFIX``, or with ``-2``, ``-3``, … the first that is free."""
    wanted = path.with_name(f"{path.name}.{suffix}")
    count = 1
    while wanted.exists():
        count += 1
        wanted = path.with_name(f"{path.name}.{suffix}-{count}")
    return wanted


@contextmanager
def exclusive(lock: Path, wait_s: float) -> Iterator[None]:
    """Be the only process that writes a mirror.

    Raises:
        SourceError: another one has not finished after ``wait_s`` seconds.
    """
    lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    refusal = SourceError(f"another gitvirt process has been fetching for {wait_s:g} s (it holds {lock})")
    with locked_file(lock, wait_s, refusal):
        yield


def drop_stale_locks(path: Path) -> None:
    """Remove lock files that a killed writer left. Only under `exclusive`, where nobody can own them."""
    for lock in [*path.glob("*.lock"), *(path / "refs").rglob("*.lock")]:
        lock.unlink(missing_ok=True)


def _flush_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
