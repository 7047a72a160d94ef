"""What hears of each cycle: log, metrics, health, the look for addresses, and whoever else asked to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.daemon.addresses import look_for_addresses
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.cycle_log import CycleLog
from reconciler.daemon.wake import Wake
from reconciler.model.revision import SourceState
from reconciler.model.status import ObjectStatus
from reconciler.ports import Clock
from reconciler.web.health import Health
from reconciler.web.metrics import Metrics

Listener = Callable[[CycleReport, tuple[ObjectStatus, ...]], None]
"""Gets the report, and the status of every object."""


class Listeners:
    """Told by the loop, on its thread, when a cycle begins, when it ended and when it could not be."""

    def __init__(
        self,
        cycle: Cycle,
        *,
        clock: Clock,
        metrics: Metrics,
        health: Health,
        later: Callable[[float, Wake], None],
        others: Sequence[Listener],
    ) -> None:
        """``later`` adds a wake-up in so many seconds; ``others`` hear of a cycle last, in their order."""
        self._cycle, self._clock = cycle, clock
        self._metrics, self._health = metrics, health
        self._later = later
        self._others = tuple(others)
        self._log = CycleLog()

    def began(self) -> None:
        """A cycle is under way."""
        self._health.cycle_began()

    def failed(self, fault: Exception) -> None:
        """A cycle could not be."""
        self._metrics.cycle_failed()
        self._health.cycle_ended(str(fault))

    def ended(self, report: CycleReport) -> None:
        """A cycle came to its end."""
        cycle, statuses = self._cycle, self._cycle.status()
        self._metrics.cycle_ended(
            record=report.record,
            plan=report.plan,
            sources=report.sources,
            problems=report.problems,
            objects=statuses,
            suspended=bool(cycle.suspended),
            journal_failing=bool(cycle.journal_fault),
        )
        self._health.cycle_ended(_why_not_ready(cycle, report))
        self._log(report)  # who acts on what it says finds readiness and metrics to say the same
        look_for_addresses(statuses, now=self._clock.now(), later=self._later)
        if cycle.observation is not None:
            self._log.tell_host(cycle.observation.host)
        for listener in self._others:
            listener(report, statuses)


def _why_not_ready(cycle: Cycle, report: CycleReport) -> str:
    """Empty once a revision of every source is known and the host was observed: from then on the last accepted revisions
    are enforced, whatever the remotes say, as long as the host answers.
    """
    for name, status in report.sources.items():
        if name not in cycle.revisions:
            said = status.message or "the repository was not read yet"
            said = said if status.state is not SourceState.READY else "; ".join(report.record.messages) or said
            return f"source {name}: {said}" if name else said
    if cycle.engine_fault:
        return cycle.engine_fault
    if report.plan is None or cycle.observation is None:
        return "; ".join(report.record.messages) or "the host was not observed yet"
    return ""
