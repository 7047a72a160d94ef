"""Builds one document after another from libyaml's events.

One loop turns events into dicts and lists and notes where each key and value stands. No recursion, so depth cannot overflow
a stack, and each bound of `ParseLimits` is checked while reading.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from sys import intern
from typing import Any

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.manifests.limits import ParseLimits
from reconciler.manifests.scalars import key_text, read_plain, read_plain_key, read_tagged
from reconciler.manifests.walk import pairs
from reconciler.model.problem import Place, Problem
from reconciler.model.problem_codes import problem

MERGE = "<<"
_MERGED: Any = object()
_OPEN: Any = object()
_IDENTITY_KEYS = frozenset({"kind", "apiVersion", "metadata", "name", "namespace"})
_IDENTITY_DEPTH = 2
_MAX_PROBLEMS = 100
_MAP_TAGS = ("!", "tag:yaml.org,2002:map")
_SEQ_TAGS = ("!", "tag:yaml.org,2002:seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """One YAML document as data.

    ``marks`` is what `Positions` takes. ``problems`` make the document invalid; ``identity_doubtful`` says that one of
    them leaves open which object it is. ``nulls`` are the keys that were dropped because their value is null.
    """

    body: Any
    marks: array[int]
    problems: tuple[Problem, ...] = ()
    identity_doubtful: bool = False
    nulls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias stands for: the value, its walk of marks, and how deep it nests."""

    value: Any
    marks: list[int]
    height: int


_Frame = tuple[Any, list[int] | None, str | None, int, bool]
"""A collection around the one being read: itself, ``starts``, its anchor, where its marks begin, ``odd``."""


class RefusedError(Exception):
    """A document (or, with ``whole_file``, the file) that is not read any further."""

    def __init__(self, found: Problem, *, whole_file: bool = False) -> None:
        super().__init__(found.message)
        self.found = found
        self.whole_file = whole_file


