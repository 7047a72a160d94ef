"""Which holds there were lately, so that an approval that comes too late is told why. Memory only: nothing is decided by it."""

from __future__ import annotations

from collections import OrderedDict

from reconciler.model.plan import Hold, Plan

_MOST = 200


class HoldBook:
    """Holds by id, the latest last, and which of them were let go."""

    def __init__(self) -> None:
        self._holds: OrderedDict[str, tuple[Hold, bool]] = OrderedDict()

    def note(self, plan: Plan) -> None:
        """What a plan holds, and what it let go."""
        for hold in plan.held:
            self._put(hold, released=False)
        for hold in plan.released:
            self._put(hold, released=True)

    def let_go(self, hold: Hold) -> None:
        """A hold that no plan knows, a rewritten history's, was let go."""
        self._put(hold, released=True)

    def find(self, hold_id: str) -> tuple[Hold, bool] | None:
        """A hold that there was, and whether it was let go; None for one that was never seen, or long ago."""
        return self._holds.get(hold_id)

    def _put(self, hold: Hold, *, released: bool) -> None:
        self._holds[hold.hold_id] = (hold, released)
        self._holds.move_to_end(hold.hold_id)
        while len(self._holds) > _MOST:
            self._holds.popitem(last=False)
