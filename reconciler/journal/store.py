"""The journal's repository: one branch, one writer, commits that are whole or not there."""

from __future__ import annotations

import errno
import heapq
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pygit2
from pygit2.enums import FileMode, ObjectType

from reconciler.journal.packing import LOOSE_LIMIT
from reconciler.locked_file import locked_file
from reconciler.loose_objects import LooseObjects, is_cut_off, require_whole
from reconciler.model.errors import JournalError
from reconciler.model.plain_text import one_line

BRANCH = "refs/heads/main"
GIT_FAULTS = (pygit2.GitError, KeyError, ValueError, OSError)
"""What pygit2 raises for anything wrong with a repository."""
_LOCK_WAIT_S = 10.0
_EMAIL = "gitvirt@localhost"
Person = tuple[str, str]
"""Name and e-mail, any text."""
GITVIRT: Person = ("gitvirt", _EMAIL)


def prepare_libgit2() -> None:
    """Set what libgit2 only has for the whole process: flush objects and refs to disk; open the journal also when the
    daemon's user is another one (file rights decide who may).
    """
    pygit2.settings.enable_fsync_gitdir(True)
    pygit2.settings.owner_validation = False


class JournalStore:
    """An opened journal. Not for several threads at a time."""

    def __init__(self, path: Path) -> None:
        """Open the repository at ``path``, making it if there is none.

        Raises:
            pygit2.GitError, OSError: it cannot be opened or made.
            CutOffError: an object in it must not be read.
        """
        prepare_libgit2()
        self.path = path
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            _make(path)
        LooseObjects(path).require_whole()
        self.repository = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.BARE)
        _mend_head(path)
        self._loose = estimate_loose(path)

    def holds(self, paths: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Each path, and whether the newest tree has a file there.

        Raises:
            KeyError, ValueError, pygit2.GitError: the journal is damaged.
        """
        head = self.head()
        root = head.tree if head is not None else None
        # A directory of thousands is opened once, not for each of its files.
        opened: dict[str, pygit2.Object | None] = {"": root}
        for path in paths:
            directory, _, name = path.rpartition("/")
            if directory not in opened:
                opened[directory] = root[directory] if root is not None and directory in root else None
            tree = opened[directory]
            yield path, isinstance(tree, pygit2.Tree) and name in tree

    def head(self) -> pygit2.Commit | None:
        """The newest commit, None in a journal without any.

        Raises:
            KeyError, ValueError, pygit2.GitError: the journal is damaged.
        """
        reference = self.repository.references.get(BRANCH)
        if reference is None:
            if any((self.path / "objects").glob("??/*")) or any((self.path / "objects" / "pack").glob("*.pack")):
                raise KeyError(f"{BRANCH} is gone, though there are objects")
            return None
        require_whole(self.path, str(reference.target))
        return reference.peel(pygit2.Commit)

    def file(self, name: str) -> bytes | None:
        """A file of the newest tree's root; None when there is none."""
        head = self.head()
        if head is None or name not in head.tree:
            return None
        return bytes(self.repository[head.tree[name].id].read_raw())

    def commit(self, files: Mapping[str, bytes | None], message: str, author: Person, at: datetime) -> str:
        """Add one commit: ``files`` maps paths to their new bytes, None removes one; all others stay.

        Objects are on disk before the branch moves, so a crash leaves the old head or the new one.

        Raises:
            KeyError, ValueError, pygit2.GitError, OSError: nothing was recorded.
        """
        head = self.head()
        nested: dict[str, object] = {}
        for path, data in files.items():
            *directories, name = path.split("/")
            level = nested
            for directory in directories:
                level = level.setdefault(directory, {})  # type: ignore[assignment]  # no name is a file and a directory
            level[name] = data
        tree = self._tree(head.tree_id if head else None, nested) or self.repository.TreeBuilder().write()
        seconds = int(at.timestamp())
        commit = self.repository.create_commit(
            BRANCH,
            _signature(author, seconds),
            _signature(GITVIRT, seconds),
            message.encode("utf-8", "replace").decode(),
            tree,
            [head.id] if head else [],
        )
        self._expect_at(commit)
        self._loose += 2
        return str(commit)

    def take(self, commit: str) -> None:
        """Let a journal without any commit go on from one whose objects are here.

        Raises:
            ValueError, pygit2.GitError, OSError: it does not.
        """
        oid = pygit2.Oid(hex=commit)
        self.repository.references.create(BRANCH, oid)
        self._expect_at(oid)

    def join(self, commit: str, message: str, at: datetime) -> str:
        """Add a commit that comes after the newest one and after another, whose objects are here; its files are those of the newest.

        Raises:
            KeyError, ValueError, pygit2.GitError, OSError: nothing was recorded.
        """
        head = self.head()
        if head is None:
            raise KeyError(f"{BRANCH} is gone")
        signature = _signature(GITVIRT, int(at.timestamp()))
        parents = [head.id, pygit2.Oid(hex=commit)]
        made = self.repository.create_commit(BRANCH, signature, signature, message, head.tree_id, parents)
        self._expect_at(made)
        return str(made)

    def _expect_at(self, commit: pygit2.Oid) -> None:
        # libgit2 1.9 answers with a commit, too, when a full disk kept the branch where it was.
        moved = self.repository.references.get(BRANCH)
        if (
            moved is None
            or moved.target != commit
            or is_cut_off(self.path / "objects" / str(commit)[:2] / str(commit)[2:])
        ):
            raise OSError(errno.ENOSPC, "the commit was not stored: No space left on device, in all likelihood")

    def _tree(self, old: pygit2.Oid | None, changes: Mapping[str, object]) -> pygit2.Oid | None:
        """The tree ``old`` with changes; None when nothing is left in it. Trees without a change are not opened."""
        if old is not None:
            require_whole(self.path, str(old))
        tree = self.repository[old].peel(pygit2.Tree) if old else None
        builder = self.repository.TreeBuilder(tree) if tree else self.repository.TreeBuilder()
        for name, change in changes.items():
            before = builder.get(name)
            if isinstance(change, Mapping):
                # A file in the place of a directory is not ours: it gives way.
                is_tree = before is not None and before.type == ObjectType.TREE
                below = self._tree(before.id if is_tree else None, change)
                mode = FileMode.TREE
            else:
                below = self.repository.create_blob(change) if isinstance(change, bytes) else None
                mode = FileMode.BLOB
                self._loose += 1
            if below is not None:
                builder.insert(name, below, mode)
            elif before is not None:
                builder.remove(name)
        self._loose += 1
        return builder.write() if len(builder) else None

    def packing_is_due(self) -> bool:
        """Whether many objects have gathered since the last packing; says so once."""
        if self._loose < LOOSE_LIMIT:
            return False
        self._loose = 0
        return True

    def verify(self) -> str:
        """Read what the next commit builds on: the head and all of its trees. The fault found, or nothing."""
        try:
            head = self.head()
            pending = [head.tree_id] if head else []
            while pending:
                require_whole(self.path, str(pending[-1]))
                for entry in self.repository[pending.pop()].peel(pygit2.Tree):
                    if entry.type == ObjectType.TREE:
                        pending.append(entry.id)
                    elif entry.id not in self.repository.odb:
                        return f"{entry.id} is missing"
        except GIT_FAULTS as fault:
            return one_line(str(fault), 200) or "it cannot be read"
        return ""


def newest_first(repository: pygit2.Repository) -> Iterator[pygit2.Commit]:
    """Every commit of a journal, read one by one. Where two histories were joined, by the time that stands in them; a commit never
    before one that came after it in its own.

    Raises:
        KeyError, ValueError, pygit2.GitError: one cannot be read; what is newer was given.
    """
    reference = repository.references.get(BRANCH)
    pending = [_entry(reference.peel(pygit2.Commit))] if reference else []
    seen: set[pygit2.Oid] = set()
    while pending:
        commit = heapq.heappop(pending)[2]
        yield commit
        is_one_line = not pending and len(commit.parent_ids) <= 1
        for parent in commit.parent_ids:
            if is_one_line or parent not in seen:
                seen |= set() if is_one_line else {parent}
                heapq.heappush(pending, _entry(repository[parent].peel(pygit2.Commit)))


def _entry(commit: pygit2.Commit) -> tuple[int, str, pygit2.Commit]:
    return -commit.commit_time, str(commit.id), commit


def _make(path: Path) -> None:
    """An empty journal, under its name only when it is whole: a killed process leaves no half one to be taken for damaged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    pygit2.init_repository(str(draft), bare=True, initial_head="main")
    draft.chmod(0o700)
    draft.replace(path)


def _mend_head(path: Path) -> None:
    """Say which branch is the journal's where that cannot be read: libgit2 never asks, plain git opens nothing without it."""
    head, said = path / "HEAD", f"ref: {BRANCH}\n".encode()
    if head.read_bytes() != said:
        head.write_bytes(said)


def _signature(person: Person, seconds: int) -> pygit2.Signature:
    """A Git identity from any text: no line breaks, no angle brackets, never empty."""
    name = one_line(person[0].translate({ord("<"): None, ord(">"): None}), 100).strip(" .,:;\"'\\")
    email = one_line(person[1].translate({ord("<"): None, ord(">"): None}), 100).replace(" ", "").strip(".,:;\"'\\")
    return pygit2.Signature(name or "unknown", email or "unknown", seconds, 0, "utf-8")


def estimate_loose(path: Path) -> int:
    """About how many loose objects there are, from one of their 256 directories, if that one has any."""
    try:
        return 256 * sum(1 for _ in (path / "objects" / "17").iterdir())
    except OSError:
        return 0


@contextmanager
def one_writer(lock: Path, repository: Path) -> Iterator[None]:
    """Be the only process that writes the journal; lock files that a killed writer left in it are removed.

    Raises:
        JournalError: another process holds it for longer than ten seconds.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locked_file(lock, _LOCK_WAIT_S, JournalError(f"another process writes the journal (it holds {lock})")):
        for left in [*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")]:
            left.unlink(missing_ok=True)
        yield
