"""What desired state is worked out from, each time anew: what is declared, what is on the host, and who loses a contest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.model.declared import Declared
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, LiveObject, Observation
from reconciler.planning.contests import lost_contests


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """``observed`` are all live objects, whoever owns them; ``owner`` is whose count as ours. ``lost`` says of each claimant
    that loses what it claims in its manifest who else claims it.
    """

    declared: Declared
    observed: Mapping[ObjectKey, LiveObject]
    host: HostFacts
    owner: str
    lost: Mapping[ObjectKey, str]

    @classmethod
    def of(cls, declared: Declared, observation: Observation, owner: str) -> Inputs:
        """Those of one update."""
        seen = cls(declared=declared, observed=observation.objects, host=observation.host, owner=owner, lost={})
        return replace(seen, lost=lost_contests(declared.contests, lambda key: bool(seen.live(key))))

    @classmethod
    def none(cls) -> Inputs:
        """Those before the first update."""
        return cls(declared=Declared(readings={}), observed={}, host=HostFacts(hostname=""), owner="", lost={})

    def live(self, key: ObjectKey) -> LiveObject | None:
        """The live object, if it is ours."""
        live = self.observed.get(key)
        return live if live is not None and live.marks and live.marks.owner == self.owner else None

    def why_invalid(self, key: ObjectKey) -> str | None:
        """Why what is declared under a key does not count."""
        return self.lost.get(key) or self.declared.invalid.get(key)

    def is_valid(self, key: ObjectKey) -> bool:
        """Whether something is declared under a key, and counts."""
        return key in self.declared.documents and self.why_invalid(key) is None
