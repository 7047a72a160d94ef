"""Time and threads that a simulation owns: nothing moves unless it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """A `ports.Clock` that stands still between calls of `advance`."""

    def __init__(self, start: datetime = _EPOCH) -> None:
        self._now = start
        self._monotonic = 1000.0
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The simulated time of day, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Simulated seconds that never go back, not even when the time of day is jumped."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass; whoever listens (the host's guests) acts on the new time."""
        if seconds < 0:
            raise ValueError("time does not go back; use jump for a wrong time of day")
        self._monotonic += seconds
        self.jump(seconds)
        for listener in self._listeners:
            listener()

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back, as a wrong clock does: no time passes."""
        self._now += timedelta(seconds=seconds)

    def on_advance(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every `advance`."""
        self._listeners.append(listener)


class SteppedWorkers:
    """`ports.Workers` without threads: `map` works in order; background work waits in a queue for `step`.

    Background work that has more to do queues itself again under its name from within, so a copy takes several steps
    as a real one takes time.
    """

    def __init__(self) -> None:
        self._queue: dict[str, Callable[[], None]] = {}

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Apply ``function`` in the order of ``items``; the first exception ends it, before the items behind it began."""
        return [function(item) for item in items]

    def background(self, name: str, function: Callable[[], None]) -> None:
        """Queue ``function``; a name that waits already is left as it is."""
        self._queue.setdefault(name, function)

    def is_under_way(self, name: str) -> bool:
        """Whether work of that name waits."""
        return name in self._queue

    def in_time(self, function: Callable[[], R], timeout_s: float) -> R:
        """What ``function`` returns or raises: there is nothing to wait for."""
        del timeout_s
        return function()

    def step(self) -> str:
        """Run the work that waits longest; returns its name, or an empty string when none waits."""
        if not self._queue:
            return ""
        name = next(iter(self._queue))
        self._queue.pop(name)()
        return name

    def run_all(self, limit: int = 1000) -> None:
        """Run what waits, and what that queues, to its end.

        Raises:
            RuntimeError: the work did not end within ``limit`` steps.
        """
        for _ in range(limit):
            if not self.step():
                return
        raise RuntimeError(f"background work did not end within {limit} steps: {sorted(self._queue)}")
