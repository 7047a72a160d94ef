"""runStrategy has KubeVirt's meaning exactly; an operator's action outranks it (law 8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model.domain import CpuSpec, DomainSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm, Marks
from reconciler.model.power import (
    Override,
    OverrideAction,
    PowerState,
    PowerStep,
    RunHistory,
    RunStrategy,
    StopReason,
)
from reconciler.planning.power import decide_power, is_backing_off, platform_power, seconds_to_expiry
from tests.unit.planning.building import NOW

SPEC = DomainSpec(name="default_web", uuid="u", serial="s", cpu=CpuSpec(), memory_mib=128)


def live(
    power: PowerState,
    reason: StopReason = StopReason.UNKNOWN,
    history: RunHistory = RunHistory(runs=1),
    override: Override | None = None,
) -> LiveVm:
    return LiveVm(
        key=ObjectKey("VirtualMachine", "default", "web"),
        fingerprint="f",
        marks=Marks(owner="gitvirt", host="h", revision="r", applied={}, override=override),
        stored=SPEC,
        running=None if power in (PowerState.OFF, PowerState.CRASHED) else SPEC,
        power=power,
        stop_reason=reason,
        history=history,
    )


A, R, M, H, O = (  # noqa: E741  (a letter each keeps the tables readable)
    RunStrategy.ALWAYS, RunStrategy.RERUN_ON_FAILURE, RunStrategy.MANUAL, RunStrategy.HALTED, RunStrategy.ONCE
)  # fmt: skip
START, STOP = PowerStep.START, PowerStep.STOP


@pytest.mark.parametrize(
    ("strategy", "reason", "step"),
    [
        (A, StopReason.GUEST, START),
        (A, StopReason.FAILED, START),
        (A, StopReason.DESTROYED, START),
        (A, StopReason.HOST, START),
        (R, StopReason.GUEST, None),
        (R, StopReason.FAILED, START),
        (R, StopReason.DESTROYED, START),
        (R, StopReason.HOST, START),
        (R, StopReason.GITVIRT, START),
        (M, StopReason.GUEST, None),
        (M, StopReason.FAILED, None),
        (H, StopReason.GUEST, None),
        (O, StopReason.GUEST, None),
        (O, StopReason.FAILED, None),
        (O, StopReason.DESTROYED, None),
    ],
)
def test_a_guest_that_is_off(strategy: RunStrategy, reason: StopReason, step: PowerStep | None) -> None:
    assert decide_power(strategy, live(PowerState.OFF, reason), NOW).step is step


@pytest.mark.parametrize(("strategy", "step"), [(A, START), (R, START), (O, START), (M, None), (H, None)])
def test_a_vm_that_is_new_or_never_ran(strategy: RunStrategy, step: PowerStep | None) -> None:
    assert decide_power(strategy, None, NOW).step is step
    never = live(PowerState.OFF, StopReason.NEVER_RAN, RunHistory())
    assert decide_power(strategy, never, NOW).step is step


@pytest.mark.parametrize(("strategy", "step"), [(A, None), (R, None), (O, None), (M, None), (H, STOP)])
def test_a_guest_that_runs(strategy: RunStrategy, step: PowerStep | None) -> None:
    assert decide_power(strategy, live(PowerState.RUNNING), NOW).step is step


def test_a_paused_guest_is_left_alone() -> None:
    assert decide_power(A, live(PowerState.PAUSED), NOW).step is None


def test_operator_actions_outrank_the_strategy_until_they_expire() -> None:
    stop = Override(action=OverrideAction.STOP, by="ann", at=NOW)
    assert decide_power(A, live(PowerState.RUNNING, override=stop), NOW).step is STOP
    stopped = decide_power(A, live(PowerState.OFF, StopReason.GITVIRT, override=stop), NOW)
    assert stopped.step is None and stopped.by_operator and "ann" in stopped.reason
    expired = Override(action=OverrideAction.STOP, by="ann", at=NOW, until=NOW - timedelta(seconds=1))
    assert decide_power(A, live(PowerState.OFF, override=expired), NOW).step is START


def test_an_operators_start_of_a_manual_vm_starts_it_once() -> None:
    start = Override(action=OverrideAction.START, by="ann", at=NOW)
    assert decide_power(M, live(PowerState.OFF, override=start), NOW).step is START
    ended = RunHistory(runs=2, started_at=NOW + timedelta(seconds=1), ended_at=NOW + timedelta(seconds=90))
    assert (
        decide_power(M, live(PowerState.OFF, StopReason.GUEST, ended, start), NOW + timedelta(minutes=5)).step is None
    )


def test_an_operators_pause_and_start_of_a_paused_guest() -> None:
    pause = Override(action=OverrideAction.PAUSE, by="ann", at=NOW)
    assert decide_power(A, live(PowerState.RUNNING, override=pause), NOW).step is PowerStep.PAUSE
    assert decide_power(A, live(PowerState.PAUSED, override=pause), NOW).step is None
    start = Override(action=OverrideAction.START, by="ann", at=NOW)
    assert decide_power(A, live(PowerState.PAUSED, override=start), NOW).step is PowerStep.UNPAUSE


@pytest.mark.parametrize(("failures", "delay_s"), [(1, 10), (2, 20), (3, 40), (4, 80), (9, 300)])
def test_back_off_grows_with_failures_in_a_row(failures: int, delay_s: float) -> None:
    history = RunHistory(runs=5, failures=failures, ended_at=NOW)
    failed = live(PowerState.OFF, StopReason.FAILED, history)
    early = decide_power(A, failed, NOW + timedelta(seconds=delay_s - 1))
    assert early.step is None and is_backing_off(early) and early.retry_after_s == 1
    assert decide_power(A, failed, NOW + timedelta(seconds=delay_s)).step is START


@pytest.mark.parametrize(("ran_s", "waits"), [(5, True), (599, True), (600, False), (86_400, False)])
def test_a_guest_that_ran_well_in_between_starts_at_once_when_it_dies(ran_s: int, waits: bool) -> None:
    history = RunHistory(runs=9, failures=6, started_at=NOW - timedelta(seconds=ran_s), ended_at=NOW)
    died = live(PowerState.OFF, StopReason.FAILED, history)
    assert is_backing_off(decide_power(A, died, NOW + timedelta(seconds=1))) is waits
    assert history.failed_in_a_row(StopReason.FAILED, NOW) == (7 if waits else 1)


@pytest.mark.parametrize(
    ("reason", "ran_s", "failures"),
    [
        (StopReason.FAILED, 5, 3),
        (StopReason.FAILED, 300, 3),
        (StopReason.FAILED, -3600, 3),  # the clock was set back meanwhile
        (StopReason.FAILED, 3600, 1),
        (StopReason.GUEST, 5, 3),
        (StopReason.GUEST, 300, 0),
        (StopReason.DESTROYED, 3600, 0),
        (None, 300, 0),
    ],
)
def test_which_runs_count_as_failed_in_a_row(reason: StopReason | None, ran_s: int, failures: int) -> None:
    history = RunHistory(runs=2, failures=2, started_at=NOW - timedelta(seconds=ran_s))
    assert history.failed_in_a_row(reason, NOW) == failures
    assert replace(history, stop_requested_at=NOW).failed_in_a_row(reason, NOW) == 0
    assert RunHistory().failed_in_a_row(reason, NOW) == 0


def test_a_run_of_which_nobody_saw_the_end_forgives_nothing() -> None:
    assert RunHistory(runs=2, failures=2, started_at=NOW).failed_in_a_row(StopReason.FAILED, None) == 3


def test_a_clock_that_was_set_back_does_not_keep_a_guest_off() -> None:
    history = RunHistory(runs=5, failures=4, ended_at=NOW)
    failed = live(PowerState.OFF, StopReason.FAILED, history)
    assert decide_power(A, failed, NOW - timedelta(days=365)).step is START


def test_the_first_failure_is_answered_at_once() -> None:
    failed = live(PowerState.OFF, StopReason.FAILED, RunHistory(runs=1, ended_at=NOW))
    assert decide_power(A, failed, NOW).step is START


def test_a_restart_ends_with_a_start_of_a_guest_that_runs_once_too() -> None:
    begun = RunHistory(runs=1, stop_requested_at=NOW, stop_asked_by="restart")
    off = live(PowerState.OFF, StopReason.GITVIRT, begun)
    for strategy in (RunStrategy.ONCE, RunStrategy.MANUAL):
        assert decide_power(strategy, off, NOW).step is PowerStep.RESTART
    assert decide_power(RunStrategy.HALTED, off, NOW).step is None
    stopped = live(PowerState.OFF, StopReason.GITVIRT, replace(begun, stop_asked_by="stop"))
    assert decide_power(RunStrategy.ONCE, stopped, NOW).step is None


def test_a_restart_that_was_begun_goes_on() -> None:
    begun = RunHistory(runs=1, stop_requested_at=NOW, stop_asked_by="restart")
    assert decide_power(A, live(PowerState.RUNNING, history=begun), NOW).step is PowerStep.RESTART


def test_a_pause_that_is_over_lets_the_guest_go_on() -> None:
    over = Override(action=OverrideAction.PAUSE, by="ann", at=NOW, until=NOW)
    decision = decide_power(A, live(PowerState.PAUSED, override=over), NOW)
    assert decision.step is PowerStep.UNPAUSE and decision.by_operator and "ann" in decision.reason
    assert decide_power(M, live(PowerState.PAUSED, override=over), NOW).step is PowerStep.UNPAUSE
    assert decide_power(H, live(PowerState.PAUSED, override=over), NOW).step is STOP
    assert decide_power(A, live(PowerState.RUNNING, override=over), NOW).step is None


def test_what_an_operator_said_is_looked_at_again_when_it_ends() -> None:
    def vm(**marks: object) -> LiveVm:
        plain = live(PowerState.RUNNING)
        assert plain.marks is not None
        return replace(plain, marks=replace(plain.marks, **marks))

    stop = Override(action=OverrideAction.STOP, by="ann", at=NOW, until=NOW + timedelta(seconds=90))
    assert seconds_to_expiry(vm(override=stop), NOW) == 90
    assert seconds_to_expiry(vm(override=stop), NOW + timedelta(seconds=90)) is None
    suspended = vm(suspended="by ann", suspended_until=NOW + timedelta(seconds=30), override=stop)
    assert seconds_to_expiry(suspended, NOW) == 30
    assert seconds_to_expiry(vm(suspended="by ann"), NOW) is None


@pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(days=-1)])
def test_a_clock_that_was_set_makes_no_guest_wait_for_that_day(jump: timedelta) -> None:
    failing = RunHistory(runs=5, failures=4, ended_at=NOW)
    crashed = live(PowerState.OFF, StopReason.FAILED, failing)
    assert is_backing_off(decide_power(A, crashed, NOW + timedelta(seconds=1)))
    assert decide_power(A, crashed, NOW + jump).step is START


def test_on_a_platform_a_stop_that_is_over_is_undone_where_the_strategy_does_not_tell() -> None:
    """RerunOnFailure stays as it is written when its guest is stopped, and the platform waits to be asked for a start."""
    stop = Override(action=OverrideAction.STOP, by="ann", at=NOW - timedelta(hours=2), until=NOW - timedelta(hours=1))
    off = live(PowerState.OFF, override=stop)
    assert platform_power(R, off, NOW).step is START
    assert [platform_power(one, off, NOW).step for one in (A, M, H, O)] == [None] * 4
    assert platform_power(R, off, NOW - timedelta(minutes=90)).step is None
    assert platform_power(R, live(PowerState.RUNNING, override=stop), NOW).step is None
    assert platform_power(R, live(PowerState.OFF), NOW).step is None
