"""The manifest files of a tree, read from the object database and never from a checkout.

A revision that changes one file costs the trees on the way to it: equal tree ids are never opened
(libgit2's own diff walks whole trees).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pygit2

from reconciler.model.plain_text import escaped, is_plain
from reconciler.source.errors import DamagedError, PathMissingError, TooLargeError
from reconciler.source.limits import SourceLimits

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
_TREE, _SYMLINK, _SUBMODULE, _FILE = 0o040000, 0o120000, 0o160000, 0o100000
_KIND_MASK = 0o170000
_ID_BYTES = 20


class TreeEntry(NamedTuple):
    """One entry of a tree: its mode, its name as stored, and the 20 bytes of its object's id."""

    mode: int
    name: bytes
    oid: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """``files`` maps a path below the repository's root to its blob's hash, sorted by path; ``refused`` maps what was
    not read to the reason. Neither is written to.
    """

    tree: bytes
    files: dict[str, str]
    refused: dict[str, str]


def is_manifest(name: str) -> bool:
    """Whether a file of that name is read: ``*.yaml``, ``*.yml``, ``*.json``, but no hidden file."""
    return name.lower().endswith(MANIFEST_SUFFIXES) and not name.startswith(".")


def parse_tree(data: bytes) -> list[TreeEntry]:
    """The entries of a raw tree object.

    Raises:
        ValueError: the bytes are not a tree.
    """
    entries, at, end = [], 0, len(data)
    while at < end:
        space = data.index(b" ", at, at + 8)
        nul = data.index(b"\0", space)
        oid = data[nul + 1 : nul + 1 + _ID_BYTES]
        if len(oid) != _ID_BYTES:
            raise ValueError("a tree entry is cut off")
        entries.append(TreeEntry(int(data[at:space], 8), data[space + 1 : nul], oid))
        at = nul + 1 + _ID_BYTES
    return entries


class _Found(NamedTuple):
    """A file (``blob`` set) or something refused (``reason`` set)."""

    path: str
    blob: str
    reason: str


class TreeReader:
    """Lists trees of one repository. Not for several threads at a time."""

    def __init__(self, repository: pygit2.Repository, limits: SourceLimits) -> None:
        self._odb = repository.odb
        self._limits = limits
        self._visited = 0

    def entries(self, tree: bytes) -> list[TreeEntry]:
        """The entries of a tree.

        Raises:
            DamagedError: the object is missing, damaged or no tree.
        """
        try:
            kind, data = self._odb.read(pygit2.Oid(raw=tree))
            if kind != pygit2.enums.ObjectType.TREE:
                raise ValueError("it is not a tree")
            return parse_tree(data)
        except (KeyError, ValueError, pygit2.GitError) as fault:
            raise DamagedError(f"the tree {tree.hex()} cannot be read from the local copy: {fault}") from fault

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
            if entry.mode & _KIND_MASK != _TREE:
                raise PathMissingError(f"{shown!r} is {_kind_name(entry.mode)}, not a directory")
            tree = entry.oid
        return tree

    def list(self, tree: bytes, prefix: str, known: Listing | None = None) -> Listing:
        """The manifest files below ``tree``, their paths beginning with ``prefix`` (empty, or ending in ``/``).

        ``known`` is a listing made before under the same prefix; what it shares with ``tree`` is taken from it.

        Raises:
            TooLargeError: more files or entries than the limits allow.
            DamagedError: an object is missing or damaged.
        """
        self._visited = 0
        files: dict[str, str] = {}
        refused: dict[str, str] = {}
        added = True
        if known is None:
            for found in self._walk(tree, prefix, 0):
                self._store(found, files, refused)
        else:
            files, refused, added = dict(known.files), dict(known.refused), False
            for gone, found in self._changes(known.tree, tree, prefix, 0):
                if gone:
                    files.pop(found.path, None)
                    refused.pop(found.path, None)
                else:
                    added = True
                    self._store(found, files, refused)
        if added:
            files = dict(sorted(files.items()))
        return Listing(tree=tree, files=files, refused=dict(sorted(refused.items())))

    def _store(self, found: _Found, files: dict[str, str], refused: dict[str, str]) -> None:
        if found.reason:
            refused[found.path] = found.reason
        else:
            files[found.path] = found.blob
        if len(files) + len(refused) > self._limits.files:
            raise TooLargeError(
                f"more than {self._limits.files} manifest files: point the source at a sub-path, "
                "or put several documents into a file"
            )

    def _changes(self, old: bytes, new: bytes, prefix: str, depth: int) -> Iterator[tuple[bool, _Found]]:
        """(True, what went away) and then (False, what came), tree by tree; equal ids are not looked into."""
        if old == new:
            return
        before = {entry.name: entry for entry in self.entries(old)}
        after = {entry.name: entry for entry in self.entries(new)}
        for name, entry in before.items():
            other = after.get(name)
            if entry != other and not (other and _both_trees(entry, other)):
                yield from ((True, found) for found in self._emit(entry, prefix, depth, sized=False))
        for name, entry in after.items():
            other = before.get(name)
            if entry == other:
                continue
            if other and _both_trees(entry, other) and not self._fault_of_name(entry.name, prefix, depth):
                if not name.startswith(b"."):
                    yield from self._changes(other.oid, entry.oid, f"{prefix}{name.decode()}/", depth + 1)
            else:
                yield from ((False, found) for found in self._emit(entry, prefix, depth))

    def _walk(self, tree: bytes, prefix: str, depth: int, sized: bool = True) -> Iterator[_Found]:
        for entry in self.entries(tree):
            self._visited += 1
            if self._visited > 4 * self._limits.files:
                raise TooLargeError(
                    f"more than {4 * self._limits.files} files and directories: point the source at a sub-path"
                )
            yield from self._emit(entry, prefix, depth, sized)

    def _emit(self, entry: TreeEntry, prefix: str, depth: int, sized: bool = True) -> Iterator[_Found]:
        """What one entry contributes: nothing, one file, one refusal, or a whole sub-tree."""
        kind = entry.mode & _KIND_MASK
        hidden = entry.name.startswith(b".") and entry.name not in (b".", b"..")
        if hidden or (kind == _FILE and not entry.name.lower().endswith(tuple(s.encode() for s in MANIFEST_SUFFIXES))):
            return
        if fault := self._fault_of_name(entry.name, prefix, depth):
            yield _Found(prefix + escaped(entry.name.decode(errors="surrogateescape")), "", fault)
            return
        path = prefix + entry.name.decode()
        if kind == _TREE:
            yield from self._walk(entry.oid, path + "/", depth + 1, sized)
        elif kind != _FILE:
            yield _Found(path, "", f"it is {_kind_name(entry.mode)}, and gitvirt follows none")
        elif sized and (size := self._size(entry.oid)) > self._limits.blob_bytes:
            yield _Found(path, "", f"it has {size} bytes, over the limit of {self._limits.blob_bytes}")
        else:
            yield _Found(path, entry.oid.hex(), "")

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


def _both_trees(one: TreeEntry, other: TreeEntry) -> bool:
    return one.mode & _KIND_MASK == _TREE and other.mode & _KIND_MASK == _TREE


def _kind_name(mode: int) -> str:
    names = {_TREE: "a directory", _SYMLINK: "a symbolic link", _SUBMODULE: "a submodule", _FILE: "a file"}
    return names.get(mode & _KIND_MASK, f"an entry of unknown mode {mode:o}")
