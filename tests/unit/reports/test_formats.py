"""Reports for CI systems: their shape, and hostile text in them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.problem_codes import problem
from reconciler.reports.github import to_github
from reconciler.reports.junit import to_junit
from reconciler.reports.report import Report, fingerprints, to_json
from reconciler.reports.sarif import artifact, to_sarif

WEB, DB = ObjectKey("VirtualMachine", "default", "web"), ObjectKey("VirtualMachine", "default", "db")
HOSTILE = "a\r\n::error::b %0A ]]>\x1b[31m\u202e,:<\x00\ufffe&"
PROBLEMS = (
    problem("vm-no-memory", Place("vms/we b.yaml", 9, 7), HOSTILE, object=WEB, path="spec.x", hint="add 100%"),
    problem("vm-cloud-init-size", Place("vms/we b.yaml", 12, 1), "large", object=WEB, path="spec.y"),
    problem("vm-disk-bus", Place("vms/we b.yaml", 14, 3), "bus", object=WEB, path="spec.z"),
    problem("yaml-syntax", Place("/srv/bad,1.yaml"), "not YAML"),
)
REPORT = Report(problems=PROBLEMS, objects=((WEB, "vms/we b.yaml"), (DB, "vms/db.yaml")), files=3)
EMPTY = Report(problems=(), objects=(), files=0)


def test_github_commands_hold_one_problem_each_and_no_command_of_the_text() -> None:
    lines = list(to_github(REPORT))
    assert len(lines) == 4
    assert lines[0].startswith(
        "::error file=vms/we b.yaml,line=9,col=7,title=vm-no-memory in VirtualMachine/default/web::"
    )
    assert lines[0].endswith("(add 100%25)")
    assert "%250A" in lines[0]
    assert lines[1].startswith("::warning ")
    assert lines[3] == "::error file=/srv/bad%2C1.yaml,title=yaml-syntax::not YAML"
    assert not re.search(r"[\r\n\x1b\x00\u202e]", "".join(lines))
    assert list(to_github(EMPTY)) == []


def test_junit_has_a_case_an_object_and_says_what_failed() -> None:
    root = etree.fromstring(to_junit(REPORT).encode())
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "3",
        "2",
        "0",
        "0",
    )
    cases = {case.get("name"): case for case in suite}
    assert set(cases) == {"VirtualMachine/default/web", "VirtualMachine/default/db", "/srv/bad,1.yaml"}
    web = cases["VirtualMachine/default/web"]
    assert (web.get("classname"), web.get("file"), web.get("line")) == ("vms/we b.yaml", "vms/we b.yaml", "9")
    (failure,) = web.findall("failure")
    assert failure.get("type") == "vm-no-memory" and failure.get("message").endswith("(and 1 more)")
    assert [line.split(" ")[3] for line in failure.text.splitlines()] == ["vm-no-memory", "vm-disk-bus"]
    assert "vm-cloud-init-size" in web.findtext("system-out")
    assert list(cases["VirtualMachine/default/db"]) == []
    assert etree.fromstring(to_junit(EMPTY).encode())[0].get("tests") == "0"


def test_sarif_has_what_the_standard_requires() -> None:
    log: Any = json.loads(json.dumps(to_sarif(REPORT, "1.2.3")))
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("gitvirt", "1.2.3")
    rules = [rule["id"] for rule in driver["rules"]]
    assert rules == sorted({one.code for one in PROBLEMS})
    assert all(set(rule) == {"id", "shortDescription", "help", "defaultConfiguration"} for rule in driver["rules"])
    assert len(run["results"]) == 4
    for result, told in zip(run["results"], PROBLEMS, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == told.code
        assert result["level"] == ("warning" if told.severity is Severity.WARNING else "error")
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region == {"startLine": max(1, told.place.line), "startColumn": max(1, told.place.column)}
        assert re.fullmatch(r"[0-9a-f]{32}", result["partialFingerprints"]["gitvirt/v1"])
        assert not re.search(r"[\r\x1b\x00\u202e]", result["message"]["text"])
    assert run["results"][0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == f"{WEB}/spec.x"
    assert to_sarif(EMPTY, "0")["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("file", "uri", "base"),
    [
        ("vms/we b.yaml", "vms/we%20b.yaml", "%SRCROOT%"),
        ("./a:b%.yaml", "a%3Ab%25.yaml", "%SRCROOT%"),
        ("/srv/ä.yaml", "file:///srv/%C3%A4.yaml", None),
        ("<stdin>", "%3Cstdin%3E", "%SRCROOT%"),
    ],
)
def test_files_as_uris(file: str, uri: str, base: str | None) -> None:
    found = artifact(file)
    assert (found["uri"], found.get("uriBaseId")) == (uri, base)


def test_fingerprints_outlive_moved_lines_and_new_words_but_not_another_fault() -> None:
    before = fingerprints(PROBLEMS)
    moved = [
        replace(one, place=Place(one.place.file, one.place.line + 5, 1), message="other words") for one in PROBLEMS
    ]
    assert fingerprints(moved) == before
    assert len(set(before)) == len(before)
    renamed = [replace(one, place=Place("new.yaml", 1, 1)) for one in PROBLEMS[:3]]
    assert fingerprints(renamed) == before[:3]
    twice = fingerprints((PROBLEMS[0], PROBLEMS[0]))
    assert twice[0] == before[0] and twice[1] != twice[0]
    assert fingerprints([replace(PROBLEMS[0], path="spec.other")]) != before[:1]


def test_json_is_the_problem_and_its_fingerprint() -> None:
    (first, *_) = to_json(REPORT)["problems"]
    assert first == {**PROBLEMS[0].to_dict(), "fingerprint": fingerprints(PROBLEMS)[0]}


def test_every_severity_has_a_level() -> None:
    for severity in Severity:
        one = Problem(code="yaml-syntax", severity=severity, place=Place("a"), message="m")
        report = Report(problems=(one,), objects=(), files=1)
        assert len(list(to_github(report))) == len(to_sarif(report, "0")["runs"][0]["results"]) == 1
