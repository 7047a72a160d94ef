"""Small real and fake parts for tests of the daemon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from reconciler.daemon.clock import SystemClock
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.loop import CycleLoop, RunsCycles
from reconciler.daemon.wake import Wake
from reconciler.model.record import CycleRecord
from reconciler.model.revision import SourceState, SourceStatus

PATIENCE_S = 100.0
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def report(**facts: object) -> CycleReport:
    """A cycle that found nothing to do."""
    given: dict[str, object] = {
        "record": CycleRecord(started_at=NOW, ended_at=NOW),
        "plan": None,
        "sources": {"": SourceStatus(state=SourceState.READY, checked_at=NOW)},
        "problems": (),
        "retry_after_s": None,
        "finished_at": NOW,
    }
    return CycleReport(**{**given, **facts})


class FakeCycle:
    """Remembers the wakes it ran for; ``act`` is called with each and gives the report."""

    def __init__(self, act: Callable[[Wake], CycleReport] | None = None) -> None:
        self.wakes: list[Wake] = []
        self._act = act or (lambda _: report())
        self._changed = threading.Condition()

    def run(self, wake: Wake) -> CycleReport:
        """One cycle."""
        with self._changed:
            self.wakes.append(wake)
            self._changed.notify_all()
        return self._act(wake)

    def wait_for(self, count: int) -> list[Wake]:
        """The wakes, once there are ``count`` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.wakes) >= count, PATIENCE_S), self.wakes
            return list(self.wakes)


@contextmanager
def running(cycle: RunsCycles, **options: Any) -> Iterator[CycleLoop]:
    """A loop over a cycle, ended with the context."""
    loop = CycleLoop(cycle=cycle, clock=SystemClock(), **options)
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()
        assert loop.join(PATIENCE_S)


def eventually(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait until something is true, for as long as a busy machine may take."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
