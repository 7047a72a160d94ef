"""Who looked at what: the dependencies between objects as they really were, not as somebody listed them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeVar

from reconciler.model.keys import ObjectKey
from reconciler.model.multimap import MultiMap

V = TypeVar("V")


class Reads:
    """For each object the others that its result was worked out from, and the other way round."""

    def __init__(self) -> None:
        self._read: dict[ObjectKey, tuple[ObjectKey, ...]] = {}
        self._readers: MultiMap[ObjectKey, ObjectKey] = MultiMap()

    def note(self, reader: ObjectKey, read: Collection[ObjectKey]) -> None:
        """What ``reader`` looked at this time, itself left out; replaces what it looked at before."""
        before = self._read.pop(reader, ())
        after = tuple(key for key in read if key != reader)
        self._readers.move(reader, before, after)
        if after:
            self._read[reader] = after

    def readers(self, keys: Collection[ObjectKey]) -> set[ObjectKey]:
        """Everything that looked at one of ``keys``."""
        return {reader for key in keys for reader in self._readers.of(key)}


class Recorded(Mapping[ObjectKey, V]):
    """A mapping that notes in ``into`` which keys were asked for, found or not. Going through all of it notes nothing: whoever
    does depends on more than keys.
    """

    __slots__ = ("_get", "_into", "_keys")

    def __init__(
        self, get: Callable[[ObjectKey], V | None], into: set[ObjectKey], keys: Collection[ObjectKey] = ()
    ) -> None:
        self._get, self._into, self._keys = get, into, keys

    def __getitem__(self, key: ObjectKey) -> V:
        self._into.add(key)
        found = self._get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