class DocumentReader:
    """Builds documents from events. One of it reads one file; what it shares between documents are only texts."""

    __slots__ = (
        "anchors",
        "doubtful",
        "file",
        "first_line",
        "keys",
        "limits",
        "next",
        "nulls",
        "plain",
        "problems",
        "used",
    )

    def __init__(self, file: str, limits: ParseLimits) -> None:
        self.file, self.limits = file, limits
        self.keys: dict[str, str] = {}
        self.plain: dict[str, Any] = {}
        self.used = 0

    def begin(self, next_event: Callable[[], Any], first_line: int) -> None:
        """Take events of the text that begins in that line from now on; what was read so far counts on."""
        self.next, self.first_line = next_event, first_line
        self._begin()

    def _begin(self) -> None:
        self.anchors: dict[str, _Anchored] = {}
        self.problems: list[Problem] = []
        self.nulls: list[str] = []
        self.doubtful = False

    def document(self) -> ParsedDocument:
        """Read from after a document's start to its end.

        Raises:
            RefusedError: a bound is reached, or the document has no meaning as JSON.
            yaml.YAMLError: a syntax error.
        """
        self._begin()
        marks: list[int] = []
        root: list[Any] = []
        self._fill(root, marks)
        self._bound(marks)
        self.used += len(marks) // 2
        return ParsedDocument(
            body=root[0] if root else None,
            marks=array("I", marks),
            problems=tuple(self.problems),
            identity_doubtful=self.doubtful,
            nulls=tuple(self.nulls),
        )

    def _fill(self, root: list[Any], marks: list[int]) -> None:
        """The loop over one document's events; the value goes into ``root``.

        ``starts`` tells for each entry of the mapping being read where in ``marks`` it begins, and is None in a list;
        ``odd`` says that the mapping needs `_settle`.
        """
        next_event, first_line, plain = self.next, self.first_line, self.plain
        stack: list[_Frame] = []
        node: Any = root
        starts: list[int] | None = None
        key: Any = None
        anchor: str | None = None
        begin, odd = 0, False
        ceiling = 2 * (self.limits.nodes - self.used)
        while True:
            event = next_event()
            kind = type(event)
            if kind is MappingEndEvent or kind is SequenceEndEvent:
                if odd:
                    self._settle(node, starts or [], marks)
                if anchor is not None:
                    self._remember(anchor, node, marks[begin:])
                node, starts, anchor, begin, odd = stack.pop()
                continue
            if kind is DocumentEndEvent:
                return
            mark = event.start_mark
            at = len(marks)
            if at > ceiling:
                self._bound(marks)
            marks += (mark.line + first_line, mark.column + 1)
            if starts is not None and key is None:
                key = self._key(event, node, marks, starts, len(stack))
                continue
            if (
                kind is ScalarEvent
                and not event.style
                and event.tag is None
                and event.anchor is None
                and event.value in plain
            ):
                value = plain[event.value]
            else:
                value = self._value(event, marks, len(stack))
            if starts is None:
                node.append(value)
            else:
                node[key] = value
                odd = odd or value is None or key is _MERGED
                key = None
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                stack.append((node, starts, anchor, begin, odd))
                node, anchor, begin, odd = value, event.anchor, at, False
                starts = [] if kind is MappingStartEvent else None

    def _place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + self.first_line, event.start_mark.column + 1)

    def _report(self, code: str, place: Place, message: str, hint: str = "") -> None:
        """Note a fault that spoils the document but not the reading of it; a document has enough of them at some point."""
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem(code, place, message, hint=hint))

    def _bound(self, marks: list[int]) -> None:
        """Stop reading a file that stands for too much data."""
        if self.used + len(marks) // 2 > self.limits.nodes:
            text = f"the file holds more than {self.limits.nodes} values, aliases counted as what they stand for"
            raise RefusedError(
                problem("yaml-too-large", Place(self.file), text, hint="split the file"), whole_file=True
            )

    def _key(self, event: Any, node: dict[Any, Any], marks: list[int], starts: list[int], depth: int) -> Any:
        """The key of a new entry of ``node``."""
        kind = type(event)
        if kind is ScalarEvent and not event.style and event.tag is None and event.anchor is None:
            text = event.value
            key = self.keys.get(text) or self._new_key(event, marks)
        elif kind is ScalarEvent:
            key = self._new_key(event, marks)
        elif kind is AliasEvent:
            key = self._as_key(event, self._anchored(event).value)
        else:
            raise RefusedError(problem("yaml-key", self._place(event), "a key must be text, not a list or a mapping"))
        if key in node:
            self.doubtful = self.doubtful or (depth <= _IDENTITY_DEPTH and (key is _MERGED or key in _IDENTITY_KEYS))
            # Finding the first place is a search, so it is not made for ever more duplicates.
            if len(self.problems) < _MAX_PROBLEMS:
                first = starts[list(node).index(key)]
                self._duplicate(event, MERGE if key is _MERGED else key, marks[first], marks[first + 1])
        else:
            starts.append(len(marks) - 2)
        return key

    def _duplicate(self, event: Any, key: str, line: int, column: int) -> None:
        text = f"the key {key!r} stands here a second time; the first is in line {line}, column {column}"
        self._report("yaml-duplicate-key", self._place(event), text, "keep one of them")

    def _new_key(self, event: Any, marks: list[int]) -> Any:
        """A key that this file has not had yet, or one with an anchor, quotes or a tag."""
        text = event.value
        try:
            if event.tag is not None:
                key = key_text(read_tagged(event.tag, text))
            elif event.style:
                key = text
            elif text == MERGE:
                return _MERGED
            else:
                key = self.keys[text] = intern(read_plain_key(text))
        except ValueError as error:
            raise RefusedError(
                problem("yaml-key", self._place(event), str(error), hint="put the key in quotes")
            ) from None
        if event.anchor is not None:
            self._remember(event.anchor, text if event.style else read_plain(text), marks[-2:])
        return intern(key)

    def _as_key(self, event: Any, value: Any) -> str:
        if isinstance(value, dict | list):
            raise RefusedError(problem("yaml-key", self._place(event), "a key must be text, not a list or a mapping"))
        try:
            return intern(key_text(value))
        except ValueError as error:
            raise RefusedError(problem("yaml-key", self._place(event), str(error))) from None

    def _value(self, event: Any, marks: list[int], depth: int) -> Any:
        """The value that an event brings, for all but the plain scalars that this file has had before."""
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event, marks)
        return self._alias(event, marks, depth) if kind is AliasEvent else self._collection(event, marks, depth)

    def _scalar(self, event: Any, marks: list[int]) -> Any:
        text: str = event.value
        value: Any = text
        try:
            if event.tag is not None:
                value = read_tagged(event.tag, text)
            elif not event.style:
                value = read_plain(text)
                self.plain[text] = value
        except ValueError as error:
            code = "yaml-number" if event.tag is None else "yaml-tag"
            hint = "put it in quotes if it is meant as text" if event.tag is None else "remove the tag"
            self._report(code, self._place(event), str(error), hint)
        if event.anchor is not None:
            self._remember(event.anchor, value, marks[-2:])
        return value

    def _collection(self, event: Any, marks: list[int], depth: int) -> Any:
        """An empty list or mapping for the one that begins here."""
        if depth >= self.limits.depth:
            text = f"values are nested deeper than {self.limits.depth} levels"
            raise RefusedError(problem("yaml-too-large", self._place(event), text))
        self._bound(marks)
        is_map = type(event) is MappingStartEvent
        if event.tag is not None and event.tag not in (_MAP_TAGS if is_map else _SEQ_TAGS):
            text = f"the tag {event.tag[:40]} is not supported here"
            self._report("yaml-tag", self._place(event), text, "remove the tag")
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)
            self.anchors[event.anchor] = _Anchored(_OPEN, [], 0)
        return {} if is_map else []

    def _remember(self, name: str, value: Any, marks: list[int]) -> None:
        self.anchors[name] = _Anchored(value, marks, _height(value))
        self.used += len(marks) // 2

    def _anchored(self, event: Any) -> _Anchored:
        found = self.anchors.get(event.anchor)
        if found is None:
            # Never the name itself: a password that begins with * reads as one.
            text = "there is no anchor before this alias"
            raise RefusedError(problem("yaml-alias", self._place(event), text, hint="anchors end with their document"))
        if found.value is _OPEN:
            raise RefusedError(problem("yaml-alias", self._place(event), f"the anchor &{event.anchor} contains itself"))
        return found

    def _alias(self, event: Any, marks: list[int], depth: int) -> Any:
        """What an alias stands for; its parts keep the positions where they are written."""
        found = self._anchored(event)
        if depth + found.height > self.limits.depth:
            text = f"values are nested deeper than {self.limits.depth} levels"
            raise RefusedError(problem("yaml-too-large", self._place(event), text))
        marks += found.marks[2:]
        self._bound(marks)
        return found.value

    def _settle(self, node: dict[Any, Any], starts: list[int], marks: list[int]) -> None:
        """Finish a mapping that has null values or a merge key: what comes later wins, as in kubectl."""
        settled: dict[str, tuple[Any, list[int]]] = {}
        for (key, value), begin, end in zip(node.items(), starts, [*starts[1:], len(marks)], strict=False):
            piece = marks[begin:end]
            if key is _MERGED:
                for name, merged, its_marks in self._merged(value, piece):
                    settled[name] = (merged, its_marks)
            elif value is None:
                settled.pop(key, None)
                self.nulls.append(key)
            else:
                settled[key] = (value, piece)
        node.clear()
        del marks[starts[0] :]
        for key, (value, piece) in settled.items():
            node[key] = value
            marks += piece

    def _merged(self, value: Any, marks: list[int]) -> Iterator[tuple[str, Any, list[int]]]:
        """Entries that a merge key brings. ``marks``: the key's pair, then the value's walk."""
        sources = list(_parts(value, marks[2:])) if isinstance(value, list) else [(value, marks[2:])]
        for source, its_marks in reversed(sources):
            if not isinstance(source, dict):
                text = "the merge key << needs a mapping or a list of mappings"
                place = Place(self.file, marks[0], marks[1])
                self._report("yaml-merge", place, text)
                return
            at = 2
            for key, merged in source.items():
                end = at + 2 + 2 * pairs(merged)
                yield key, merged, its_marks[at:end]
                at = end


def _parts(values: list[Any], marks: list[int]) -> Iterator[tuple[Any, list[int]]]:
    """The items of a list, each with its walk."""
    at = 2
    for value in values:
        end = at + 2 * pairs(value)
        yield value, marks[at:end]
        at = end


def _height(value: Any) -> int:
    """Levels of nesting in a value; 0 for a scalar."""
    if isinstance(value, dict):
        return 1 + max(map(_height, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_height, value), default=0)
    return 0
