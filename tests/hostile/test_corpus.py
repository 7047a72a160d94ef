"""What stands in a repository ends in a problem, in fixed time and memory, and disturbs nothing else in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.plain_text import is_plain
from reconciler.model.problem import Severity
from tests.hostile.corpus import LARGE, LARGER, SMALL, Case, vm
from tests.hostile.repository import FILE, LINK, SUBMODULE, TREE, Repository
from tests.hostile.way_in import take_in

GOOD = "VirtualMachine/default/good"
MEMORY_BYTES = 2 << 30
PEAK_MIB = 800
CPU_S = 60
CORPUS = (*LARGE, *LARGER) if os.environ.get("GITVIRT_CORPUS") == "full" else LARGE


def follow(repository: Repository, *, memory_bytes: int = MEMORY_BYTES, cpu_s: int = CPU_S) -> dict[str, Any]:
    """`way_in` in a process of its own, which the kernel ends when it takes too much."""
    command = ["prlimit", f"--as={memory_bytes}", f"--cpu={cpu_s}", sys.executable, "-B", "-m", "tests.hostile.way_in"]
    ended = subprocess.run(
        [*command, str(repository.settings())], capture_output=True, text=True, timeout=4 * cpu_s, check=False
    )
    assert ended.returncode == 0, f"ended with {ended.returncode}: {ended.stderr[-2000:]}"
    seen: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert seen["peak_mib"] < PEAK_MIB
    assert seen["longest"] < 2000
    assert seen["touched"]
    own = (f"{repository.directory}/", "/run/gitvirt/locks/", "/dev/null")
    outside = [path for path in seen["touched"] if not path.startswith(own)]
    assert not outside, f"written, run or read outside of gitvirt's own directories: {outside}"
    return seen


def is_well(seen: dict[str, Any]) -> bool:
    """Whether the good VM beside all this runs."""
    return seen["source"] == "ready" and seen["status"].get(GOOD) == "Running"


def test_every_file_is_told_its_fault() -> None:
    wrong = []
    for case in SMALL:
        begun = time.process_time()
        problems, _ = take_in({"case.yaml": case.data()})
        taken = time.process_time() - begun
        codes = {found.code for found in problems}
        errors = {found.code for found in problems if found.severity is Severity.ERROR}
        plain = all(is_plain(found.message + found.hint) for found in problems)
        if (case.code not in codes if case.code else errors) or taken > 5 or not plain:
            wrong.append(f"{case.name}: wanted {case.code or 'no error'}, got {sorted(codes)} in {taken:.1f} s")
    assert not wrong, "\n".join(wrong)


def test_all_of_them_in_one_repository_with_odd_names(tmp_path: Path) -> None:
    """The real cycle over real Git objects: the good VM runs, and every fault is told of the file that has it."""
    repository = Repository(tmp_path)
    blob = repository.blob(vm("twin").encode())
    hidden = repository.tree([(FILE, b"config.yaml", blob)])
    odd = [
        (LINK, b"link.yaml", repository.blob(b"/etc/shadow")),
        (SUBMODULE, b"module.yaml", "12" * 20),
        (FILE, b"bad\xff.yaml", blob),
        (FILE, b"CON.yaml", blob),
        (FILE, b"back\\slash.yaml", repository.blob(vm("backslash").encode())),
        (FILE, b"esc\x1b[2J.yaml", blob),
        (FILE, "rtl\u202e.yaml".encode(), blob),
        (FILE, b"x" * 300 + b".yaml", blob),
        (TREE, b".git", hidden),
        (TREE, b"..", hidden),
        (FILE, b"con.yaml", blob),
    ]
    files = {"good.yaml": vm("good").encode(), **{f"{case.name}.yaml": case.data() for case in SMALL}}
    repository.commit_files(files, odd)
    seen = follow(repository)
    assert is_well(seen), seen
    said_later = {
        "field-not-supported",
        "field-without-effect",
        "bridge-not-allowed",
        "nad-ipam-invalid",
        "interface-not-allowed",
    }  # of the host
    for case in SMALL:
        told = seen["codes"].get(f"{case.name}.yaml", [])
        assert case.code in (*told, *said_later, ""), f"{case.name}: {told}"
    refused = [name for name, codes in seen["codes"].items() if "file-refused" in codes]
    assert {"link.yaml", "module.yaml", "..", "esc\\u{1b}[2J.yaml", "rtl\\u{202e}.yaml"} <= set(refused), refused
    assert not any(name.startswith(".git/") for name in seen["codes"])
    assert seen["codes"]["CON.yaml"] == seen["codes"]["con.yaml"] == ["object-duplicate"]
    assert seen["status"]["VirtualMachine/default/backslash"] == "Running"
    assert seen["again_s"] < 10
    assert not Path("/tmp/pwned").exists()


@pytest.mark.parametrize("case", CORPUS, ids=[case.name for case in CORPUS])
def test_a_large_file_beside_a_good_one(case: Case, tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit_files({"good.yaml": vm("good").encode(), "case.yaml": case.data()})
    seen = follow(repository)
    assert is_well(seen), seen
    told = seen["codes"].get("case.yaml", [])
    assert (case.code in told) if case.code else not told
    assert seen["count"] <= 1001


def test_a_tree_of_a_hundred_thousand_entries(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    empty = repository.blob(b"")
    many = repository.tree((FILE, b"f%06d.yaml" % number, empty) for number in range(100_000))
    repository.commit_files({"good.yaml": vm("good").encode()}, [(TREE, b"many", many)])
    assert is_well(follow(repository))


def test_trees_that_hold_each_other_many_times(tmp_path: Path) -> None:
    """A bomb of trees: thirty levels of ten entries that are all the same tree."""
    repository = Repository(tmp_path)
    tree = repository.tree([(FILE, b"a.yaml", repository.blob(b""))])
    for _ in range(30):
        tree = repository.tree([(TREE, b"d%d" % number, tree) for number in range(10)])
    repository.commit(tree)
    seen = follow(repository)
    assert seen["source"] == "refused"
    assert "point the source at a sub-path" in seen["message"]


def test_the_bounds_of_these_tests_can_fail(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit_files({"good.yaml": vm("good").encode()})
    with pytest.raises(AssertionError, match="ended with"):
        follow(repository, memory_bytes=64 << 20)
