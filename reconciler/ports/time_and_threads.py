"""Time and threads, so that a simulation can own them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")
R = TypeVar("R")


@runtime_checkable
class Clock(Protocol):
    """Time, so that a simulation can own it."""

    def now(self) -> datetime:
        """The time of day, in UTC, with its time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Workers(Protocol):
    """Threads in production; one deterministic queue in simulation."""

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Apply ``function`` to every item, a few at a time; results in the order of ``items``; an exception of any is
        raised after all have ended.
        """
        ...

    def background(self, name: str, function: Callable[[], None]) -> None:
        """Run ``function`` on its own, later or now. A second call with the name of one under way does nothing."""
        ...

    def is_under_way(self, name: str) -> bool:
        """Whether the background work of that name has not ended."""
        ...

    def in_time(self, function: Callable[[], R], timeout_s: float) -> R:
        """What ``function`` returns or raises; it goes on by itself when nobody waits for it any more.

        Raises:
            TimeoutError: it has not ended within the time.
        """
        ...
