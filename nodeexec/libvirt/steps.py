"""The steps of one change: each one side effect, remembered in order, so that a lost answer is told from a lost question."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reconciler.model.outcome import Outcome, Result

T = TypeVar("T")


class Steps:
    """What was done for one change so far. ``attempting`` names the side effect that is under way."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.attempting = ""

    def do(self, name: str, effect: Callable[[], T]) -> T:
        """One side effect; ``name`` goes to the journal (``defined domain``)."""
        self.attempting = name
        result = effect()
        self.attempting = ""
        self.done.append(name)
        return result

    def outcome(self, result: Result | None = None, reason: str = "", retry_after_s: float | None = None) -> Outcome:
        """How the change ended; without ``result``, applied when anything was done and unchanged otherwise."""
        ended = result or (Result.APPLIED if self.done else Result.UNCHANGED)
        return Outcome(result=ended, reason=reason, retry_after_s=retry_after_s, steps=tuple(self.done))
