"""The manifest files of a revision, as a tree of directories that revisions share.

A revision that changes one file brings new directories on the way to it and has all others in common with the one before,
so both what it costs to keep it and to find what it changed follow the change.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Directory:
    """One directory as a Git tree object says it is; never written to. ``tree`` is the object's id, ``raw`` its bytes.

    ``entries`` maps a name to a file's blob hash or to a directory, in the order of whole paths (a directory sorts as if its
    name ended in ``/``). ``refused`` maps the name of what was not read to (name to show, reason). ``files`` and
    ``refusals`` count what lies below. ``plain`` says that the tree object has each name once and in order. When it was
    made from another tree of the same path, ``since`` is that one's id and ``changed`` are the names in which they differ.
    """

    tree: bytes
    raw: bytes
    entries: Mapping[str, str | Directory]
    refused: Mapping[str, tuple[str, str]]
    files: int
    refusals: int
    plain: bool = True
    since: bytes = b""
    changed: tuple[str, ...] = ()


class FileChange(NamedTuple):
    """A path, and its blob's hash before and after; None where there is no such file."""

    path: str
    before: str | None
    after: str | None


class FileTree(Mapping[str, str]):
    """Path below the repository's root → blob's hash, in the order of paths. ``prefix`` is the path of ``root``, empty or
    ending in ``/``.
    """

    __slots__ = ("prefix", "root")

    def __init__(self, root: Directory, prefix: str) -> None:
        self.root = root
        self.prefix = prefix

    def __getitem__(self, path: str) -> str:
        if not path.startswith(self.prefix):
            raise KeyError(path)
        found: str | Directory | None = self.root
        for part in path[len(self.prefix) :].split("/"):
            found = found.entries.get(part) if isinstance(found, Directory) else None
        if not isinstance(found, str):
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return (path for path, _ in _walk(self.root, self.prefix))

    def __len__(self) -> int:
        return self.root.files

    def items(self) -> ItemsView[str, str]:
        """As of every mapping; one walk."""
        return _Items(self)

    def refused(self) -> dict[str, str]:
        """Path to show → why it was not read, sorted."""
        return dict(sorted(_refused(self.root, self.prefix)))


class _Items(ItemsView[str, str]):
    def __init__(self, tree: FileTree) -> None:
        super().__init__(tree)
        self._tree = tree

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return _walk(self._tree.root, self._tree.prefix)


def changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[FileChange]:
    """The files in which two revisions differ, in no particular order."""
    if isinstance(old, FileTree) and isinstance(new, FileTree) and old.prefix == new.prefix:
        yield from _changes(old.root, new.root, new.prefix)
        return
    for path in old.keys() | new.keys():
        if old.get(path) != new.get(path):
            yield FileChange(path, old.get(path), new.get(path))


def _walk(directory: Directory, prefix: str) -> Iterator[tuple[str, str]]:
    for name, entry in directory.entries.items():
        if isinstance(entry, str):
            yield prefix + name, entry
        else:
            yield from _walk(entry, f"{prefix}{name}/")


def _refused(directory: Directory, prefix: str) -> Iterator[tuple[str, str]]:
    if not directory.refusals:
        return
    for shown, reason in directory.refused.values():
        yield prefix + shown, reason
    for name, entry in directory.entries.items():
        if isinstance(entry, Directory):
            yield from _refused(entry, f"{prefix}{name}/")


def _changes(old: Directory, new: Directory, prefix: str) -> Iterator[FileChange]:
    if old.tree == new.tree:
        return
    names = new.changed if new.since == old.tree else _differing(old, new)
    for name in names:
        before, after = old.entries.get(name), new.entries.get(name)
        path = prefix + name
        if isinstance(before, Directory) and isinstance(after, Directory):
            yield from _changes(before, after, f"{path}/")
            continue
        if isinstance(before, Directory):
            yield from (FileChange(one, blob, None) for one, blob in _walk(before, f"{path}/"))
        if isinstance(after, Directory):
            yield from (FileChange(one, None, blob) for one, blob in _walk(after, f"{path}/"))
        file_before, file_after = _file(before), _file(after)
        if file_before != file_after:
            yield FileChange(path, file_before, file_after)


def _differing(old: Directory, new: Directory) -> set[str]:
    return {name for name, _ in old.entries.items() ^ new.entries.items()}


def _file(entry: str | Directory | None) -> str | None:
    return entry if isinstance(entry, str) else None
