"""Every code is registered, used and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.model.annotations import ANNOTATIONS, WRITTEN
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place
from reconciler.model.problem_codes import AREAS, codes_table, problem

ROOT = Path(__file__).parents[3]
ENTRIES = [entry for _, entries in AREAS for entry in entries]
SOURCES = {
    path: path.read_text()
    for package in ("reconciler", "nodeexec")
    for path in (ROOT / package).rglob("*.py")
    if path.parent.name != "codes"
}


def test_codes_are_unique_and_well_formed() -> None:
    codes = [entry.code for entry in ENTRIES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", code) for code in codes)
    assert all(entry.meaning.endswith(".") and entry.remedy.endswith((".", "`")) for entry in ENTRIES)


@pytest.mark.parametrize("code", [entry.code for entry in ENTRIES])
def test_each_registered_code_is_used(code: str) -> None:
    assert any(f'"{code}"' in text for text in SOURCES.values())


def test_each_code_that_is_used_is_registered() -> None:
    known = {entry.code for entry in ENTRIES}
    call = re.compile(
        r"""(?:\bproblem|\.add|_problem|Need|Hold)\(\s*"([a-z0-9]+(?:-[a-z0-9]+)+)"|\bProblem\(\s*code="([^"]+)\""""
    )
    used = {match[1] or match[2] for text in SOURCES.values() for match in call.finditer(text)}
    assert len(used) > 40
    assert used <= known, used - known


def test_the_page_holds_the_table_as_registered() -> None:
    page = (ROOT / "docs" / "problems.md").read_text()
    assert page.endswith(codes_table()), "docs/problems.md is out of date: put codes_table() at its end"


def test_a_problem_takes_its_severity_from_its_code() -> None:
    key = ObjectKey("VirtualMachine", "default", "a")
    found = problem("clone-source-missing", Place("a.yaml", 1, 2), "text", object=key, path="spec", hint="do")
    assert str(found) == "a.yaml:1:2: warning clone-source-missing VirtualMachine/default/a spec: text (do)"
    with pytest.raises(KeyError):
        problem("no-such-code", Place("a.yaml"), "text")


def test_each_rule_of_an_object_is_broken_by_a_test() -> None:
    texts = [path.read_text() for path in (ROOT / "tests" / "unit").rglob("test_*.py")]
    rules = {
        entry.code for entry in ENTRIES if entry.code.startswith(("vm-", "claim-", "datavolume-", "label-", "nad-"))
    }
    assert {code for code in rules if not any(f'"{code}"' in text for text in texts)} == set()


def test_each_annotation_in_the_code_is_registered() -> None:
    written = {found for text in SOURCES.values() for found in re.findall(r'"(gitvirt\.io/[a-z-]+)"', text)}
    assert written <= ANNOTATIONS | WRITTEN
    page = (ROOT / "docs" / "manifests.md").read_text()
    assert {one for one in ANNOTATIONS if f"`{one}" not in page} == set()


def test_the_page_on_admission_names_every_rule_and_no_other() -> None:
    page = (ROOT / "docs" / "admission.md").read_text().partition("## Beside them")[0]
    named = {
        code for row in re.findall(r"^\|.*\| (.*) \|$", page, re.MULTILINE) for code in re.findall(r"`([^`]+)`", row)
    }
    known = {entry.code for entry in ENTRIES}
    assert named <= known, named - known
    rules = {code for code in known if code.startswith(("vm-", "claim-", "datavolume-", "label-", "annotation-"))}
    between = {"claim-missing", "claim-collision"}
    assert rules - between <= named, rules - named
