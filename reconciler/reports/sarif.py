"""SARIF 2.1.0, as code scanning reads it.

*Source*: the OASIS standard "Static Analysis Results Interchange Format 2.1.0".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from reconciler.model.codes.entry import ProblemCode
from reconciler.model.plain_text import one_line
from reconciler.model.problem import Problem, Severity
from reconciler.model.problem_codes import code_entry
from reconciler.reports.report import Report, fingerprints

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "gitvirt/v1"
ROOT = "%SRCROOT%"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}
_MAX_TEXT = 2000


def to_sarif(report: Report, version: str) -> Mapping[str, Any]:
    """One run. ``version`` is gitvirt's own."""
    codes = sorted({problem.code for problem in report.problems})
    index_of = {code: index for index, code in enumerate(codes)}
    marks = fingerprints(report.problems)
    results = [
        _result(problem, index_of[problem.code], mark) for problem, mark in zip(report.problems, marks, strict=True)
    ]
    driver = {
        "name": "gitvirt",
        "semanticVersion": version,
        "rules": [_rule(code_entry(code)) for code in codes],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(entry: ProblemCode) -> Mapping[str, Any]:
    return {
        "id": entry.code,
        "shortDescription": {"text": entry.meaning},
        "help": {"text": entry.remedy, "markdown": entry.remedy},
        "defaultConfiguration": {"level": _LEVELS[entry.severity]},
    }


def _result(problem: Problem, rule: int, fingerprint: str) -> Mapping[str, Any]:
    place = problem.place
    region = {"startLine": max(1, place.line), "startColumn": max(1, place.column)}
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": artifact(place.file), "region": region},
    }
    if problem.object:
        name = f"{problem.object}{f'/{problem.path}' if problem.path else ''}"
        location["logicalLocations"] = [{"fullyQualifiedName": one_line(name, _MAX_TEXT)}]
    hint = f"\n{one_line(problem.hint, _MAX_TEXT)}" if problem.hint else ""
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": _LEVELS[problem.severity],
        "message": {"text": f"{one_line(problem.message, _MAX_TEXT)}{hint}"},
        "locations": [location],
        "partialFingerprints": {FINGERPRINT: fingerprint},
    }


def artifact(file: str) -> Mapping[str, str]:
    """Where a file is: below the root of the repository, or anywhere as a whole URI."""
    path = PurePosixPath(file)
    if path.is_absolute():
        return {"uri": f"file://{_quoted(path.parts[1:], '/')}"}
    parts = [part for part in path.parts if part != "."]
    return {"uri": _quoted(parts), "uriBaseId": ROOT}


def _quoted(parts: Sequence[str], start: str = "") -> str:
    return start + "/".join(quote(part, safe="~", errors="replace") for part in parts)
