"""All runs of one history: without a fault, then with each that is chosen, every one from its beginning."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from nodeexec.simulated.faults import Fault
from tests.simulation.histories import History
from tests.simulation.result import Result
from tests.simulation.run import Simulation
from tests.simulation.schedule import Choice
from tests.simulation.trace import Trace

RUN_LIMIT_S = 60
"""A run that takes longer hangs: one takes some milliseconds."""


class HangsError(BaseException):
    """A run does not end. It passes through everything that catches what can go wrong."""


def run_history(
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
    calm = run_to_its_end(history, None, traced=traced)
    tell(calm)
    if calm.violations:
        return
    for fault in choose(calm):
        if is_over():
            return
        tell(run_to_its_end(history, fault, traced=traced))


def run_to_its_end(history: History, fault: Fault | None, *, traced: bool = False) -> Result:
    """One run, whatever comes of it: one that breaks or hangs is a violation. Its points are those of a run without a fault only."""
    simulation = Simulation(history, fault)
    trace = Trace(simulation) if traced else None
    result = simulation.result
    try:
        with _limit(RUN_LIMIT_S):
            simulation.run()
    except HangsError:
        result.violations.append(
            f"the run did not come to its end within {RUN_LIMIT_S} s:\n{traceback.format_exc(limit=-6)}"
        )
    except Exception:  # noqa: BLE001  (whatever it is, the run came to it)
        result.violations.append(f"the run broke:\n{traceback.format_exc(limit=-6)}")
    if trace is not None:
        result.trace = trace.digest()
    if fault is not None:
        result.points = ()
    return result


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Raises `HangsError` in what is done within it, after that time."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise HangsError
