"""Questions that come with the start of a daemon are answered after its first look, not with how little is known before it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon.clock import SystemClock
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.loop import CycleLoop
from reconciler.daemon.service import LoopTurn
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError, EngineError
from tests.unit.daemon.benches import Bench
from tests.unit.daemon.parts import PATIENCE_S, FakeCycle, running

FIRST = Wake(fetch=True, everything=True)


@contextmanager
def begun(bench: Bench) -> Iterator[CycleLoop]:
    """The bench's cycle on a thread of its own, as a daemon has it; its first cycle is the test's to begin."""
    with running(bench.core.cycle) as loop:
        bench.operations = bench.core.operations(LoopTurn(lambda: loop), bench.home.settings)
        yield loop


@contextmanager
def asked(question: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Ask in a thread, seen to wait; what is yielded waits for the answer and gives it, or raises what was raised."""
    answers: list[Any] = []
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(question())
        except DaemonError as fault:
            faults.append(fault)

    def answer() -> Any:
        asking.join(PATIENCE_S)
        for fault in faults:
            raise fault
        (one,) = answers
        return one

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(0.2)
    assert asking.is_alive(), (answers, faults)
    yield answer
    asking.join(PATIENCE_S)


@pytest.mark.parametrize("verb", ["plan", "status", "get"])
def test_a_question_waits_for_the_first_cycle(tmp_path: Path, verb: str) -> None:
    bench = Bench(tmp_path)
    with begun(bench) as loop, asked(lambda: bench.ask(verb)) as answer:
        loop.wake(FIRST)
        told = answer()
    if verb == "plan":
        assert told["revision"] == bench.home.git("rev-parse", "HEAD")
    else:
        assert "VirtualMachine/default/web" in [row["object"] for row in told["objects"]]
        assert told["messages"] == []


def test_an_act_waits_for_the_first_cycle_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with begun(bench) as loop, asked(lambda: bench.ask("approve", hold_id="abc")) as answer:
        loop.wake(FIRST)
        with pytest.raises(DaemonError, match="abc"):
            answer()


def test_a_first_cycle_that_fails_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.daemon.loop._FIRST_BACK_OFF_S", PATIENCE_S)

    def act(_: Wake) -> CycleReport:
        raise EngineError("libvirt is away")

    with (
        running(FakeCycle(act)) as loop,
        asked(lambda: LoopTurn(lambda: loop).call(lambda: "turn")) as answer,
    ):
        loop.wake(FIRST)
        assert answer() == "turn"


def test_a_daemon_that_is_stopped_before_it_refuses() -> None:
    with (
        running(FakeCycle()) as loop,
        asked(lambda: LoopTurn(lambda: loop).call(lambda: "turn")) as answer,
    ):
        loop.stop()
        with pytest.raises(DaemonError, match="stopping"):
            answer()


def test_nobody_waits_for_ever() -> None:
    loop = CycleLoop(cycle=FakeCycle(), clock=SystemClock())
    with pytest.raises(DaemonError, match=r"first look has not ended within 0\.05 s; ask again"):
        loop.wait_for_first(0.05)
