"""Seeded histories through the real cycle, one fault at a time: the laws hold, and all converges."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from nodeexec.simulated.faults import CALL, Fault, FaultKind
from tests.simulation import corpus, runs
from tests.simulation.__main__ import main
from tests.simulation.crew import Crew, Job, WorkerDiedError
from tests.simulation.events import PoolTrouble, RemoteTrouble
from tests.simulation.fleet import VM
from tests.simulation.histories import LENGTHS, PACES, make_history
from tests.simulation.peace import Peace
from tests.simulation.planting import planted
from tests.simulation.result import Result
from tests.simulation.runs import run_to_its_end
from tests.simulation.schedule import by_turns, every, kinds_at, no_fault

HISTORIES = 10
CORPUS = sorted(corpus.DIRECTORY.glob("*.json"))


def test_no_fault_breaks_a_law(crew: Crew) -> None:
    jobs = [Job(history=make_history(seed), choose=by_turns) for seed in range(HISTORIES)]
    results = list(crew.run(jobs))
    assert not [str(result) for result in results if result.violations]
    assert {result.seed for result in results} == set(range(HISTORIES))
    assert {result.fault.kind for result in results if result.fault} == set(FaultKind)
    assert len(results) > HISTORIES * 15


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_broke_once_holds(path: Path, crew: Crew) -> None:
    case = corpus.read(path)
    results = list(crew.run([Job(history=case.history, choose=case.choose)]))
    assert not [str(result) for result in results if result.violations], case.broke
    assert case.kind is None or len(results) > 1, f"no point is called {case.label!r} any more: what is it called now?"


def test_a_run_is_always_the_same(crew: Crew) -> None:
    """In another process, with other hashes and other runs before it: the same points, the same states of the host after each step,
    the same end.
    """
    calm, *faulty = crew.run([Job(history=make_history(5), choose=by_turns, traced=True)])
    assert calm.trace == run_to_its_end(make_history(5), None, traced=True).trace
    assert len({one.trace for one in faulty}) > len(faulty) / 2
    for one in faulty[::8]:
        alone = run_to_its_end(make_history(5), one.fault, traced=True)
        assert (alone.trace, alone.violations, alone.crashes) == (one.trace, one.violations, one.crashes)


def test_a_run_that_breaks_or_hangs_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(_peace: Peace) -> None:
        while True:
            time.sleep(0.01)

    def fail(_peace: Peace) -> None:
        raise OSError("no such thing")

    for broken, said in ((fail, "no such thing"), (hang, "did not come to its end within 1 s")):
        if broken is hang:
            monkeypatch.setattr(runs, "RUN_LIMIT_S", 1)
        monkeypatch.setattr(Peace, "hold", broken)
        [violation] = run_to_its_end(make_history(1), None).violations
        assert said in violation


def test_histories_differ_in_length_and_pace() -> None:
    histories = [make_history(seed) for seed in range(200)]
    assert {len(one.events) - 1 for one in histories} == set(LENGTHS)
    assert {cycles for one in histories for cycles in one.pace} == set(PACES)
    troubles = (RemoteTrouble, PoolTrouble)
    short = [
        one
        for one in histories
        for place, event in enumerate(one.events)
        if isinstance(event, troubles) and not one.cycles_after(place)
    ]
    assert not short


def test_every_fault_at_every_point_is_one_run(crew: Crew) -> None:
    points = run_to_its_end(make_history(3), None).points
    assert len(points) > 10
    results = list(crew.run([Job(history=make_history(3), choose=_of_the_first_points)]))
    wanted = [Fault(kind, at) for at in range(3) for kind in kinds_at(points[at])]
    assert [one.fault for one in results if one.fault] == wanted


def test_kinds_stand_where_they_make_a_difference() -> None:
    assert FaultKind.PARTIAL in kinds_at(f"{CALL}observe")
    assert FaultKind.PARTIAL not in kinds_at("define domain VirtualMachine/lab/vm0")
    assert FaultKind.FOREIGN_EDIT not in kinds_at(f"{CALL}observe")


def test_by_turns_every_kind_comes_to_every_place() -> None:
    points = (f"{CALL}observe", f"{CALL}apply create {VM}/lab/vm0") * 4
    calm = [Result(seed=seed, fault=None, points=points, begun=[0, 4]) for seed in range(100)]
    faults = {fault for one in calm for fault in by_turns(one)}
    assert faults == set(every(calm[0]))
    assert [fault.at for fault in by_turns(calm[0])] == [0, 0, 4, 4, 5, 5, 6, 6, 7, 7]


def test_a_crew_goes_on_after_it_was_told_to_stop(crew: Crew) -> None:
    results = crew.run([Job(history=make_history(seed), choose=every) for seed in range(100)])
    next(results)
    results.close()
    assert [one.seed for one in crew.run([Job(history=make_history(9), choose=no_fault)])] == [9]


def test_a_worker_that_dies_is_told() -> None:
    with Crew(1) as crew, pytest.raises(WorkerDiedError, match="seed 4 died, exit code -9"):
        list(crew.run([Job(history=make_history(4), choose=_kill)]))


def test_an_interrupt_between_a_job_and_its_message_does_not_wait_for_an_answer() -> None:
    def interrupted() -> Iterator[Job]:
        yield Job(history=make_history(9), choose=no_fault)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Crew(1) as crew:
        list(crew.run(interrupted()))


def test_the_runner_ends_with_its_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "0", "--seed", "1", "--workers", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["seeds 1 to 1", "0 runs, 0 violations"]
    assert main(["--seed", "1", "--fault", "crash-after@9"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 runs, 0 violations"


def test_an_interrupted_runner_tells_its_sum() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seconds", "60", "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as runner:
        assert runner.stdout is not None
        runner.stdout.readline()
        os.killpg(runner.pid, signal.SIGINT)
        said = runner.stdout.read().splitlines()
    assert runner.returncode == 130
    assert said[0] == "interrupted"
    assert said[-1].endswith(" runs, 0 violations")


def test_a_case_is_read_as_it_was_written(tmp_path: Path) -> None:
    case = corpus.Case(broke="x", history=make_history(2068), kind=FaultKind.UNKNOWN, label=f"{CALL}observe")
    path = tmp_path / "case.json"
    path.write_text(corpus.text_of(case))
    assert corpus.read(path) == case


def test_a_violation_becomes_a_small_case_that_shows_it_again(tmp_path: Path, crew: Crew) -> None:
    plant = "trash_destroys"
    with planted(plant):
        long_ones = (seed for seed in count() if len(make_history(seed).events) > 4)
        seed = next(seed for seed in long_ones if run_to_its_end(make_history(seed), None).violations)
    command = [
        sys.executable,
        "-m",
        "tests.simulation",
        "--seconds",
        "0",
        "--seed",
        str(seed),
        "--plant",
        plant,
        "--corpus",
        str(tmp_path),
    ]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert ended.returncode == 1
    assert "again: make sim SEED=" in ended.stdout
    path = next(tmp_path.glob("*.json"))
    assert f"written: {path}" in ended.stdout
    case = corpus.read(path)
    assert len(case.history.events) < len(make_history(case.history.seed).events)
    for name in (plant, ""):
        results = list(crew.run([Job(history=case.history, choose=case.choose, plant=name)]))
        assert any(result.violations for result in results) == bool(name)


def _of_the_first_points(calm: Result) -> Iterator[Fault]:
    return (fault for fault in every(calm) if fault.at < 3)


def _kill(_calm: Result) -> Iterator[Fault]:
    os.kill(os.getpid(), signal.SIGKILL)
    return iter(())
