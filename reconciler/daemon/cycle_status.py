"""What is true of every object, kept from cycle to cycle: only objects that a look was about are described again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Plan
from reconciler.model.resolved import DesiredState
from reconciler.model.status import ObjectStatus
from reconciler.planning.health import keys_with_status, statuses_of
from reconciler.ports import Engine


class StatusBook:
    """The statuses of all objects. What is ready and of which the plan says nothing, or notes what it noted before, stays as it was
    described.
    """

    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine, self._owner = engine, owner
        self._statuses: dict[ObjectKey, ObjectStatus] = {}
        self._order: tuple[ObjectKey, ...] | None = ()
        self._stale: set[ObjectKey] | None = None
        self._spoken_of: set[ObjectKey] = set()

    def note(self, keys: Collection[ObjectKey] | None) -> None:
        """These objects were looked at, or thought about; None is all of them."""
        if keys is None:
            self._stale = None
        elif self._stale is not None:
            self._stale.update(keys)

    def read(
        self,
        desired: DesiredState,
        observation: Observation,
        plan: Plan,
        outcomes: Mapping[ObjectKey, Outcome],
        now: datetime,
    ) -> tuple[ObjectStatus, ...]:
        """All of them, in order; the arguments are as `statuses_of` has them."""
        spoken_of = _spoken_of(plan) | outcomes.keys()
        if self._stale is None:
            keys = keys_with_status(desired, observation, self._owner) | self._statuses.keys()
        else:
            keys = self._stale | spoken_of | self._spoken_of
        fresh = statuses_of(keys, desired, observation, plan, outcomes, engine=self._engine, owner=self._owner, now=now)
        for key in keys:
            if (key in fresh) != (key in self._statuses):
                self._order = None
            if key in fresh:
                self._statuses[key] = fresh[key]
            else:
                self._statuses.pop(key, None)
        self._stale, self._spoken_of = set(), spoken_of
        if self._order is None:
            self._order = tuple(sorted(self._statuses))
        return tuple(self._statuses[key] for key in self._order)


def _spoken_of(plan: Plan) -> set[ObjectKey]:
    """The objects of which a plan says more than notes; of those it notes something else about it was thought anew."""
    held = {change.key for hold in plan.held for change in hold.changes}
    said = {one.key for entries in (plan.changes, plan.blocked) for one in entries}
    return said | held | set(plan.restart_required)
