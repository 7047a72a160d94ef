"""When an object whose last attempt did not end well is due again. In memory only: a restart tries everything at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
_ENDED_WELL = (Result.APPLIED, Result.UNCHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The last attempt at an object. ``due_at`` is monotonic seconds; ``fault`` tells a failure from progress."""

    outcome: Outcome
    count: int
    due_at: float
    fault: bool


class Retries:
    """Remembers attempts by object and spaces them out: doubling from a second to a minute, or as the engine says."""

    def __init__(self) -> None:
        self._attempts: dict[ObjectKey, Attempt] = {}

    @property
    def outcomes(self) -> dict[ObjectKey, Outcome]:
        """The last outcome of every object that is not done."""
        return {key: attempt.outcome for key, attempt in self._attempts.items()}

    def has_attempted(self, key: ObjectKey) -> bool:
        """Whether an attempt at an object is remembered: it is not done."""
        return key in self._attempts

    @property
    def failed(self) -> frozenset[ObjectKey]:
        """Objects whose last attempt was a fault."""
        return frozenset(key for key, attempt in self._attempts.items() if attempt.fault)

    def forget(self, keys: Iterable[ObjectKey] | None = None) -> None:
        """Start afresh: everything (a new revision), or some objects (an operator's wish)."""
        for key in list(self._attempts) if keys is None else list(keys):
            self._attempts.pop(key, None)

    def due(self, changes: Iterable[Change], now_s: float, woken: Collection[ObjectKey] | None) -> tuple[Change, ...]:
        """Changes to attempt now. An event about an object or what it needs (``woken``; None is everything) makes work in
        progress due at once, but never hurries a fault's back-off.
        """
        result = []
        for change in changes:
            attempt = self._attempts.get(change.key)
            hurried = attempt is not None and not attempt.fault and (woken is None or change.key in woken)
            if attempt is None or attempt.due_at <= now_s or hurried:
                result.append(change)
        return tuple(result)

    def note(self, key: ObjectKey, outcome: Outcome, now_s: float) -> None:
        """Remember how an attempt ended."""
        last = self._attempts.get(key)
        fault = outcome.is_fault
        count = (last.count + 1 if last and last.fault == fault else 1) if fault or outcome.result in _ENDED_WELL else 0
        delay = outcome.retry_after_s
        if outcome.result is Result.CONFLICT:
            delay = 0.0
        elif delay is None:
            delay = min(FIRST_DELAY_S * 2 ** max(count - 1, 0), LONGEST_DELAY_S)
        self._attempts[key] = Attempt(outcome=outcome, count=count, due_at=now_s + delay, fault=fault)

    def settle(self, open_keys: Collection[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Forget the objects that nothing is left to do for; returns those whose work had been in progress."""
        finished = []
        for key in [key for key in self._attempts if key not in open_keys]:
            attempt = self._attempts.pop(key)
            if attempt.outcome.result is Result.PROGRESSING:
                finished.append(key)
        return tuple(sorted(finished))

    def due_keys(self, now_s: float) -> frozenset[ObjectKey]:
        """Objects whose time has come."""
        return frozenset(key for key, attempt in self._attempts.items() if attempt.due_at <= now_s)

    def next_due_s(self, now_s: float) -> float | None:
        """Seconds until the first object is due, None when none is waiting for time to pass."""
        waits = [attempt.due_at - now_s for attempt in self._attempts.values()]
        return max(0.0, min(waits)) if waits else None
