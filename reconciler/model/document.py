"""A manifest as gitvirt holds it: plain data, and where each value stands in the file.

Tens of thousands of them are kept while few are looked at, so a `Document` may hold its body as JSON text and its
positions deflated: about 2 KB a VM instead of 18. Both are read again when somebody asks.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import orjson

from reconciler.model.compact_json import compact_json
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place

FieldPath = tuple[str | int, ...]
"""Keys and list indexes from the document's root to a value."""


def dotted(path: Sequence[str | int]) -> str:
    """``("spec", "volumes", 0, "name")`` → ``spec.volumes[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Positions:
    """Line and column of every key and value of one document, in a few hundred bytes.

    ``marks`` holds (line, column) pairs, both from 1, in the order of a walk that visits a value, then its children:
    for each entry of a mapping the key's pair, then the walk of its value; for each item of a list its walk. The walk
    of the same data finds a pair again, so no path is stored. Shape: ``array('I')`` of 2 × (values + keys).
    """

    marks: array[int]

    def of(self, body: Any, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Where ``path`` stands; of a missing field its closest parent. ``key`` asks for the key instead of its value."""
        index, node = 0, body
        for depth, part in enumerate(path):
            found = _child(node, part, index)
            if found is None:
                break
            index, node = found
            if key and depth == len(path) - 1 and isinstance(part, str):
                index -= 1
        return self.marks[2 * index], self.marks[2 * index + 1]


def _child(node: Any, part: str | int, index: int) -> tuple[int, Any] | None:
    """The child's place in the walk and the child, or None where the data has no such child."""
    index += 1
    if isinstance(node, Mapping) and part in node:
        for name, value in node.items():
            if name == part:
                return index + 1, value
            index += 1 + _count(value)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        for value in node[:part]:
            index += _count(value)
        return index, node[part]
    return None


def _count(node: Any) -> int:
    """How many pairs the walk of ``node`` takes."""
    if isinstance(node, Mapping):
        return 1 + sum(1 + _count(value) for value in node.values())
    if isinstance(node, list):
        return 1 + sum(_count(value) for value in node)
    return 1


NO_POSITIONS = Positions(array("I", (0, 0)))
"""For documents that were not read from a file."""


class UnreadPositions(Protocol):
    """Positions that are worked out when a problem has to be placed."""

    def read(self) -> Positions:
        """The positions themselves."""
        ...


@dataclass(frozen=True, slots=True)
class PackedPositions:
    """Positions as deflated bytes of their marks, in this machine's byte order; every line is ``below`` lines further down
    by now.
    """

    data: bytes
    below: int = 0

    @classmethod
    def of(cls, positions: Positions) -> PackedPositions:
        """The same positions, packed."""
        return cls(zlib.compress(positions.marks.tobytes(), 1))

    def read(self) -> Positions:
        """See `UnreadPositions.read`."""
        marks = array("I", zlib.decompress(self.data))
        if self.below:
            marks[::2] = array("I", (line + self.below for line in marks[::2]))
        return Positions(marks)


_KEPT_BODIES = 256
_LONGEST_KEPT = 64 * 1024
"""Bodies that were read again are kept for a while, unless they are large: at most 16 MB of JSON in all."""


def _read_body(text: bytes) -> Mapping[str, Any]:
    body: Mapping[str, Any] = orjson.loads(text)
    return body


_kept_body = lru_cache(maxsize=_KEPT_BODIES)(_read_body)


class Document:
    """One manifest, identified. Nothing of it is ever written to.

    ``body`` is plain JSON data as kubectl would read it. ``digest`` is the SHA-256 (hex) of its canonical JSON: equal
    digests mean equal documents, wherever they stand. ``origin`` is the identity of its source (`Origin.identity`), empty
    for files that no source holds. ``repr`` leaves the body out: it may hold secrets.
    """

    __slots__ = ("_body", "_positions", "api_version", "digest", "file", "key", "origin")

    def __init__(
        self,
        *,
        key: ObjectKey,
        api_version: str,
        body: Mapping[str, Any] | bytes,
        digest: str,
        file: str,
        origin: str = "",
        positions: Positions | UnreadPositions = NO_POSITIONS,
    ) -> None:
        """``body`` may be given as its JSON, which then is read when it is asked for."""
        self.key: Final = key
        self.api_version: Final = api_version
        self.digest: Final = digest
        self.file: Final = file
        self.origin: Final = origin
        self._body: Final = body
        self._positions: Final = positions

    def __repr__(self) -> str:
        return f"Document({self.key}, file={self.file!r}, digest={self.digest!r})"

    @property
    def body(self) -> Mapping[str, Any]:
        """The manifest's data."""
        body = self._body
        if not isinstance(body, bytes):
            return body
        return _kept_body(body) if len(body) <= _LONGEST_KEPT else _read_body(body)

    @property
    def text(self) -> bytes:
        """``body`` as JSON, its keys in the order of the file."""
        return self._body if isinstance(self._body, bytes) else compact_json(self._body)

    @property
    def positions(self) -> Positions:
        """Where everything stands."""
        return self._positions if isinstance(self._positions, Positions) else self._positions.read()

    @property
    def packed_positions(self) -> PackedPositions:
        """The same in little memory."""
        positions = self._positions
        return positions if isinstance(positions, PackedPositions) else PackedPositions.of(self.positions)

    def moved(self, lines: int) -> Document:
        """The same document so many lines further down its file."""
        if not lines:
            return self
        positions = self.packed_positions
        return self._with(PackedPositions(positions.data, positions.below + lines))

    def packed(self) -> Document:
        """The same document in little memory."""
        return self._with(self.packed_positions)

    def _with(self, positions: PackedPositions) -> Document:
        return Document(
            key=self.key,
            api_version=self.api_version,
            body=self.text,
            digest=self.digest,
            file=self.file,
            origin=self.origin,
            positions=positions,
        )

    def place(self, path: Sequence[str | int] = (), *, key: bool = False) -> Place:
        """Where a field of this document stands in its file (see `Positions.of`)."""
        positions = self.positions
        line, column = positions.of(self.body, path, key=key) if positions.marks[0] else (0, 0)
        return Place(self.file, line, column)

    @property
    def spec(self) -> Mapping[str, Any]:
        """``spec``, or an empty mapping."""
        return self.body.get("spec") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, or an empty mapping."""
        return (self.body.get("metadata") or {}).get("annotations") or {}
