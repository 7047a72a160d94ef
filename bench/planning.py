"""From one changed file to the finished plan, at three sizes; see `bench.plan_once`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import median

from bench.corpus import Corpus
from bench.figure import Figure
from bench.load import LARGE, MEDIUM, SMALL, fetched, git, once

LIMIT_S = {SMALL: 0.05, MEDIUM: 0.05, LARGE: 0.1}
NOTED_LIMIT_S = 0.3


def measure() -> list[Figure]:
    """1,000 and 10,000 VMs, and again where most of them have a note."""
    return [*_measure((SMALL, MEDIUM)), _with_notes(Corpus(count=MEDIUM))]


def measure_large() -> list[Figure]:
    """100,000 VMs, and 1,000 beside them."""
    return _measure((SMALL, LARGE))


def _measure(sizes: tuple[int, ...]) -> list[Figure]:
    figures: list[Figure] = []
    smallest: tuple[float, ...] = ()
    with tempfile.TemporaryDirectory(prefix="gitvirt-bench-") as name:
        for count in sizes:
            corpus = Corpus(count=count)
            found = _plans(corpus, Path(name))
            planned = tuple(found["planned"])
            smallest = smallest or planned
            print(
                f"    one change in {corpus.shown}: {median(planned) * 1000:.1f} ms of CPU, "
                f"{median(found['passed']) * 1000:.1f} ms passed, peak {found['peak_mb'][0]:.0f} MB",
                flush=True,
            )
            what = f"one change in {corpus.shown}: from the ref to the plan"
            limit = (LIMIT_S[count],)
            figures.append(Figure(what=what, bound="its limit", measured=planned, bounds=limit, aim=1.0))
            if count != SMALL:
                figures.append(Figure(what=what, bound="at 1,000", measured=planned, bounds=smallest, aim=2.0))
    return figures


def _with_notes(corpus: Corpus) -> Figure:
    """On a host of one CPU all VMs with more of them have a note."""
    with tempfile.TemporaryDirectory(prefix="gitvirt-bench-") as name:
        without, noted = (_plans(corpus, Path(name), cpus) for cpus in (0, 1))
    print(
        f"    one change in {corpus.shown}, {noted['notes'][0]:,.0f} notes: {median(noted['planned']) * 1000:.1f} ms of CPU, the whole cycle "
        f"{median(noted['cycle']) * 1000:.1f} ms, {median(without['cycle']) * 1000:.1f} ms without notes",
        flush=True,
    )
    what = f"one change in {corpus.shown}, most with a note: the whole cycle"
    return Figure(what=what, bound="its limit", measured=tuple(noted["cycle"]), bounds=(NOTED_LIMIT_S,), aim=1.0)


def _plans(corpus: Corpus, directory: Path, cpus: int = 0) -> dict[str, list[float]]:
    repository, state = fetched(corpus, directory)
    own = directory / f"{corpus.name}.planning"
    shutil.copytree(state, own, symlinks=True)
    tip = git(repository, "rev-parse", "refs/heads/main").strip()
    try:
        return once("bench.plan_once", repository, own, str(cpus))
    finally:
        git(repository, "update-ref", "refs/heads/main", tip)
        shutil.rmtree(own)
