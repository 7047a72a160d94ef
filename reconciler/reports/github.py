"""Workflow commands, which GitHub (and Forgejo and Gitea) show beside the lines of a pull request.

*Source*: GitHub's documentation of workflow commands; the escapes are those of its runner.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.plain_text import one_line
from reconciler.model.problem import Severity
from reconciler.reports.report import Report

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning"}
_MAX_TEXT = 2000


def to_github(report: Report) -> Iterator[str]:
    """A command a problem."""
    for problem in report.problems:
        place = problem.place
        properties = {"file": place.file, "line": str(place.line or ""), "col": str(place.column or "")}
        properties["title"] = f"{problem.code}{f' in {problem.object}' if problem.object else ''}"
        said = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
        hint = f" ({problem.hint})" if problem.hint else ""
        path = f"{problem.path}: " if problem.path else ""
        yield f"::{_COMMANDS[problem.severity]} {said}::{_data(f'{path}{problem.message}{hint}')}"


def _data(text: str) -> str:
    return one_line(text, _MAX_TEXT).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
