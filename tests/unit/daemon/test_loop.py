"""The cycle thread: what wakes it, what it does with faults, and how others get a turn."""

from __future__ import annotations

import threading
import time

import pytest

from reconciler.daemon.clock import SystemClock
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.loop import CycleLoop
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError, EngineError
from reconciler.model.keys import ObjectKey
from tests.unit.daemon.parts import PATIENCE_S, FakeCycle, eventually, report, running

WEB = ObjectKey("VirtualMachine", "default", "web")
DB = ObjectKey("VirtualMachine", "default", "db")


def test_wakes_that_come_together_are_one_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = FakeCycle()
    monkeypatch.setattr("reconciler.daemon.loop.SETTLE_S", PATIENCE_S)
    with running(cycle) as loop:
        loop.wake(Wake(keys=frozenset({WEB})))
        time.sleep(0.1)
        loop.wake(Wake(keys=frozenset({DB}), fetch=True))
        # Nobody is kept waiting: what is called ends the pause, if it has begun.
        eventually(lambda: loop.call(lambda: None, timeout_s=PATIENCE_S) or cycle.wakes)
        first = cycle.wakes[0]
        time.sleep(0.1)
    assert first.keys == {WEB, DB}
    assert first.fetch
    assert len(cycle.wakes) == 1


def test_nothing_runs_unasked() -> None:
    cycle = FakeCycle()
    with running(cycle):
        time.sleep(0.15)
    assert cycle.wakes == []


def test_what_comes_during_a_cycle_is_the_next_one() -> None:
    gate, begun = threading.Event(), threading.Event()

    def act(wake: Wake) -> CycleReport:
        if WEB in wake.keys:
            begun.set()
            gate.wait(PATIENCE_S)
        return report()

    cycle = FakeCycle(act)
    with running(cycle) as loop:
        loop.wake(Wake(keys=frozenset({WEB})))
        assert begun.wait(PATIENCE_S)
        loop.wake(Wake(keys=frozenset({DB})))
        gate.set()
        assert cycle.wait_for(2)[1].keys == {DB}


def test_a_report_can_ask_for_a_retry() -> None:
    answers = iter([report(retry_after_s=0.05), report()])
    cycle = FakeCycle(lambda _: next(answers))
    with running(cycle) as loop:
        loop.wake(Wake(fetch=True))
        assert cycle.wait_for(2)[1] == Wake()
        time.sleep(0.15)
    assert len(cycle.wakes) == 2


def test_a_fault_is_tried_again_with_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.daemon.loop._FIRST_BACK_OFF_S", 0.05)
    faults: list[object] = []

    def act(_: Wake) -> CycleReport:
        if len(cycle.wakes) < 3:
            raise EngineError("libvirt is away")
        return report()

    cycle = FakeCycle(act)
    with running(cycle, on_fault=faults.append) as loop:
        loop.wake(Wake(keys=frozenset({WEB}), approvals=frozenset({"abc"})))
        wakes = cycle.wait_for(3)
    assert [wake.approvals for wake in wakes] == [{"abc"}] * 3
    assert [str(fault) for fault in faults] == ["libvirt is away"] * 2


def test_a_broken_invariant_ends_the_loop_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    ended = threading.Event()

    def act(_: Wake) -> CycleReport:
        raise RuntimeError("cannot be")

    loop = CycleLoop(cycle=FakeCycle(act), clock=SystemClock(), on_end=ended.set)
    loop.start()
    loop.wake(Wake())
    assert ended.wait(PATIENCE_S)
    assert loop.join(PATIENCE_S)
    assert isinstance(loop.crash, RuntimeError)
    assert not loop.is_alive
    with pytest.raises(DaemonError, match="stopping"):
        loop.call(lambda: 1, timeout_s=1)


def test_a_call_runs_between_cycles_on_their_thread() -> None:
    begun, inside = threading.Event(), threading.Event()
    overlaps: list[bool] = []

    def act(_: Wake) -> CycleReport:
        inside.set()
        begun.set()
        eventually(lambda: loop._calls)
        time.sleep(0.1)
        inside.clear()
        return report()

    cycle = FakeCycle(act)
    with running(cycle) as loop:
        loop.wake(Wake())
        assert begun.wait(PATIENCE_S)
        name = loop.call(
            lambda: (overlaps.append(inside.is_set()), threading.current_thread().name)[1], timeout_s=PATIENCE_S
        )
    assert name == "cycle"
    assert overlaps == [False]


def test_a_call_hands_its_fault_to_the_caller_and_the_loop_goes_on() -> None:
    def refuse() -> None:
        raise EngineError("no")

    cycle = FakeCycle()
    with running(cycle) as loop:
        with pytest.raises(EngineError, match="no"):
            loop.call(refuse, timeout_s=PATIENCE_S)
        loop.wake(Wake())
        cycle.wait_for(1)


def test_a_call_that_waited_too_long_does_not_run_later() -> None:
    gate, begun = threading.Event(), threading.Event()
    ran: list[int] = []

    def act(_: Wake) -> CycleReport:
        begun.set()
        gate.wait(PATIENCE_S)
        return report()

    with running(FakeCycle(act)) as loop:
        loop.wake(Wake())
        assert begun.wait(PATIENCE_S)
        with pytest.raises(DaemonError, match="nothing was done"):
            loop.call(lambda: ran.append(1), timeout_s=0.05)
        gate.set()
        loop.call(lambda: None, timeout_s=PATIENCE_S)
    assert ran == []


def test_stop_ends_after_the_cycle_under_way_and_refuses_the_rest() -> None:
    gate, begun = threading.Event(), threading.Event()

    def act(_: Wake) -> CycleReport:
        begun.set()
        gate.wait(PATIENCE_S)
        return report()

    cycle = FakeCycle(act)
    loop = CycleLoop(cycle=cycle, clock=SystemClock())
    loop.start()
    loop.wake(Wake())
    assert begun.wait(PATIENCE_S)
    refused: list[str] = []

    def ask() -> None:
        try:
            loop.call(lambda: None, timeout_s=PATIENCE_S)
        except DaemonError as fault:
            refused.append(str(fault))

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: len(loop._calls) == 1)
    loop.stop()
    assert not loop.join(0.05)
    gate.set()
    assert loop.join(PATIENCE_S)
    asking.join(PATIENCE_S)
    assert "stopping" in refused[0]
    assert len(cycle.wakes) == 1


def test_hooks_are_called_in_order() -> None:
    said: list[str] = []
    cycle = FakeCycle(lambda _: (said.append("cycle"), report())[1])
    with running(cycle, before=lambda: said.append("before"), listeners=[lambda _: said.append("after")]) as loop:
        loop.wake(Wake())
        eventually(lambda: len(said) == 3)
    assert said == ["before", "cycle", "after"]
