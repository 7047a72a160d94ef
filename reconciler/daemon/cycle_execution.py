"""Carrying out a plan's changes: a few at a time, each only after what it needs has ended well."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from reconciler.model.errors import EngineError
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.record import AppliedChange
from reconciler.ports import Clock, Engine, Workers

_ENDED_WELL = (Result.APPLIED, Result.UNCHANGED)


def execute(
    changes: Sequence[Change],
    *,
    postponed: Collection[ObjectKey],
    begin: Callable[[Collection[Change]], None],
    engine: Engine,
    workers: Workers,
    clock: Clock,
) -> tuple[tuple[AppliedChange, ...], dict[ObjectKey, Outcome]]:
    """Apply ``changes``. ``postponed`` are objects of the same plan whose turn is not now: who needs them waits too. ``begin``
    is told of changes right before they are attempted.

    Returns what was attempted, in order, and for every change that had to wait the outcome that says for whom.
    """
    attempted: list[AppliedChange] = []
    waiting: dict[ObjectKey, Outcome] = {key: Outcome(result=Result.PROGRESSING) for key in postponed}
    ended: dict[ObjectKey, Outcome] = {}
    remaining = list(changes)
    while remaining:
        keys = {change.key for change in remaining}
        wave = [c for c in remaining if not any(need in keys and need != c.key for need in c.needs)] or remaining
        begun = {change.key for change in wave}
        remaining = [change for change in remaining if change.key not in begun]
        ready = []
        for change in wave:
            unmet = [need for need in change.needs if _is_unmet(need, waiting, ended)]
            if unmet:
                reason = f"waits for {', '.join(str(need) for need in unmet)}"
                waiting[change.key] = Outcome(result=Result.PROGRESSING, reason=reason, retry_after_s=5.0)
            else:
                ready.append(change)
        begin(ready)
        for applied in workers.map(lambda change: _apply_one(change, engine, clock), ready):
            ended[applied.change.key] = applied.outcome
            attempted.append(applied)
    return tuple(attempted), {key: outcome for key, outcome in waiting.items() if key not in postponed}


def _is_unmet(need: ObjectKey, waiting: dict[ObjectKey, Outcome], ended: dict[ObjectKey, Outcome]) -> bool:
    return need in waiting or (need in ended and ended[need].result not in _ENDED_WELL)


def _apply_one(change: Change, engine: Engine, clock: Clock) -> AppliedChange:
    started_at = clock.now()
    try:
        outcome = engine.apply(change)
    except EngineError as error:
        outcome = Outcome(result=Result.RETRY, reason=str(error))
    return AppliedChange(change=change, outcome=outcome, started_at=started_at, ended_at=clock.now())
