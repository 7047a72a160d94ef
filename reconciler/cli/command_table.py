"""The command line as plain data: what completion scripts and the manual page are made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

FILES, VM, OBJECT, HOLD, TRASH, ANY = "files", "vm", "object", "hold", "trash", ""
"""What may stand at a place, besides fixed words."""

_MEANING = (
    (re.compile(r"\bVM\b"), VM),
    (re.compile(r"\bHOLD_ID\b"), HOLD),
    (re.compile(r"\bITEM\b"), TRASH),
    (re.compile(r"^\[?(PATH|FILE|DIRECTORY|MANIFESTS)\b"), FILES),
    (re.compile(r"/\]NAME\b"), OBJECT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place for a value: fixed ``words``, or names of a kind (``meaning``)."""

    words: tuple[str, ...] = ()
    meaning: str = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRow:
    """An option. ``value`` is None for a flag."""

    names: tuple[str, ...]
    metavar: str
    help: str
    value: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperandRow:
    """An operand; ``repeats`` says that more may follow."""

    metavar: str
    help: str
    place: Place
    repeats: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """A command, ``path`` is ``trash restore`` for one of a group, empty for gitvirt itself. ``examples`` are lines."""

    path: str
    summary: str
    help: str
    examples: tuple[str, ...]
    options: tuple[OptionRow, ...]
    operands: tuple[OperandRow, ...]
    commands: tuple[str, ...]


def command_table(root: Any) -> tuple[CommandRow, ...]:
    """Every command of a click tree, the root first, then by name."""
    return tuple(_rows(root, ""))


def _rows(command: Any, path: str) -> Iterator[CommandRow]:
    inner = getattr(command, "commands", {})
    shown = {name: inner[name] for name in sorted(inner) if not inner[name].hidden}
    text = (command.help or "").strip()
    yield CommandRow(
        path=path,
        summary=_first_sentence(text),
        help=text,
        examples=tuple(line.strip() for line in (command.epilog or "").splitlines()[2:]),
        options=tuple(_option(param) for param in command.params if param.param_type_name == "option"),
        operands=tuple(_operand(param) for param in command.params if param.param_type_name == "argument"),
        commands=tuple(shown),
    )
    for name, one in shown.items():
        yield from _rows(one, f"{path} {name}".strip())


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", " ".join(text.split()), maxsplit=1)[0]


def _option(param: Any) -> OptionRow:
    metavar = "" if param.is_flag else str(param.metavar or "|".join(_words(param)) or param.name.upper())
    names = tuple(sorted((*param.opts, *param.secondary_opts), key=lambda name: (-len(name), name)))
    value = None if param.is_flag else _place(param, metavar)
    return OptionRow(names=names, metavar=metavar, help=param.help or "", value=value)


def _operand(param: Any) -> OperandRow:
    metavar = str(param.metavar or "|".join(_words(param)) or param.name.upper())
    help_text = getattr(param, "help", "") or ""
    return OperandRow(metavar=metavar, help=help_text, place=_place(param, metavar), repeats=param.nargs == -1)


def _words(param: Any) -> tuple[str, ...]:
    """The values of an enumeration: as Typer's own parser describes them, or as click's does below older Typers."""
    described = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    if isinstance(described, type) and issubclass(described, Enum):
        return tuple(str(member.value) for member in described)
    choices = getattr(getattr(param, "type", None), "choices", ())
    return tuple(str(getattr(choice, "value", choice)) for choice in choices)


def _place(param: Any, metavar: str) -> Place:
    words = _words(param) or WORDS.get(metavar, ())
    meaning = next((found for pattern, found in _MEANING if pattern.search(metavar)), ANY)
    return Place(words=words, meaning=ANY if words else meaning)


WORDS = {
    "KIND": ("vm", "vmi", "pvc", "dv", "net", "all"),
    "SHELL": ("bash", "zsh", "fish"),
}
"""Fixed words behind a metavar that are no choices of the parser's."""
