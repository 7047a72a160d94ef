"""Leaves of a manifest, and the patterns that name them: ``template.spec.domain.devices.disks[].disk.bus``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.document import FieldPath

ANY = ".*"
"""At the end of a pattern: the subtree, its root included."""

ONE = ".?"
"""At the end of a pattern: any one thing below."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar, or an empty mapping or list. ``name`` is its path with ``[]`` for any item of a list."""

    name: str
    path: FieldPath
    value: Any

    @property
    def asks_for_nothing(self) -> bool:
        """Whether it is an empty list, which is the same as none."""
        return isinstance(self.value, list)


def leaves_of(value: Any, name: str = "", path: FieldPath = ()) -> Iterator[Leaf]:
    """Every leaf below ``value``, in the order of the document."""
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from leaves_of(child, f"{name}.{key}" if name else str(key), (*path, key))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from leaves_of(child, f"{name}[]", (*path, index))
    else:
        yield Leaf(name, path, value)


def fits(name: str, pattern: str) -> bool:
    """Whether a leaf's name is the pattern's, or lies in the subtree that it names. An empty mapping fits where something
    could be said below it.
    """
    if pattern.endswith(ONE):
        return name.startswith(pattern.removesuffix("?"))
    if not pattern.endswith(ANY):
        return name == pattern
    root = pattern.removesuffix(ANY)
    return name == root or name.startswith((f"{root}.", f"{root}[]"))


def could_hold(name: str, pattern: str) -> bool:
    """Whether the pattern names something below ``name``: an empty mapping there is only not filled in."""
    return pattern.startswith((f"{name}.", f"{name}[]"))


def root_of(leaf: Leaf, pattern: str) -> FieldPath:
    """The path of what a pattern names, of which ``leaf`` is a part: a whole subtree is one thing to report."""
    if not pattern.endswith(ANY):
        return leaf.path
    steps = [step for part in pattern.removesuffix(ANY).split(".") for step in part.replace("[]", " []").split()]
    return leaf.path[: len(steps)]
