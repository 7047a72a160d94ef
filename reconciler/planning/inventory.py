"""What this owner has on the host, counted: what the blast radius is a share of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm

_NOTHING: Mapping[ObjectKey, LiveObject] = {}


class Inventory:
    """Counts of owned objects by kind, and when VMs were last restarted; brought up to date object by object."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._owned: Counter[str] = Counter()
        self._restarted: dict[ObjectKey, datetime] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing here is this owner's."""
        return not self._owned.total()

    def owned(self, kinds: Collection[str]) -> int:
        """How many objects of some kinds are this owner's."""
        return sum(self._owned[kind] for kind in kinds)

    def restarts_since(self, since: datetime, *, but: Collection[ObjectKey]) -> int:
        """How many VMs, whoever's, gitvirt restarted after a moment, but for some."""
        return sum(1 for key, at in self._restarted.items() if at > since and key not in but)

    def count(self, objects: Mapping[ObjectKey, LiveObject]) -> None:
        """Count everything anew."""
        self._owned.clear()
        self._restarted.clear()
        self.recount(objects, _NOTHING, objects)

    def recount(
        self,
        changed: Collection[ObjectKey],
        before: Mapping[ObjectKey, LiveObject],
        after: Mapping[ObjectKey, LiveObject],
    ) -> None:
        """Some objects are no longer as they were."""
        for key in changed:
            self._owned[key.kind] += self._is_owned(after.get(key)) - self._is_owned(before.get(key))
            live = after.get(key)
            at = live.history.last_restart_at if isinstance(live, LiveVm) else None
            if at is not None:
                self._restarted[key] = at
            else:
                self._restarted.pop(key, None)

    def _is_owned(self, live: LiveObject | None) -> bool:
        return live is not None and live.marks is not None and live.marks.owner == self._owner
