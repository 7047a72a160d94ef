"""What woke the cycle: where to look, never what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.model.keys import ObjectKey
from reconciler.model.record import OperatorAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """The pending set, drained at once by the cycle thread.

    ``fetch`` asks to look at every remote, ``sources`` at those of these names; ``everything`` to observe everything (resync); ``keys`` are objects that events
    named. ``approvals`` are hold ids a person released, ``restarts`` VMs a person wants restarted; ``operator`` what was
    asked, for the journal. ``plan_id`` names the only plan that may be carried out, empty for whatever is due.
    ``detected_at`` is when the first of it came in (UTC).
    """

    fetch: bool = False
    sources: frozenset[str] = frozenset()
    everything: bool = False
    keys: frozenset[ObjectKey] = frozenset()
    approvals: frozenset[str] = frozenset()
    restarts: frozenset[ObjectKey] = frozenset()
    operator: tuple[OperatorAction, ...] = ()
    plan_id: str = ""
    detected_at: datetime | None = None

    @property
    def asked_for(self) -> frozenset[ObjectKey]:
        """Objects that a person named."""
        return self.restarts | {action.key for action in self.operator if action.key}

    @property
    def is_asked_for_all(self) -> bool:
        """Whether a person wants everything tried now, what failed lately too."""
        return self.everything and bool(self.operator)

    def merged(self, other: Wake) -> Wake:
        """Both wishes in one; the earlier detection counts."""
        times = [at for at in (self.detected_at, other.detected_at) if at]
        return Wake(
            fetch=self.fetch or other.fetch,
            sources=self.sources | other.sources,
            everything=self.everything or other.everything,
            keys=self.keys | other.keys,
            approvals=self.approvals | other.approvals,
            restarts=self.restarts | other.restarts,
            operator=self.operator + other.operator,
            plan_id=self.plan_id or other.plan_id,
            detected_at=min(times, default=None),
        )
