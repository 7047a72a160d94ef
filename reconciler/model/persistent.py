"""Maps that are values: a changed one shares with the old one all that did not change.

Tens of thousands of objects are known from one cycle to the next while a commit or an event changes a few. A dictionary
would be copied for each change, or written to while somebody still holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from rpds import HashTrieMap

K = TypeVar("K")
V = TypeVar("V")

PersistentMap = HashTrieMap
"""A mapping that is never written to. Its order is arbitrary: sort what is shown."""


def persistent(known: Mapping[K, V]) -> PersistentMap[K, V]:
    """The mapping as such a map; one that is one already is not copied."""
    return known if isinstance(known, PersistentMap) else PersistentMap(known)


def with_changes(known: PersistentMap[K, V], changes: Mapping[K, V | None]) -> PersistentMap[K, V]:
    """The map with some entries replaced; None takes an entry away. Costs follow ``changes``."""
    for key, value in changes.items():
        known = known.discard(key) if value is None else known.insert(key, value)
    return known
