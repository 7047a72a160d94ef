"""The pages of ``docs/`` are reachable, name what there is, and lead nowhere that is not there."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from reconciler.cli.app import build_app
from reconciler.cli.command_table import command_table
from reconciler.settings.load import load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
ADRS = sorted((DOCS / "adr").glob("*.md"))
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_LONG = re.compile(r"--[a-z][a-z-]+")
_CODE = re.compile(r"`([^`]+)`")
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)


def _rows(page: str) -> Iterator[list[str]]:
    """The cells of every row of every table of a page."""
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _row_of(command: str) -> tuple[bool, set[str]]:
    """Whether a table of the page names a command, and the options that it or the table of shared options gives it."""
    is_named, options = False, set()
    for first, *rest in _rows("cli.md"):
        names = [re.sub(r"^gitvirt ", "", name) for name in _CODE.findall(first) if name.startswith("gitvirt ")]
        if any(f"{name} ".startswith(f"{command} ") for name in names):
            is_named = True
            options.update(_LONG.findall(" ".join((first, *rest))))
        elif first.startswith("`-") and command in _CODE.findall(rest[0]):
            options.update(_LONG.findall(first))
    return is_named, options


COMMANDS = {row.path: row for row in command_table(get_command(build_app()))[1:]}


@pytest.mark.parametrize("path", COMMANDS)
def test_the_page_of_the_command_line_names_every_command_and_option(path: str) -> None:
    is_named, told = _row_of(path)
    assert is_named
    assert {name for option in COMMANDS[path].options for name in option.names if name.startswith("--")} <= told


def test_the_page_of_the_command_line_names_no_other_command() -> None:
    named = {word for first, *_ in _rows("cli.md") for word in re.findall(r"`gitvirt ([a-z]+)", first)}
    assert named == {path.split(" ")[0] for path in COMMANDS}


def _settings(schema: Mapping[str, Any], whole: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The dotted path of every setting that holds a value."""
    if "$ref" in schema:
        schema = {**reduce(getitem, schema["$ref"].split("/")[1:], whole), **schema}
    inner = schema.get("additionalProperties")
    if schema.get("properties"):
        for name, one in schema["properties"].items():
            yield from _settings(one, whole, f"{path}.{name}" if path else name)
    elif isinstance(inner, dict) and inner.get("properties"):
        yield from _settings(inner, whole, f"{path}.NAME")
    else:
        yield path


def _documented_settings() -> set[str]:
    """First cells of the table; ``.name`` stands for another entry of what the name before it is in."""
    found: set[str] = set()
    for first, *_ in _rows("settings.md"):
        last = ""
        for name in _CODE.findall(first):
            last = f"{last.rpartition('.')[0]}{name}" if name.startswith(".") else name
            found.add(last)
    return found


def test_the_page_of_the_settings_names_every_one() -> None:
    schema = json.loads((ROOT / "schemas/settings.json").read_text())
    told = {name.replace("sources[].", "source.") for name in _documented_settings()}
    assert set(_settings(schema, schema)) - told == set()


def test_settings_that_pages_show_are_valid(tmp_path: Path) -> None:
    known = json.loads((ROOT / "schemas/settings.json").read_text())["properties"]
    shown = [block for page in PAGES for block in re.findall(r"^ *```yaml\n(.*?)```", page.read_text(), re.M | re.S)]
    settings = [block for block in shown if block.lstrip().partition(":")[0] in known]
    assert len(settings) >= 5
    for block in settings:
        (tmp_path / "settings.yaml").write_text(block)
        load_settings(tmp_path / "settings.yaml")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_what_is_there(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_whole(page: Path) -> None:
    table: list[str] = []
    for line in [*_FENCED.sub("", page.read_text()).splitlines(), ""]:
        if line.startswith("|"):
            table.append(line)
        elif table:
            assert re.fullmatch(r"[|\s:-]+", table[1]), f"no heading above {table[0]}"
            widths = {len(re.split(r"(?<!\\)\|", row)) for row in table}
            assert len(widths) == 1, table[0]
            table = []


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in _LINK.findall((ROOT / "README.md").read_text())}
    assert {page for page in DOCS.iterdir() if page.suffix in (".md", ".1")} - linked == set()


def test_every_decision_is_linked_from_another_page() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in _LINK.findall(page.read_text())
        if "://" not in link and (page.parent / link.partition("#")[0]).resolve() != page
    }
    assert set(ADRS) - linked == set()


def test_architecture_names_only_modules_that_are_there() -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for tree in ("reconciler", "nodeexec", "tests")
        for path in (ROOT / tree).rglob("*.py")
    }
    named = re.findall(r"`([a-z_/]+\.py)`", (DOCS / "architecture.md").read_text())
    assert [name for name in named if not any(f"/{module}".endswith(f"/{name}") for module in modules)] == []


def test_laws_that_the_code_names_are_in_the_architecture() -> None:
    listed = set(re.findall(r"^(\d+)\. \*\*", (DOCS / "architecture.md").read_text().partition("## Laws")[2], re.M))
    sources = (path for tree in ("reconciler", "nodeexec", "docs") for path in (ROOT / tree).rglob("*.[pm][yd]"))
    assert {number for path in sources for number in re.findall(r"\blaw (\d+)", path.read_text())} <= listed


def test_decisions_have_numbers_of_their_own_and_say_what_was_asked_chosen_and_paid() -> None:
    numbers = [path.name[:4] for path in ADRS]
    assert len(set(numbers)) == len(numbers)
    for path in ADRS:
        text = path.read_text()
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
        if int(path.name[:4]) > 2:
            assert [word for word in ("**Question.**", "**Choice.**", "**Cost.**") if word not in text] == [], path.name


def _tests_that_are_there() -> dict[str, set[str]]:
    """Each file of tests, and what is in it as pytest names it."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        names: set[str] = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.ClassDef):
                names |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        found[path.relative_to(ROOT / "tests").as_posix()] = names
    return found


def test_tests_that_the_failure_model_names_are_there() -> None:
    there, last, missing, named = _tests_that_are_there(), "", [], 0
    for said in _CODE.findall((DOCS / "failure-model.md").read_text()):
        path, _, name = said.partition("::")
        if not path.endswith(".py") and not said.startswith("::"):
            continue
        last = path or last
        named += 1
        if last not in there or (name and name not in there[last]):
            missing.append(said)
    assert missing == []
    assert named > 50


def test_every_fault_of_the_failure_model_names_a_test() -> None:
    for fault, _, shown in _rows("failure-model.md"):
        assert fault == "Fault" or set(fault) <= {"-", ":"} or ".py" in shown, fault
