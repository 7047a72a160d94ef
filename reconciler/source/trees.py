"""The manifest files of a tree, read from the object database and never from a checkout.

A revision that changes one file costs the trees on the way to it: equal tree ids are never opened
(libgit2's own diff walks whole trees).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pygit2

from reconciler.model.file_tree import Directory, FileTree
from reconciler.model.plain_text import escaped, is_plain
from reconciler.source.errors import DamagedError, PathMissingError, TooLargeError
from reconciler.source.limits import SourceLimits
from reconciler.source.manifest_names import MANIFEST_SUFFIXES
from reconciler.source.tree_objects import FILE, SUBMODULE, SYMLINK, TREE, TreeEntry, differing, in_order, parse_tree

_RAW_SUFFIXES = tuple(suffix.encode() for suffix in MANIFEST_SUFFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """``files`` maps a path below the repository's root to its blob's hash, in the order of paths; ``refused`` maps what
    was not read to the reason, sorted.
    """

    tree: bytes
    files: FileTree
    refused: Mapping[str, str]


class _Refusal(NamedTuple):
    """Something that is there and is not read."""

    shown: str
    reason: str


_Found = str | Directory | _Refusal | None
"""What an entry of a tree is for us: a file's blob, a directory, a refusal, or nothing to do with manifests."""


class TreeReader:
    """Lists trees of one repository. Not for several threads at a time."""

    def __init__(self, repository: pygit2.Repository, limits: SourceLimits) -> None:
        self._odb = repository.odb
        self._limits = limits
        self._visited = self._found = 0

    def raw(self, tree: bytes) -> bytes:
        """A tree object's bytes.

        Raises:
            DamagedError: the object is missing, damaged or no tree.
        """
        try:
            kind, data = self._odb.read(pygit2.Oid(raw=tree))
        except (KeyError, ValueError, pygit2.GitError) as fault:
            raise _damaged(tree, fault) from fault
        if kind != pygit2.enums.ObjectType.TREE:
            raise _damaged(tree, "it is not a tree")
        return data

    def entries(self, tree: bytes) -> list[TreeEntry]:
        """The entries of a tree.

        Raises:
            DamagedError: the object is missing, damaged or no tree.
        """
        try:
            return parse_tree(self.raw(tree))
        except ValueError as fault:
            raise _damaged(tree, fault) from fault

    def find(self, root: bytes, parts: tuple[bytes, ...]) -> bytes:
        """The tree at a path below ``root``.

        Raises:
            PathMissingError: there is no directory of that path.
            DamagedError: an object is missing or damaged.
        """
        tree = root
        for depth, part in enumerate(parts):
            shown = escaped(b"/".join(parts[: depth + 1]).decode(errors="surrogateescape"))
            entry = next((entry for entry in self.entries(tree) if entry.name == part), None)
            if entry is None:
                raise PathMissingError(f"there is no directory {shown!r}")
            if entry.kind != TREE:
                raise PathMissingError(f"{shown!r} is {_kind_name(entry.kind)}, not a directory")
            tree = entry.oid
        return tree

    def list(self, tree: bytes, prefix: str, known: Listing | None = None) -> Listing:
        """The manifest files below ``tree``, their paths beginning with ``prefix`` (empty, or ending in ``/``).

        ``known`` is a listing made before under the same prefix; what it shares with ``tree`` is taken from it.

        Raises:
            TooLargeError: more files or entries than the limits allow.
            DamagedError: an object is missing or damaged.
        """
        self._visited = self._found = 0
        root = self._directory(tree, prefix, 0, known.files.root if known else None)
        if root.files + root.refusals > self._limits.files:
            raise self._too_many_files()
        files = FileTree(root, prefix)
        return Listing(tree=tree, files=files, refused=files.refused())

    def _directory(self, tree: bytes, prefix: str, depth: int, known: Directory | None) -> Directory:
        """The directory at a path (``prefix``); ``known`` is what stood there before."""
        if known is not None and known.tree == tree:
            return known
        data = self.raw(tree)
        try:
            changes = differing(known.raw, data) if known and known.plain else None
            if known and changes:
                changed = self._changed(known, tree, data, *changes, prefix, depth)
                if changed is not None:
                    return changed
            return self._whole(tree, data, prefix, depth, known)
        except ValueError as fault:
            raise _damaged(tree, fault) from fault

    def _whole(self, tree: bytes, raw: bytes, prefix: str, depth: int, known: Directory | None) -> Directory:
        """A directory from all entries of its tree. Of a name that stands there twice the last counts."""
        found = parse_tree(raw)
        self._visit(len(found))
        before = known.entries if known else {}
        entries: dict[str, str | Directory] = {}
        refused: dict[str, tuple[str, str]] = {}
        for entry in found:
            _put(self._read(entry, prefix, depth, before), _text(entry.name), entries, refused)
        plain = in_order(found)
        if not plain:
            entries = dict(sorted(entries.items(), key=_order))
        files, refusals = _counts(entries, entries)
        return Directory(
            tree=tree,
            raw=raw,
            entries=entries,
            refused=refused,
            files=files,
            refusals=refusals + len(refused),
            plain=plain,
        )

    def _changed(
        self,
        known: Directory,
        tree: bytes,
        raw: bytes,
        gone: Sequence[TreeEntry],
        came: Sequence[TreeEntry],
        prefix: str,
        depth: int,
    ) -> Directory | None:
        """``known`` with what went and what came; None when a name then stands there twice."""
        self._visit(len(came))
        entries, refused = dict(known.entries), dict(known.refused)
        old, new = {_text(entry.name) for entry in gone}, {_text(entry.name) for entry in came}
        if any(name in entries or name in refused for name in new - old):
            return None
        for name in old - new:
            entries.pop(name, None)
            refused.pop(name, None)
        added: list[tuple[str, str | Directory]] = []
        for entry in came:
            found, name = self._read(entry, prefix, depth, known.entries), _text(entry.name)
            if isinstance(found, str | Directory) and type(entries.get(name)) is type(found):
                entries[name] = found  # it stays where it is in the order
            else:
                fresh: dict[str, str | Directory] = {}
                entries.pop(name, None)
                _put(found, name, fresh, refused)
                added += fresh.items()
        if added:
            ordered = list(entries.items())
            for one in added:
                insort(ordered, one, key=_order)
            entries = dict(ordered)
        changed = tuple(old | new)
        before, after = _counts(known.entries, changed), _counts(entries, changed)
        return Directory(
            tree=tree,
            raw=raw,
            entries=entries,
            refused=refused,
            files=known.files + after[0] - before[0],
            refusals=known.refusals + after[1] - before[1] + len(refused) - len(known.refused),
            since=known.tree,
            changed=changed,
        )

    def _read(self, entry: TreeEntry, prefix: str, depth: int, known: Mapping[str, str | Directory]) -> _Found:
        """What one entry stands for."""
        hidden = entry.name.startswith(b".") and entry.name not in (b".", b"..")
        if hidden or (entry.kind == FILE and not entry.name.lower().endswith(_RAW_SUFFIXES)):
            return None
        if fault := self._fault_of_name(entry.name, prefix, depth):
            return self._refuse(escaped(_text(entry.name)), fault)
        name = entry.name.decode()
        if entry.kind == TREE:
            before = known.get(name)
            return self._directory(
                entry.oid, f"{prefix}{name}/", depth + 1, before if isinstance(before, Directory) else None
            )
        if entry.kind != FILE:
            return self._refuse(name, f"it is {_kind_name(entry.kind)}, and gitvirt follows none")
        if (size := self._size(entry.oid)) > self._limits.blob_bytes:
            return self._refuse(name, f"it has {size} bytes, over the limit of {self._limits.blob_bytes}")
        self._count()
        return entry.oid.hex()

    def _refuse(self, shown: str, reason: str) -> _Refusal:
        self._count()
        return _Refusal(shown, reason)

    def _count(self) -> None:
        self._found += 1
        if self._found > self._limits.files:
            raise self._too_many_files()

    def _visit(self, entries: int) -> None:
        self._visited += entries
        if self._visited > 4 * self._limits.files:
            raise TooLargeError(
                f"more than {4 * self._limits.files} files and directories: point the source at a sub-path"
            )

    def _too_many_files(self) -> TooLargeError:
        return TooLargeError(
            f"more than {self._limits.files} manifest files: point the source at a sub-path, "
            "or put several documents into a file"
        )

    def _size(self, oid: bytes) -> int:
        try:
            return self._odb.read_header(pygit2.Oid(raw=oid))[1]
        except (KeyError, pygit2.GitError) as fault:
            raise DamagedError(f"the file {oid.hex()} cannot be read from the local copy: {fault}") from fault

    def _fault_of_name(self, name: bytes, prefix: str, depth: int) -> str:
        """Why an entry of that name is not read; empty when it may be."""
        if name in (b"", b".", b"..") or b"/" in name:
            return "its name would escape its directory"
        try:
            text = name.decode()
        except UnicodeDecodeError:
            return "its name is not UTF-8"
        if not is_plain(text):
            return "its name holds control characters"
        if len(name) > self._limits.name_bytes or len(prefix.encode()) + len(name) > self._limits.path_bytes:
            return f"its name or path is too long (over {self._limits.name_bytes} or {self._limits.path_bytes} bytes)"
        if depth > self._limits.depth:
            return f"it lies more than {self._limits.depth} directories deep"
        return ""


