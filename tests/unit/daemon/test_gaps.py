"""What could not be read is looked at again by itself; and a cycle that hangs does not hang those who ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from reconciler.daemon.cycle_look import FIRST_GAP_LOOK_S, LONGEST_GAP_LOOK_S
from reconciler.daemon.in_time import in_time
from reconciler.daemon.wake import Wake
from reconciler.model.errors import EngineError
from reconciler.model.live import LOST
from reconciler.model.status import ObjectState
from tests.unit.daemon.parts import PATIENCE_S
from tests.unit.daemon.test_cycle import ROOT, WEB, World, running
from tests.unit.planning.building import claim, vm


@pytest.fixture
def world() -> World:
    return running(World())


@pytest.fixture
def dark(world: World) -> Iterator[World]:
    """The pool cannot be read, and no event tells of it."""
    world.host.set_unreadable("pool:default", "the directory is gone")
    world.host.drain_events()
    world.cycle.run(Wake(everything=True))
    return world


def test_a_pool_that_cannot_be_read_is_looked_at_again_soon_and_then_less_often(dark: World) -> None:
    waits = []
    for _ in range(8):
        report = dark.cycle.report
        assert report is not None and report.retry_after_s is not None
        waits.append(report.retry_after_s)
        dark.clock.advance(report.retry_after_s)
        dark.engine.asked.clear()
        dark.cycle.run(Wake())
        assert dark.engine.asked[0] is None
    assert waits[0] == FIRST_GAP_LOOK_S
    assert waits == sorted(waits) and waits[-1] == LONGEST_GAP_LOOK_S


def test_it_goes_on_by_itself_when_the_pool_is_back_and_polls_between_do_not_put_it_off(dark: World) -> None:
    dark.commit(vm("web") + claim("web-root") + claim("late"))
    dark.cycle.run(Wake(fetch=True))
    late = next(status for status in dark.cycle.status() if status.key.name == "late")
    assert late.state is ObjectState.UNKNOWN
    dark.host.set_unreadable("pool:default", "")
    dark.host.drain_events()
    for _ in range(4):
        dark.clock.advance(1.0)
        dark.cycle.run(Wake(fetch=True))
    assert {str(status.key): status.state for status in dark.cycle.status()}[str(late.key)] is ObjectState.READY
    report = dark.cycle.report
    assert report is not None and report.retry_after_s is None


def test_reasons_do_not_pile_up_with_each_look_at_a_few(dark: World) -> None:
    for _ in range(3):
        dark.cycle.run(Wake(keys=frozenset({ROOT})))
    observation = dark.cycle.observation
    assert observation is not None
    assert len(observation.unreadable) == len(set(observation.unreadable))


def test_a_lost_disk_is_shown_held_and_taken_up_when_it_is_back(world: World) -> None:
    volume = next(volume for volume in world.host.state.volumes.values() if volume.name == "default_web-root.qcow2")
    world.host.lose_volume(volume)
    world.cycle.run(Wake(everything=True))
    statuses = {status.key: status for status in world.cycle.status()}
    assert (statuses[ROOT].state, statuses[ROOT].printable_status) == (ObjectState.BLOCKED, LOST)
    assert statuses[WEB].printable_status == "Running"
    assert world.host.state.volumes == {}
    world.host.put_volume(volume)
    world.host.drain_events()
    report = world.cycle.report
    assert report is not None and report.retry_after_s is not None
    world.clock.advance(report.retry_after_s)
    world.cycle.run(Wake())
    assert {status.key: status.state for status in world.cycle.status()}[ROOT] is ObjectState.READY


def test_whoever_asks_while_a_cycle_hangs_is_told_so_and_what_was_known_before(world: World) -> None:
    known = world.cycle.status()
    inside, go_on = threading.Event(), threading.Event()
    observe = world.engine.observe

    def hang(keys: object) -> object:
        inside.set()
        go_on.wait(60)
        return observe(keys)

    world.engine.observe = hang
    cycle = threading.Thread(target=lambda: world.cycle.run(Wake(everything=True)))
    cycle.start()
    try:
        assert inside.wait(60)
        with pytest.raises(TimeoutError):
            in_time(world.cycle.plan_now, 0.05)
        assert world.cycle.status(patience_s=0) == known
    finally:
        go_on.set()
        cycle.join()
    assert in_time(world.cycle.plan_now, PATIENCE_S).changes == ()


def test_a_fault_in_time_is_the_callers() -> None:
    def fail() -> None:
        raise EngineError("libvirt does not answer")

    with pytest.raises(EngineError, match="does not answer"):
        in_time(fail, PATIENCE_S)


def test_readiness_follows_the_host(world: World) -> None:
    world.engine.unreachable = True
    world.cycle.run(Wake(everything=True))
    assert "libvirt does not answer" in world.cycle.engine_fault
    world.cycle.run(Wake(fetch=True))
    assert world.cycle.engine_fault
    world.engine.unreachable = False
    world.cycle.run(Wake(everything=True))
    assert world.cycle.engine_fault == ""
