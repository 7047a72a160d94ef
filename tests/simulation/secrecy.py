"""Nothing secret leaves (law 11): plans, statuses, log lines and the journal's texts are searched for a canary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from structlog.testing import capture_logs

from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.cycle_log import CycleLog
from reconciler.daemon.views import report_view
from reconciler.journal.message import compose_message
from reconciler.journal.novelty import Seen
from reconciler.model.keys import ObjectKey
from reconciler.model.status import ObjectStatus
from tests.simulation.fleet import CANARY

_CANARY = CANARY.encode()


class Secrecy:
    """One run's looks. After a cycle that did nothing and plans what the one before it planned there is nothing new to look
    through; nor is there in a status that is the very same one.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._log = CycleLog()
        self._plan_id = ""
        self._statuses: dict[ObjectKey, ObjectStatus] = {}

    def look(self, report: CycleReport, cycle: Cycle) -> None:
        """All that one cycle shows."""
        record, plan = report.record, report.plan
        plan_id = plan.plan_id if plan is not None else ""
        if plan_id == self._plan_id and not record.applied and not record.operator:
            return
        self._plan_id = plan_id
        for place, shown in self._shown(report, cycle):
            if _CANARY in _text(shown):
                self._report(f"a secret is in {place}")

    def _shown(self, report: CycleReport, cycle: Cycle) -> Iterator[tuple[str, Any]]:
        record, plan = report.record, report.plan
        yield "the statuses", self._fresh(cycle.status())
        yield "the plan", plan.to_dict() if plan is not None else None
        yield "the answer to a command", report_view(report)
        news = Seen().news(record)
        yield "the journal's message", compose_message(record, news) if news else ""
        # The values of the journal's files; written as YAML they would be the same words, at ten times the cost.
        yield "the journal's files", [live for live in record.live.values() if live is not None]
        with capture_logs() as logs:
            self._log(report)
        yield "the log", logs

    def _fresh(self, statuses: tuple[ObjectStatus, ...]) -> list[ObjectStatus]:
        found = [status for status in statuses if self._statuses.get(status.key) is not status]
        self._statuses.update((status.key, status) for status in found)
        return found


def _text(shown: Any) -> bytes:
    """Whatever is in it, in one text; values that JSON does not have are told as people are told them."""
    return orjson.dumps(shown, default=_said, option=orjson.OPT_NON_STR_KEYS)


def _said(value: Any) -> str:
    """As people are told it. What would make a document when asked is not shown until then."""
    return "" if callable(value) else str(value)
