"""What is the same for every engine that is a host itself, and no platform in front of hosts. See `reconciler.ports.Engine`."""

from __future__ import annotations

from reconciler.model.adoption import FoundObject
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Outdated
from reconciler.model.outcome import Outcome, Result
from reconciler.model.resolved import Resolved


class OnAHost:
    """Looks are at the host itself, marks stand beside each volume, and disks and networks come with a VM."""

    is_platform = False

    def outdated(self) -> Outdated | None:
        """Never: nothing stands between."""
        return None

    def note_disks(self) -> Outcome:
        """Nothing to do: marks are written with each volume."""
        return Outcome(result=Result.UNCHANGED)

    def survey_object(self, key: ObjectKey) -> FoundObject | None:
        """Nothing is adopted by itself."""
        del key
        return None

    def adopt_object(self, wanted: Resolved, revision: str, expected: str) -> Outcome:
        """Refused, with what to do instead."""
        del revision, expected
        return Outcome(result=Result.REFUSED, reason=f"{wanted.key} is adopted together with the VM that stands on it")
