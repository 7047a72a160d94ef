"""From objects that are present locally to validated documents: cold, after a restart, after one change, and in what memory.

Every measurement is a process of its own (`bench.load_once`); gitvirt and its bound take turns. All of it runs in one thread,
so times are seconds of CPU; what passed is printed beside them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.corpus import Corpus, build, follow
from bench.figure import Figure

SMALL, MEDIUM, LARGE = 1_000, 10_000, 100_000
MANY = 100
ROUNDS = {SMALL: 5, MEDIUM: 3, LARGE: 1}
MEMORY_MB = {MEDIUM: 400.0, LARGE: 2000.0}


def measure() -> list[Figure]:
    """1,000 and 10,000 VMs."""
    return _measure((SMALL, MEDIUM))


def measure_large() -> list[Figure]:
    """100,000 VMs, and 1,000 as what a change is compared with."""
    return _measure((SMALL, LARGE))


def _measure(sizes: tuple[int, ...]) -> list[Figure]:
    figures: list[Figure] = []
    smallest: dict[tuple[int, str], tuple[float, ...]] = {}
    with tempfile.TemporaryDirectory(prefix="gitvirt-bench-") as name:
        for count in sizes:
            for per_file in (1, MANY):
                corpus = Corpus(count=count, per_file=per_file)
                figures += _loads(corpus, Path(name))
                figures += _changes(corpus, Path(name), smallest)
    return figures


def _loads(corpus: Corpus, directory: Path) -> list[Figure]:
    """Cold, from the cache, and the peak of memory."""
    repository, state = fetched(corpus, directory)
    bounds: list[float] = []
    cold: list[float] = []
    cached: list[float] = []
    peaks: list[float] = []
    for number in range(ROUNDS[corpus.count]):
        shutil.rmtree(state / "cache", ignore_errors=True)
        rounds = [
            once("bench.load_once", "bound", repository, state),
            *(once("bench.load_once", "load", repository, state) for _ in (cold, cached)),
        ]
        for found, times in zip(rounds, (bounds, cold, cached), strict=True):
            times.extend(found["seconds"])
            peaks.extend(found.get("peak_mb", ()))
            if found.get("documents", [corpus.count + 1]) != [corpus.count + 1]:
                raise RuntimeError(f"{found['documents']} documents of {corpus.shown}")
        shown = ", ".join(
            f"{name} {found['seconds'][0]:.2f} s ({found['passed'][0]:.2f} s passed)"
            for name, found in zip(("CSafeLoader", "cold", "cached"), rounds, strict=True)
        )
        print(f"    {corpus.shown}, round {number}: {shown}, peak {max(peaks[-2:]):.0f} MB", flush=True)
    what = f"load {corpus.shown}"
    figures = [
        Figure(what=f"{what}: cold", bound="CSafeLoader, same bytes", measured=(*cold,), bounds=(*bounds,), aim=2.0),
        Figure(what=f"{what}: restart", bound="cold", measured=(*cached,), bounds=(*cold,), aim=0.2),
    ]
    if corpus.count in MEMORY_MB:
        limit = (MEMORY_MB[corpus.count],)
        figures.append(
            Figure(
                what=f"{what}: peak memory", bound="its limit", measured=(max(peaks),), bounds=limit, aim=1.0, unit="MB"
            )
        )
    return figures


def _changes(corpus: Corpus, directory: Path, smallest: dict[tuple[int, str], tuple[float, ...]]) -> list[Figure]:
    """One VM changed; the same at 1,000 VMs in that layout is the bound."""
    repository, state = fetched(corpus, directory)
    own = directory / f"{corpus.name}.changing"
    shutil.copytree(state, own, symlinks=True)
    tips = git(repository, "rev-parse", "refs/heads/main").strip()
    try:
        found = once("bench.load_once", "change", repository, own)
    finally:
        git(repository, "update-ref", "refs/heads/main", tips)
        shutil.rmtree(own)
    passed = sorted(found["passed"])[len(found["passed"]) // 2]
    print(
        f"    one change in {corpus.shown}, from the ref to its documents: {passed * 1000:.1f} ms passed",
        flush=True,
    )
    figures = []
    for part, what in (("listed", "seen, judged and listed"), ("loaded", "read, parsed and checked")):
        values = tuple(found[part])
        bounds = smallest.setdefault((corpus.per_file, part), values)
        figures.append(
            Figure(
                what=f"one change in {corpus.shown}: {what}",
                bound="at 1,000",
                measured=values,
                bounds=bounds,
                aim=2.0,
            )
        )
    return figures


def fetched(corpus: Corpus, directory: Path) -> tuple[Path, Path]:
    """The remote, and a state directory with its fetched mirror; made once."""
    repository, state = build(corpus, directory), directory / f"{corpus.name}.state"
    if not state.exists():
        state.mkdir(mode=0o700)
        follow(repository, state).fetch()
    return repository, state


def once(module: str, *arguments: str | Path) -> dict[str, list[float]]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def git(repository: Path, *arguments: str) -> str:
    """What git answers."""
    return subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True, text=True).stdout
