"""Git's tree objects as bytes: reading one, and finding in what two of them differ.

A tree of thousands of entries is compared as bytes first; only entries that differ are looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

TREE, SYMLINK, SUBMODULE, FILE = 0o040000, 0o120000, 0o160000, 0o100000
_KIND_MASK = 0o170000
_ID_BYTES = 20
_LONGEST_MODE = 8
_LAST_ENTRY = re.compile(rb"(?:([0-7]+ [^\0]+\0[\s\S]{20}))*+")


class TreeEntry(NamedTuple):
    """One entry of a tree: its mode, its name as stored, and the 20 bytes of its object's id."""

    mode: int
    name: bytes
    oid: bytes

    @property
    def kind(self) -> int:
        """One of ``TREE``, ``SYMLINK``, ``SUBMODULE`` and ``FILE``, or a number without meaning."""
        return self.mode & _KIND_MASK

    @property
    def order(self) -> bytes:
        """What trees are sorted by."""
        return self.name + b"/" if self.kind == TREE else self.name


def parse_tree(data: bytes) -> list[TreeEntry]:
    """The entries of a raw tree object.

    Raises:
        ValueError: the bytes are not a tree.
    """
    entries, at, end = [], 0, len(data)
    while at < end:
        entry, at = _entry_at(data, at)
        entries.append(entry)
    return entries


def in_order(entries: Sequence[TreeEntry]) -> bool:
    """Whether entries are as Git writes them: sorted, each name once."""
    names = {entry.name for entry in entries}
    orders = [entry.order for entry in entries]
    return len(names) == len(entries) and all(map(bytes.__lt__, orders, orders[1:]))


def differing(old: bytes, new: bytes) -> tuple[list[TreeEntry], list[TreeEntry]] | None:
    """(what stands only in ``old``, what stands only in ``new``) of two raw trees, ``old`` being `in_order`; None when
    ``new`` is not.

    Raises:
        ValueError: the bytes are not a tree.
    """
    shared = _shared_prefix(old, new)
    last = _LAST_ENTRY.match(new, 0, shared)
    start = last.start(1) if last and last[1] else 0
    tail = _shared_suffix(old, new, min(len(old), len(new)) - start)
    before, after = _Cursor(old, start), _Cursor(new, start)
    gone: list[TreeEntry] = []
    came: list[TreeEntry] = []
    while before.entry or after.entry:
        one, other = before.entry, after.entry
        left = len(new) - after.end
        rest_is_shared = one == other and left == len(old) - before.end and left <= tail
        is_gone = other is None or (one is not None and one.order <= other.order)
        is_new = one is None or (other is not None and other.order <= one.order)
        if one != other:
            gone += [one] if one and is_gone else []
            came += [other] if other and is_new else []
        if is_gone:
            before.advance()
        if is_new:
            after.advance()
        if rest_is_shared:
            break
    return (gone, came) if after.is_ordered else None


class _Cursor:
    """Reads a raw tree entry by entry, and notes whether they stand in order."""

    __slots__ = ("_data", "end", "entry", "is_ordered")

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self.end, self.is_ordered = data, start, True
        self.entry: TreeEntry | None = None
        self.advance()

    def advance(self) -> None:
        """Go to the next entry; None after the last."""
        before = self.entry
        if self.end >= len(self._data):
            self.entry = None
            return
        self.entry, self.end = _entry_at(self._data, self.end)
        self.is_ordered = self.is_ordered and (before is None or before.order < self.entry.order)


def _entry_at(data: bytes, at: int) -> tuple[TreeEntry, int]:
    """The entry that begins at a place, and where it ends."""
    space = data.index(b" ", at, at + _LONGEST_MODE)
    nul = data.index(b"\0", space)
    end = nul + 1 + _ID_BYTES
    if end > len(data):
        raise ValueError("a tree entry is cut off")
    return TreeEntry(int(data[at:space], 8), data[space + 1 : nul], data[nul + 1 : end]), end


def _shared_prefix(old: bytes, new: bytes) -> int:
    """How many bytes two texts have in common at their beginnings."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shared_suffix(old: bytes, new: bytes, most: int) -> int:
    """How many bytes two texts have in common at their ends, up to ``most``."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]:
            low = middle
        else:
            high = middle - 1
    return low
