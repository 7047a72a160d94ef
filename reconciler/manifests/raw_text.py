"""A second look at a file's text, taken only to explain a problem: how a scalar was written, and which keys had no value.

Documents do not keep this; it is read again when something is wrong, once a file.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.manifests.limits import DEFAULT_LIMITS
from reconciler.manifests.scalars import read_plain

Spot = tuple[int, int]
"""Line and column, from 1."""


class RawText:
    """Looks things up by their place in the file."""

    __slots__ = ("_data", "_null_keys", "_plain")

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data
        self._plain: dict[Spot, str] = {}
        self._null_keys: dict[Spot, list[str]] = {}

    def plain_scalar(self, line: int, column: int) -> str | None:
        """The text of the unquoted value that begins here; None for anything else."""
        self._read()
        return self._plain.get((line, column))

    def null_keys(self, line: int, column: int) -> tuple[str, ...]:
        """The keys without a value in the mapping that begins here."""
        self._read()
        return tuple(self._null_keys.get((line, column), ()))

    def _read(self) -> None:
        if self._data is None:
            return
        parser, self._data = CParser(self._data.removeprefix(b"\xef\xbb\xbf")), None
        try:
            while (event := parser.get_event()) is not None:
                if isinstance(event, MappingStartEvent | SequenceStartEvent) and not self._read_collection(
                    parser, event
                ):
                    return
        except yaml.YAMLError:
            return

    def _read_collection(self, parser: CParser, start: Any) -> bool:
        """Walk one document's collections; False when they are too deep to go on.

        Frames are (place of a mapping or None for a list, key that waits).
        """
        frames: list[tuple[Spot | None, str | None]] = [(_frame_spot(start), None)]
        while frames:
            event = parser.get_event()
            if isinstance(event, MappingEndEvent | SequenceEndEvent):
                frames.pop()
                continue
            mapping, key = frames[-1]
            if mapping is not None and key is None:
                frames[-1] = (mapping, event.value if isinstance(event, ScalarEvent) else "")
                if isinstance(event, ScalarEvent | AliasEvent):
                    continue
            else:
                frames[-1] = (mapping, None)
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                frames.append((_frame_spot(event), None))
            elif isinstance(event, ScalarEvent) and not event.style and event.tag is None:
                self._note(event, mapping, key)
            if len(frames) > DEFAULT_LIMITS.depth:
                return False
        return True

    def _note(self, event: Any, mapping: Spot | None, key: str | None) -> None:
        self._plain[_spot(event)] = event.value
        if mapping is not None and key is not None and _is_null(event.value):
            self._null_keys.setdefault(mapping, []).append(key)


def _is_null(text: str) -> bool:
    try:
        return read_plain(text) is None
    except ValueError:
        return False


def _spot(event: Any) -> Spot:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _frame_spot(event: Any) -> Spot | None:
    return _spot(event) if isinstance(event, MappingStartEvent) else None
