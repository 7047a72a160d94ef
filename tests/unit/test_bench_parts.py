"""What `make bench` measures in processes of its own still runs: on a repository too small to measure anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.corpus import Corpus
from bench.load import fetched, once


@pytest.mark.parametrize("command", ["bench.load_once load", "bench.load_once change", "bench.plan_once"])
def test_it_runs(command: str, tmp_path: Path) -> None:
    repository, state = fetched(Corpus(count=60), tmp_path)
    module, *what = command.split()
    found = once(module, *what, repository, state)
    assert all(value >= 0 for values in found.values() for value in values)
    assert max(map(len, found.values())) > 0
