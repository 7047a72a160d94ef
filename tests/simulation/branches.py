"""All runs of one history: up to their faults they are one and the same, so the process divides where a fault is.

The trunk is the history without a fault. At a point where faults are chosen it forks a child for each: there the fault
happens, and the child goes on to the end of the history and hands its result back through a pipe, while the trunk waits.
One child lives at a time. Nothing is remembered of a child but its result, and a run made from nothing with the same
fault comes to the same (`test_branches.py` holds that).
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable

from nodeexec.simulated.faults import Fault
from tests.simulation.histories import History
from tests.simulation.result import Result
from tests.simulation.run import Simulation
from tests.simulation.schedule import Choice
from tests.simulation.trace import Trace

RUN_LIMIT_S = 60
"""A run that takes longer hangs: one takes some milliseconds."""


def run_branches(
    history: History,
    choose: Choice,
    tell: Callable[[Result], None],
    *,
    is_over: Callable[[], bool] = lambda: False,
    traced: bool = False,
) -> None:
    """The run without a fault, then one for each fault that is chosen, until it ``is_over``. ``tell`` gets the result of each as
    it comes.

    A history that breaks a law without any fault is not run with one: all of those would say the same.
    """
    calm = run_trunk(history, (), tell, traced=traced)
    tell(calm)
    faults = () if calm.violations else tuple(choose(calm))
    if not faults:
        return
    trunk = run_trunk(history, faults, tell, is_over=is_over, traced=traced)
    if (trunk.points, trunk.trace, trunk.violations) != (calm.points, calm.trace, calm.violations):
        trunk.violations.append("the same history went another way when it was run again")
        tell(trunk)


def run_trunk(
    history: History,
    faults: Iterable[Fault],
    tell: Callable[[Result], None],
    *,
    is_over: Callable[[], bool] = lambda: False,
    traced: bool = False,
) -> Result:
    """The run without a fault, and from it a branch for each of ``faults``.

    Raises:
        RuntimeError: there are other threads, which a fork would leave behind.
    """
    if threading.active_count() != 1:
        raise RuntimeError("a process with several threads cannot be divided; use a worker of tests.simulation.crew")
    simulation = Simulation(history, None)
    trace = Trace(simulation) if traced else None
    branches = _Branches(simulation, faults, tell, is_over)
    simulation.faults.at_point = branches.at_point
    try:
        result = simulation.run()
        if trace is not None:
            result.trace = trace.digest()
    finally:
        branches.end_of_child()
    return result


class _Branches:
    """The children of a trunk, or in a child, its way back."""

    def __init__(
        self,
        simulation: Simulation,
        faults: Iterable[Fault],
        tell: Callable[[Result], None],
        is_over: Callable[[], bool],
    ) -> None:
        self._simulation = simulation
        self._faults: dict[int, list[Fault]] = {}
        for fault in faults:
            self._faults.setdefault(fault.at, []).append(fault)
        self._tell = tell
        self._is_over = is_over
        self._way_back: int | None = None

    def at_point(self, at: int, _label: str) -> Fault | None:
        """In the trunk: run every fault of this point, and go on without one. In a child: the fault that it is for."""
        for fault in self._faults.get(at, ()):
            if self._is_over():
                break
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("a point was passed on another thread: what a fork of it does is lost")
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                signal.alarm(RUN_LIMIT_S)
                gc.disable()
                self._way_back = writing
                self._simulation.result.fault = fault
                return fault
            os.close(writing)
            with open(reading, "rb") as pipe:
                answer = pipe.read()
            _, status = os.waitpid(child, 0)
            self._tell(self._result(fault, answer, status))
        return None

    def _result(self, fault: Fault, answer: bytes, status: int) -> Result:
        if status == 0 and answer:
            result = pickle.loads(answer)
            assert isinstance(result, Result)
            return result
        how = (
            f"signal {os.WTERMSIG(status)}"
            if os.WIFSIGNALED(status)
            else f"exit code {os.waitstatus_to_exitcode(status)}"
        )
        said = f"the run did not come to its end: {how} (14 is a run that takes more than {RUN_LIMIT_S} s)"
        return Result(seed=self._simulation.history.seed, fault=fault, violations=[said])

    def end_of_child(self) -> None:
        """In a child: hand the result back and end the process, whatever the run came to. In the trunk: nothing."""
        if self._way_back is None:
            return
        result = self._simulation.result
        exit_code = 1
        try:
            if sys.exc_info()[0] is not None:
                result.violations.append(f"the run broke:\n{traceback.format_exc(limit=-6)}")
            result.points = ()
            with open(self._way_back, "wb") as pipe:
                pipe.write(pickle.dumps(result))
            exit_code = 0
        finally:
            os._exit(exit_code)
