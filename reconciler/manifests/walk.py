"""Finding one's way in the walk that `Positions` describes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.model.document import FieldPath, Positions


def pairs(node: Any) -> int:
    """How many (line, column) pairs the walk of a value takes."""
    if isinstance(node, Mapping):
        return 1 + sum(1 + pairs(value) for value in node.values())
    if isinstance(node, list):
        return 1 + sum(map(pairs, node))
    return 1


def children(node: Any, at: int) -> Iterator[tuple[str | int, Any, int]]:
    """The entries or items of a value whose own pair is number ``at``: (key or index, value, number of its pair)."""
    at += 1
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield key, value, at + 1
            at += 1 + pairs(value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield index, value, at
            at += pairs(value)


def subtree(marks: array[int], body: Any, path: Sequence[str | int]) -> tuple[Any, Positions]:
    """The value at ``path`` and its own positions.

    Raises:
        KeyError: there is no such value.
    """
    at, node = 0, body
    for part in path:
        for name, value, position in children(node, at):
            if name == part:
                node, at = value, position
                break
        else:
            raise KeyError(part)
    return node, Positions(marks[2 * at : 2 * (at + pairs(node))])


def leaves(node: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Every scalar in a value, with its path."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    else:
        yield path, node
