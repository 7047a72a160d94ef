"""Plain data that is kept by the ten thousand and looked at rarely: a mapping held as its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from reconciler.model.compact_json import compact_json

_KEPT = 256


@lru_cache(maxsize=_KEPT)
def _read(text: bytes) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(text)
    return read


class PackedMapping(Mapping[str, Any]):
    """A mapping of JSON data, in a tenth of the memory. It is never written to, and neither is what it gives. Two of them are
    equal when their canonical JSON is.
    """

    __slots__ = ("_text",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._text = compact_json(dict(data), sort_keys=True)

    def __getitem__(self, key: str) -> Any:
        return _read(self._text)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_read(self._text))

    def __len__(self) -> int:
        return len(_read(self._text))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedMapping):
            return self._text == other._text
        return isinstance(other, Mapping) and _read(self._text) == dict(other)

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"PackedMapping({self._text.decode()})"


def packed(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data packed; what is packed already stays itself, and so does what holds a number of more than 64 bits."""
    if isinstance(data, PackedMapping):
        return data
    try:
        return PackedMapping(data)
    except TypeError:
        return data
