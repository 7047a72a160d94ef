"""Users' mistakes are data: a ``Problem`` says what, where, why and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.keys import ObjectKey


class Severity(StrEnum):
    """An error makes its object invalid; a warning is shown and changes nothing."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a manifest. ``line`` and ``column`` count from 1; 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault in the input.

    ``code`` is one of ``docs/problems.md``; ``path`` is the dotted field path within the object, list items by index
    (``spec.template.spec.volumes[0].name``), empty for the object itself; ``hint`` says what to do, and may be empty.
    """

    code: str
    severity: Severity
    place: Place
    message: str
    object: ObjectKey | None = None
    path: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f" {self.object}" if self.object else ""
        field = f" {self.path}:" if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {self.severity} {self.code}{where}{field} {self.message}{hint}"

    def to_dict(self) -> dict[str, str | int | None]:
        """The public JSON shape of ``gitvirt validate -o json``."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "object": str(self.object) if self.object else None,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each once, in the order of files, lines and fields."""
    ordered = sorted(problems, key=lambda found: (found.place, found.path, found.code))
    return tuple(dict.fromkeys(ordered))
