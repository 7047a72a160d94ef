"""The simulation sees: each planted bug is caught within a bounded number of runs."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.simulation.crew import Crew, Job
from tests.simulation.histories import make_history
from tests.simulation.planted import PLANTED, PROVOKED, Plant
from tests.simulation.run import Simulation
from tests.simulation.schedule import AtStep, by_turns, no_fault

HISTORIES = 40


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Plant, crew: Crew) -> None:
    with closing(crew.run(_jobs(plant))) as results:
        caught = next((result for result in results if result.violations), None)
    assert caught is not None, f"{plant.__name__} went unseen"
    history = make_history(caught.seed, favours=PROVOKED[plant].favours)
    healthy = Simulation(history, caught.fault).run()
    assert not healthy.violations, f"{plant.__name__} was not what broke: {healthy}"
    assert not any("gitvirt broke" in said for said in caught.violations), f"{plant.__name__} only crashed: {caught}"


def _jobs(plant: Plant) -> list[Job]:
    """Histories without faults, then the same with them: finds first what needs no fault."""
    provoked, name = PROVOKED[plant], plant.__name__
    histories = [make_history(seed, favours=provoked.favours) for seed in range(HISTORIES)]
    if provoked.kind is not None:
        return [Job(history=one, choose=AtStep(provoked.kind, provoked.step), plant=name) for one in histories]
    calm = [Job(history=one, choose=no_fault, plant=name) for one in histories]
    return [*calm, *(Job(history=one, choose=by_turns, plant=name) for one in histories)]
