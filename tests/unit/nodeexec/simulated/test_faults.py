"""Each fault at each kind of point, as the engine's callers see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.faults import Fault, FaultKind, Faults, SimulatedCrash
from nodeexec.simulated.host import Host, StepRecord
from reconciler.model.errors import EngineError
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Outcome, Result
from reconciler.model.policy import Policy
from reconciler.model.power import PowerState, PowerStep
from reconciler.model.resolved import ResolvedVm
from tests.contract.builders import Site, create

DEFINE, MARK_START, START = 1, 2, 3
"""Points of the creation of a VM without disks; 0 is the call itself."""


class Stage:
    """A host with one planned fault, and an engine that can be replaced."""

    def __init__(self, fault: Fault | None, foreign_edit: Callable[[str], None] | None = None) -> None:
        self.clock = SimulatedClock()
        self.faults = Faults(fault, foreign_edit)
        self.host = Host(self.clock, faults=self.faults)
        self.site = Site(policy=Policy(owner="tests", host=self.host.name), namespace="tests")
        self.vm: ResolvedVm = self.site.vm("web")
        self.engine = self.new_engine()

    def new_engine(self) -> SimulatedEngine:
        return SimulatedEngine(self.host, owner="tests", clock=self.clock, workers=SteppedWorkers())

    def create(self) -> Outcome:
        return self.engine.apply(create(self.vm, power=PowerStep.START))

    @property
    def is_there(self) -> bool:
        return "tests_web" in self.host.state.domains


def test_points_are_calls_and_steps_in_order() -> None:
    stage = Stage(None)
    stage.create()
    assert stage.faults.points == [
        "call:apply create VirtualMachine/tests/web",
        "define domain VirtualMachine/tests/web",
        "mark start VirtualMachine/tests/web",
        "start guest VirtualMachine/tests/web",
    ]


@pytest.mark.parametrize(("kind", "is_there"), [(FaultKind.CRASH_BEFORE, False), (FaultKind.CRASH_AFTER, True)])
def test_a_crash_ends_the_process_and_not_the_host(kind: FaultKind, is_there: bool) -> None:
    stage = Stage(Fault(kind, DEFINE))
    with pytest.raises(SimulatedCrash):
        stage.create()
    assert stage.is_there is is_there
    with pytest.raises(SimulatedCrash):
        stage.engine.observe(None)
    stage.engine = stage.new_engine()
    assert (stage.vm.key in stage.engine.observe(None).objects) is is_there


@pytest.mark.parametrize(
    ("kind", "result", "is_there"),
    [
        (FaultKind.TRANSIENT, Result.RETRY, False),
        (FaultKind.PERMANENT, Result.FAILED, False),
        (FaultKind.UNKNOWN, Result.UNKNOWN, True),
    ],
)
def test_what_the_host_answers_is_an_outcome(kind: FaultKind, result: Result, is_there: bool) -> None:
    stage = Stage(Fault(kind, DEFINE))
    outcome = stage.create()
    assert (outcome.result, stage.is_there) == (result, is_there)
    assert outcome.is_fault
    assert outcome.reason


def test_steps_done_before_a_fault_are_told() -> None:
    outcome = Stage(Fault(FaultKind.TRANSIENT, START)).create()
    assert outcome.steps == ("define domain", "mark start")


def test_a_start_that_never_came_is_no_run() -> None:
    stage = Stage(Fault(FaultKind.CRASH_AFTER, MARK_START))
    with pytest.raises(SimulatedCrash):
        stage.create()
    live = stage.new_engine().observe([stage.vm.key]).objects[stage.vm.key]
    assert isinstance(live, LiveVm)
    assert (live.power, live.history.runs) == (PowerState.OFF, 0)


def test_a_permanent_fault_lasts_until_faults_end() -> None:
    stage = Stage(Fault(FaultKind.PERMANENT, DEFINE))
    assert [stage.create().result for _ in range(2)] == [Result.FAILED, Result.FAILED]
    stage.faults.end()
    assert stage.create().result is Result.APPLIED


@pytest.mark.parametrize("kind", [FaultKind.TRANSIENT, FaultKind.PERMANENT, FaultKind.UNKNOWN])
def test_an_observation_that_fails_says_nothing(kind: FaultKind) -> None:
    stage = Stage(Fault(kind, 0))
    with pytest.raises(EngineError, match="cannot be read"):
        stage.engine.observe(None)


def test_a_partial_observation_says_what_it_lacks() -> None:
    names = [f"vm{number}" for number in range(8)]
    stage = Stage(Fault(FaultKind.PARTIAL, 8 * 2))
    for name in names:
        stage.engine.apply(create(stage.site.vm(name, run_strategy="Halted")))
    observation = stage.engine.observe(None)
    missing = [gap.key for gap in observation.unreadable]
    assert missing
    assert len(missing) + len(observation.objects) == len(names)
    assert all(key is not None and observation.is_unknown(key) for key in missing)


def test_a_foreign_edit_comes_between_observation_and_application() -> None:
    edits: list[str] = []
    stage = Stage(Fault(FaultKind.FOREIGN_EDIT, 0), foreign_edit=edits.append)
    stage.create()
    assert edits == ["call:apply create VirtualMachine/tests/web"]


def test_watchers_see_each_step_before_the_process_can_end() -> None:
    stage = Stage(Fault(FaultKind.CRASH_AFTER, DEFINE))
    seen: list[StepRecord] = []
    stage.host.watchers.append(seen.append)
    with pytest.raises(SimulatedCrash):
        stage.create()
    (record,) = seen
    assert (record.name, record.actor, record.reason) == ("define domain", "gitvirt", "create/start")
    assert "tests_web" not in record.before.domains
    assert "tests_web" in record.after.domains


def test_a_fault_is_written_and_read_back() -> None:
    fault = Fault(FaultKind.CRASH_AFTER, 12)
    assert Fault.parse(str(fault)) == fault
    with pytest.raises(ValueError, match="KIND@NUMBER"):
        Fault.parse("crash-after")
