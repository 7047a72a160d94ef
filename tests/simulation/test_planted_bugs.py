"""The simulation sees: each planted bug is caught within a bounded number of runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.simulation.crew import Crew, Job
from tests.simulation.histories import make_history
from tests.simulation.planted import NEEDS, PLANTED, Patch
from tests.simulation.run import run_once
from tests.simulation.schedule import Only, by_turns, no_fault

HISTORIES = 40


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[Patch], None], crew: Crew) -> None:
    with closing(crew.run(_jobs(plant))) as results:
        caught = next((result for result in results if result.violations), None)
    assert caught is not None, f"{plant.__name__} went unseen"
    healthy = run_once(caught.seed, caught.fault)
    assert not healthy.violations, f"{plant.__name__} was not what broke: {healthy}"


def _jobs(plant: Callable[[Patch], None]) -> list[Job]:
    """Histories without faults, then the same with them: finds first what needs no fault."""
    histories = [make_history(seed) for seed in range(HISTORIES)]
    kind, name = NEEDS.get(plant), plant.__name__
    calm = [Job(history=one, choose=no_fault, plant=name) for one in histories if kind is None]
    faulty = [Job(history=one, choose=Only(kind) if kind else by_turns, plant=name) for one in histories]
    return [*calm, *faulty]
