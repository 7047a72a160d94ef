"""The simulation sees: each planted bug is caught within a bounded number of runs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest

from tests.simulation.planted import PLANTED, Patch
from tests.simulation.schedule import runs

RUNS = 600


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch.setattr)
    caught = next((result for result in islice(runs(faults=12), RUNS) if result.violations), None)
    assert caught is not None, f"{plant.__name__} went unseen in {RUNS} runs"
