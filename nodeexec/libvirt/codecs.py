"""Values as text in the XML, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Codec:
    """``encode`` gives the text, or None for "not there"; ``decode`` is its inverse and gets None for a place that is
    not there.
    """

    encode: Callable[[Any], str | None]
    decode: Callable[[str | None], Any]


TEXT = Codec(lambda value: value or None, lambda text: text or "")
NUMBER = Codec(lambda value: str(value) if value else None, lambda text: int(text) if text else 0)
LOWER = Codec(lambda value: value.lower() or None, lambda text: (text or "").lower())
MIB_IN_KIB = Codec(lambda mib: str(mib * 1024), lambda text: -(-int(text or 0) // 1024))
PRESENT = Codec(lambda value: "" if value else None, lambda text: text is not None)


def choice(words: Mapping[Any, str | None], default: Any) -> Codec:
    """Fixed words for fixed values; any other text is read as ``default``."""
    back = {word: value for value, word in words.items()}
    return Codec(lambda value: words[value], lambda text: back.get(text, default))
