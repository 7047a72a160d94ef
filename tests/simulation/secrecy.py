"""Looking for a secret in everything that gitvirt shows."""

from __future__ import annotations

import json
from collections.abc import Iterable

from reconciler.daemon.cycle import CycleReport
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Plan
from reconciler.model.status import ObjectStatus
from tests.simulation.fleet import CANARY


class Secrecy:
    """One run's looks. A value that was found clean, and is the very same one, is not looked through again."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._statuses: dict[ObjectKey, ObjectStatus] = {}

    def is_broken_by(self, report: CycleReport, statuses: Iterable[ObjectStatus]) -> bool:
        """Whether a cycle's plan, journal record or statuses show the secret."""
        record = report.record
        shown = [
            json.dumps([dict(live) for live in record.live.values() if live], default=str),
            *record.messages,
            *(f"{entry.outcome.reason} {entry.outcome.steps}" for entry in record.applied),
        ]
        if report.plan is not None and report.plan is not self._plan:
            self._plan = report.plan
            shown.append(json.dumps(report.plan.to_dict(), default=str))
        for status in statuses:
            if self._statuses.get(status.key) is not status:
                self._statuses[status.key] = status
                shown.append(str(status))
        return any(CANARY in text for text in shown)
