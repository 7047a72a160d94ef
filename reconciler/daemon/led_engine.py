"""An engine that acts only while this process leads.

It is asked before every act, not once a cycle: a cycle can be longer than the time that a leader which lost its network may
still act.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from reconciler.model.adoption import Takeover
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.power import Override
from reconciler.model.resolved import Resolved
from reconciler.ports import Engine, Leadership

_RETRY_S = 2.0


def led_engine(engine: Engine, leadership: Leadership) -> Engine:
    """``engine``, refusing to act while ``leadership`` is not held."""
    return cast("Engine", _LedEngine(engine, leadership))


def why_it_does_not_act(engine: Engine) -> str:
    """Why nothing is done at the moment, for people; empty where this process leads, or was never to lead."""
    if not isinstance(engine, _LedEngine) or engine.leads():
        return ""
    return (
        "this process may not act at the moment, because it could not say in time that it still leads (the API server does not "
        "answer?); what is shown is as it was last seen"
    )


class _LedEngine:
    """Every method that looks is the engine's own; every method that acts asks first."""

    def __init__(self, engine: Engine, leadership: Leadership) -> None:
        self._engine = engine
        self._leadership = leadership

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def leads(self) -> bool:
        """Whether it may act at this instant."""
        return self._leadership.is_held()

    def apply(self, change: Change) -> Outcome:
        """See `Engine.apply`."""
        return self._refusal() or self._engine.apply(change)

    def mark(
        self, key: ObjectKey, *, override: Override | None, suspended: str, suspended_until: datetime | None
    ) -> Outcome:
        """See `Engine.mark`."""
        return self._refusal() or self._engine.mark(
            key, override=override, suspended=suspended, suspended_until=suspended_until
        )

    def release(self, key: ObjectKey) -> Outcome:
        """See `Engine.release`."""
        return self._refusal() or self._engine.release(key)

    def adopt(self, takeover: Takeover) -> Outcome:
        """See `Engine.adopt`."""
        return self._refusal() or self._engine.adopt(takeover)

    def adopt_object(self, wanted: Resolved, revision: str, expected: str) -> Outcome:
        """See `Engine.adopt_object`."""
        return self._refusal() or self._engine.adopt_object(wanted, revision, expected)

    def empty_trash(self, item: str) -> Outcome:
        """See `Engine.empty_trash`."""
        return self._refusal() or self._engine.empty_trash(item)

    def note_trash_ages(self) -> Outcome:
        """See `Engine.note_trash_ages`."""
        return self._refusal() or self._engine.note_trash_ages()

    def note_disks(self) -> Outcome:
        """See `Engine.note_disks`."""
        return self._refusal() or self._engine.note_disks()

    def restore_trash(self, item: str) -> Outcome:
        """See `Engine.restore_trash`."""
        return self._refusal() or self._engine.restore_trash(item)

    def _refusal(self) -> Outcome | None:
        if self.leads():
            return None
        reason = "this replica does not lead at the moment; nothing was done, whoever leads does it"
        return Outcome(result=Result.RETRY, reason=reason, retry_after_s=_RETRY_S)
