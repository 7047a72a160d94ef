"""JUnit XML: a test case an object, as the readers of CI systems take it.

*Source*: the schemas of Ant's and Jenkins' JUnit readers, and the attributes ``file`` and ``line`` that GitLab shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from lxml import etree

from reconciler.model.plain_text import one_line
from reconciler.model.problem import Problem, Severity
from reconciler.reports.report import Report

_SUITE = "gitvirt validate"
_MAX_TEXT = 2000


def to_junit(report: Report) -> str:
    """A suite whose cases are the objects, and the files with faults that belong to no object."""
    found: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in report.problems:
        found[problem.place.file, str(problem.object or problem.place.file)].append(problem)
    named = [(file, str(key)) for key, file in report.objects]
    cases = sorted({*named, *found})
    root = etree.Element("testsuites")
    failed = sum(1 for case in cases if any(one.severity is Severity.ERROR for one in found.get(case, ())))
    suite = etree.SubElement(root, "testsuite", name=_SUITE, tests=str(len(cases)), failures=str(failed))
    for name in ("errors", "skipped", "time"):
        suite.set(name, "0")
    for file, name in cases:
        _case(suite, file, name, found.get((file, name), ()))
    text: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return text.decode()


def _case(suite: etree._Element, file: str, name: str, problems: Sequence[Problem]) -> None:
    case = etree.SubElement(suite, "testcase", classname=_safe(file), name=_safe(name), file=_safe(file), time="0")
    errors = [one for one in problems if one.severity is Severity.ERROR]
    if errors:
        first = errors[0]
        case.set("line", str(max(1, first.place.line)))
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        failure = etree.SubElement(case, "failure", type=first.code, message=_safe(first.message) + more)
        failure.text = "\n".join(_lines(errors))
    warnings = [one for one in problems if one.severity is Severity.WARNING]
    if warnings:
        etree.SubElement(case, "system-out").text = "\n".join(_lines(warnings))


def _lines(problems: Sequence[Problem]) -> Iterator[str]:
    for one in problems:
        yield _safe(str(one))


def _safe(text: str) -> str:
    """One line without what XML cannot hold; U+FFFE and U+FFFF are no characters to it."""
    return one_line(text, _MAX_TEXT).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
