"""The simulation sees: each planted bug is caught within a bounded number of runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.planted import NEEDS, PLANTED, Patch
from tests.simulation.run import run_once
from tests.simulation.schedule import calm_then_faulty

HISTORIES = 40


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as planted:
        plant(planted.setattr)
        caught = next(
            (result for result in calm_then_faulty(HISTORIES, only=NEEDS.get(plant)) if result.violations), None
        )
    assert caught is not None, f"{plant.__name__} went unseen"
    healthy = run_once(caught.seed, caught.fault)
    assert not healthy.violations, f"{plant.__name__} was not what broke: {healthy}"
