"""``gitvirt history``: a real repository, a real journal, and the command over them."""

from __future__ import annotations

import json
import re

import pytest

from reconciler.journal.history import patch
from reconciler.model.errors import JournalError
from reconciler.model.keys import ObjectKey
from reconciler.wiring import build_core
from tests.unit.cli.commands import run
from tests.unit.daemon.benches import Bench
from tests.unit.daemon.homes import Home, vm_text

pytestmark = pytest.mark.usefixtures("logging_as_before")

WEB = ObjectKey("VirtualMachine", "default", "web")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A VM that was made, stopped by a person and changed by a commit with a hostile subject."""
    bench = Bench(tmp_path_factory.mktemp("home"))
    bench.ask("reconcile")
    bench.ask("stop", name="web")
    bench.settle(lambda: bench.state("web") == "Stopped")
    bench.home.commit({"web.yaml": vm_text("web", cores=2)}, "two\x1b[2J cores")
    bench.ask("reconcile")
    return bench.home


def test_what_became_of_it_newest_first(home: Home) -> None:
    items = json.loads(run("history", "web", "-o", "json", home=home)[1])["items"]
    assert [item["action"] for item in items] == ["update", "update", "stop", "create"]
    changed, stopped, asked, made = items
    assert (changed["cause"], changed["author"].split()[0], changed["subject"]) == ("commit", "Ann", "two\x1b[2J cores")
    assert changed["revision"] == home.git("rev-parse", "HEAD")
    assert changed["differences"][0].startswith("spec.template.spec.domain.cpu.cores: 1 -> 2")
    assert (stopped["cause"], asked["result"], made["subject"]) == ("operator", "asked", "first")
    assert all("patch" not in item for item in items)


def test_for_people(home: Home) -> None:
    table = run("history", "default/web", "--limit", "1", home=home)[1]
    assert re.search(r"update +commit +Ann .* two\ufffd\[2J cores +spec.template.spec.domain.cpu.cores: 1 -> 2", table)
    told = run("history", "web", "-p", home=home)[1]
    assert "\x1b" not in told
    assert "    -  phase: Running\n    +  phase: Succeeded\n" in told
    claim = run("history", "PersistentVolumeClaim/default/web-root", "-p", "-o", "json", home=home)[1]
    (made,) = json.loads(claim)["items"]
    assert made["patch"].startswith("--- live before\n+++ live after\n@@ -0,0 ")


def test_nothing_to_tell(home: Home) -> None:
    code, _, err = run("history", "nobody", home=home)
    assert code == 1 and "no change of nobody" in err


def test_versions_of_a_commit_that_is_not_there(home: Home) -> None:
    core = build_core(home.settings)
    with pytest.raises(JournalError, match="cannot be read"):
        core.journal.versions("0" * 40, WEB)
    with pytest.raises(JournalError):
        core.journal.versions("no commit", WEB)
    newest = next(entry.commit for entry in core.journal.entries())
    assert core.journal.versions(newest, ObjectKey("VirtualMachine", "x", "y")) == ("", "")


def test_a_patch_of_equal_texts_is_empty() -> None:
    assert patch("a\n", "a\n") == ""
