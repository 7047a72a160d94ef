"""What a report tells, whatever its format."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem, Severity

_FINGERPRINT_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The problems of a set of manifests. ``objects`` are all that were checked, each with its file; ``files`` is how many
    files were read.
    """

    problems: tuple[Problem, ...]
    objects: tuple[tuple[ObjectKey, str], ...]
    files: int

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(1 for problem in self.problems if problem.severity is Severity.ERROR)


def fingerprints(problems: Sequence[Problem]) -> tuple[str, ...]:
    """One for each problem, 32 hex digits: what stays the same while lines move, files are renamed and messages are worded
    anew. A problem of a known object is told by code, object and field; any other by code and file.
    """
    seen: Counter[str] = Counter()
    made = []
    for problem in problems:
        about = (str(problem.object), problem.path) if problem.object else (problem.place.file, problem.path)
        basis = "\0".join((problem.code, *about))
        seen[basis] += 1
        text = f"{basis}\0{seen[basis]}"
        made.append(hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_FINGERPRINT_DIGITS])
    return tuple(made)


def to_json(report: Report) -> Mapping[str, Any]:
    """The public JSON shape of ``gitvirt validate -o json``."""
    marks = fingerprints(report.problems)
    pairs = zip(report.problems, marks, strict=True)
    return {"problems": [{**problem.to_dict(), "fingerprint": mark} for problem, mark in pairs]}
