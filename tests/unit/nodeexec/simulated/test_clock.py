"""Time and threads of the simulation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers


def test_time_stands_still_until_it_is_told_to_pass() -> None:
    clock = SimulatedClock()
    before = (clock.now(), clock.monotonic())
    assert (clock.now(), clock.monotonic()) == before
    clock.advance(90.0)
    assert clock.now() - before[0] == timedelta(seconds=90)
    assert clock.monotonic() - before[1] == 90.0


def test_a_wrong_time_of_day_is_no_passing_time() -> None:
    clock = SimulatedClock()
    heard: list[float] = []
    clock.on_advance(lambda: heard.append(clock.monotonic()))
    before = clock.monotonic()
    clock.jump(-3600.0)
    assert (clock.monotonic(), heard) == (before, [])
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1.0)


def test_background_work_waits_for_steps_and_queues_itself_again() -> None:
    workers = SteppedWorkers()
    done: list[int] = []

    def share() -> None:
        done.append(len(done))
        if len(done) < 3:
            workers.background("copy", share)

    workers.background("copy", share)
    workers.background("copy", lambda: done.append(99))
    assert (workers.is_under_way("copy"), done) == (True, [])
    assert workers.step() == "copy"
    assert done == [0]
    workers.run_all()
    assert (done, workers.is_under_way("copy"), workers.step()) == ([0, 1, 2], False, "")


def test_work_without_an_end_is_noticed() -> None:
    workers = SteppedWorkers()

    def for_ever() -> None:
        workers.background("loop", for_ever)

    workers.background("loop", for_ever)
    with pytest.raises(RuntimeError, match="loop"):
        workers.run_all(limit=10)


def test_map_keeps_the_order() -> None:
    seen: list[int] = []

    def double(item: int) -> int:
        seen.append(item)
        return 2 * item

    assert SteppedWorkers().map(double, [3, 1, 2]) == [6, 2, 4]
    assert seen == [3, 1, 2]
