"""Several values to a key, nearly always one: who has a MAC, who needs a Secret."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class MultiMap(Generic[K, V]):
    """A set of values to each key. A single value is kept as itself: of hundreds of thousands, few keys have more."""

    __slots__ = ("_several", "_single")

    def __init__(self) -> None:
        self._single: dict[K, V] = {}
        self._several: dict[K, set[V]] = {}

    def add(self, key: K, value: V) -> None:
        """One more value, if the key does not have it yet."""
        if key in self._several:
            self._several[key].add(value)
        elif (known := self._single.get(key)) is None:
            self._single[key] = value
        elif known != value:
            del self._single[key]
            self._several[key] = {known, value}

    def discard(self, key: K, value: V) -> None:
        """One value less, if the key has it."""
        values = self._several.get(key)
        if values is None:
            if self._single.get(key) == value:
                del self._single[key]
            return
        values.discard(value)
        if len(values) == 1:
            del self._several[key]
            self._single[key] = values.pop()

    def move(self, value: V, before: Collection[K], after: Collection[K]) -> None:
        """Have a value under the keys ``after`` that was under ``before``; sets, where there may be many."""
        for key in before:
            if key not in after:
                self.discard(key, value)
        for key in after:
            if key not in before:
                self.add(key, value)

    def of(self, key: K) -> Collection[V]:
        """The values of a key, in no order; not to be kept beyond the next change."""
        if key in self._several:
            return self._several[key]
        return (self._single[key],) if key in self._single else ()

    def shared(self) -> Collection[K]:
        """The keys with more than one value."""
        return self._several.keys()

    def __contains__(self, key: K) -> bool:
        return key in self._single or key in self._several

    def __iter__(self) -> Iterator[K]:
        yield from self._single
        yield from self._several
