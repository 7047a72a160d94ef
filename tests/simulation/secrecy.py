"""Nothing secret leaves (law 11): plans, statuses, log lines and the journal's texts are searched for a canary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from structlog.testing import capture_logs

from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.cycle_log import CycleLog
from reconciler.daemon.views import report_view
from reconciler.journal.message import compose_message
from reconciler.journal.novelty import Seen
from reconciler.model.keys import ObjectKey
from reconciler.model.status import ObjectStatus
from tests.simulation.fleet import CANARY


class Secrecy:
    """One run's looks. A plan or status that was found clean, and is the very same one, is not looked through again."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._log = CycleLog()
        self._plan_id = ""
        self._statuses: dict[ObjectKey, ObjectStatus] = {}

    def look(self, report: CycleReport, cycle: Cycle) -> None:
        """All that one cycle shows."""
        for place, text in self._shown(report, cycle):
            if CANARY in text:
                self._report(f"a secret is in {place}")

    def _shown(self, report: CycleReport, cycle: Cycle) -> Iterator[tuple[str, str]]:
        record = report.record
        for status in cycle.status():
            if self._statuses.get(status.key) is not status:
                self._statuses[status.key] = status
                yield f"the status of {status.key}", str(status)
        plan_id = report.plan.plan_id if report.plan is not None else ""
        if plan_id == self._plan_id and not record.applied and not record.operator:
            return
        self._plan_id = plan_id
        yield "the plan", json.dumps(report.plan.to_dict(), default=str) if report.plan is not None else ""
        yield "the answer to a command", json.dumps(report_view(report), default=str)
        news = Seen().news(record)
        yield "the journal's message", compose_message(record, news) if news else ""
        # The values of the journal's files; written as YAML they would be the same words, at ten times the cost.
        yield "the journal's files", "".join(repr(live) for live in record.live.values() if live is not None)
        with capture_logs() as logs:
            self._log(report)
        yield "the log", repr(logs)
