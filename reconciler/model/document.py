"""A manifest as gitvirt holds it: plain data, and where each value stands in the file."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """One manifest, identified.

    ``body`` is plain JSON data as kubectl would read it and is never written to. ``digest`` is the SHA-256 (hex) of its
    canonical JSON: equal digests mean equal documents, wherever they stand. ``repr`` leaves the body out: it may hold
    secrets.
    """

    key: ObjectKey
    api_version: str
    body: Mapping[str, Any] = field(repr=False)
    digest: str
    file: str
    positions: Positions = field(default=NO_POSITIONS, repr=False)

    def place(self, path: Sequence[str | int] = (), *, key: bool = False) -> Place:
        """Where a field of this document stands in its file (see `Positions.of`)."""
        line, column = self.positions.of(self.body, path, key=key) if self.positions.marks[0] else (0, 0)
        return Place(self.file, line, column)

    @property
    def spec(self) -> Mapping[str, Any]:
        """``spec``, or an empty mapping."""
        return self.body.get("spec") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, or an empty mapping."""
        return (self.body.get("metadata") or {}).get("annotations") or {}