def _put(found: _Found, name: str, entries: dict[str, str | Directory], refused: dict[str, tuple[str, str]]) -> None:
    """Enter what an entry stands for in the place of another of its name."""
    entries.pop(name, None)
    refused.pop(name, None)
    if isinstance(found, _Refusal):
        refused[name] = found
    elif found is not None:
        entries[name] = found


def _text(name: bytes) -> str:
    """A name as text; of bytes that are not UTF-8 one that no other name has."""
    return name.decode(errors="surrogateescape")


def _order(item: tuple[str, str | Directory]) -> str:
    """What the entries of a directory are sorted by, so that whole paths are sorted."""
    return item[0] if isinstance(item[1], str) else item[0] + "/"


def _counts(entries: Mapping[str, str | Directory], names: Iterable[str]) -> tuple[int, int]:
    """How many files, and how many refusals within directories, stand below these names."""
    files = refusals = 0
    for name in names:
        entry = entries.get(name)
        if isinstance(entry, Directory):
            files += entry.files
            refusals += entry.refusals
        elif entry is not None:
            files += 1
    return files, refusals


def _damaged(tree: bytes, fault: object) -> DamagedError:
    return DamagedError(f"the tree {tree.hex()} cannot be read from the local copy: {fault}")


def _kind_name(kind: int) -> str:
    names = {TREE: "a directory", SYMLINK: "a symbolic link", SUBMODULE: "a submodule", FILE: "a file"}
    return names.get(kind, f"an entry of unknown mode {kind:o}")
