"""The hour of the blast radius over the real cycle: it lasts an hour, whatever the time of day is set to."""

from __future__ import annotations

import pytest

from reconciler.daemon.wake import Wake
from tests.unit.daemon.test_cycle import World
from tests.unit.planning.building import claim

DAY_S = 86400.0
ALL = 20


def claims(first: int) -> str:
    return "".join(claim(f"data{index:02}") for index in range(first, ALL))


def declare(world: World, first: int) -> None:
    """Without those before ``first``."""
    world.commit(claims(first))
    world.cycle.run(Wake(fetch=True))
    world.settle()


def held(world: World) -> list[str]:
    world.cycle.run(Wake(everything=True))
    assert world.cycle.report is not None and world.cycle.report.plan is not None
    return [hold.rule for hold in world.cycle.report.plan.held]


@pytest.fixture
def world() -> World:
    """Three of twenty claims were deleted just now: one more is too many."""
    made = World()
    declare(made, 0)
    declare(made, 3)
    assert held(made) == []
    return made


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("jump_s", [DAY_S, 7200.0, -DAY_S])
def test_a_clock_that_is_set_forgets_no_deletion_and_keeps_none(world: World, jump_s: float, *, restarts: bool) -> None:
    world.clock.jump(jump_s)
    world.clock.advance(600.0)
    if restarts:
        world.restart()
    declare(world, 4)
    assert len(world.host.state.trash) == 3
    assert held(world) == ["blast-radius"]
    world.clock.advance(3000.0 + 60.0)
    assert held(world) == []


def test_after_a_reboot_the_date_is_all_there_is(world: World) -> None:
    world.host.reboot()
    declare(world, 4)
    assert held(world) == ["blast-radius"]
    world.clock.jump(3700.0)
    assert held(world) == []
