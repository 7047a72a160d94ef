"""What every verb needs: the turn to act alone, a look at the host, and the cycle that follows an act."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar

from reconciler.daemon.clock import moment
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.led_engine import why_it_does_not_act
from reconciler.daemon.suspension import SuspensionFile
from reconciler.daemon.views import report_view, settled_mapping, status_view
from reconciler.daemon.wake import Wake
from reconciler.model.errors import EngineError, SourceError
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.model.record import OperatorAction
from reconciler.model.status import ObjectStatus
from reconciler.ports import Clock, Engine, Workers

PATIENCE_S = 10.0
"""How long a question waits for a look at the host, its own or a cycle's. One that takes longer is most likely waiting itself, for a
hypervisor that does not answer, and that is what a person then wants to know.
"""

T = TypeVar("T")
Json = Mapping[str, Any]


class Turn(Protocol):
    """The right to act alone: on the daemon's cycle thread, or in a command that holds the lock. ``in_daemon`` tells
    which.
    """

    in_daemon: bool

    def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` while no cycle runs."""
        ...

    def run(self, wake: Wake) -> CycleReport:
        """One cycle; called from within `call`."""
        ...

    def wait_for_first_cycle(self) -> None:
        """Return once the daemon has tried its first cycle: a question that comes with its start would find nothing known.

        Raises:
            DaemonError: it takes too long.
        """
        ...

    def tell(self, wake: Wake) -> None:
        """Let the daemon's next cycle look there; without a daemon nobody does."""
        ...


class Frame:
    """What verbs act on. Its subclasses hold the verbs, by what they are about."""

    def __init__(
        self,
        *,
        cycle: Cycle,
        engine: Engine,
        clock: Clock,
        policy: Policy,
        turn: Turn,
        suspension: SuspensionFile,
        workers: Workers,
    ) -> None:
        self._cycle = cycle
        self._engine = engine
        self._clock = clock
        self._policy = policy
        self._turn = turn
        self._suspension = suspension
        self._workers = workers

    def apply_suspension(self) -> None:
        """Tell the cycle whether everything is suspended now; called before each cycle, as a suspension can end."""
        found = self._suspension.read(moment(self._clock))
        self._cycle.suspended = str(found) if found else ""

    def look(self) -> str:
        """Observe now, so that an answer is not older than its question; what stood in the way, empty for nothing. The
        last look stays what it was then, and its age is told.
        """
        self.apply_suspension()
        outdated = self._engine.outdated()
        try:
            self._seen(self._workers.in_time(self._plan_now, PATIENCE_S))
        except TimeoutError:
            return (
                f"the look at the host that is under way has not ended within {PATIENCE_S:g} s (does the hypervisor "
                "answer?); what is shown is from before it"
            )
        except (EngineError, SourceError) as fault:
            return str(fault)
        return str(outdated) if outdated else why_it_does_not_act(self._engine)

    def _plan_now(self) -> Plan:
        self._turn.wait_for_first_cycle()
        return self._cycle.plan_now()

    def _told(self, fault: str) -> tuple[ObjectStatus, ...]:
        """What is true of every object, as of the last look; ``fault`` says that there was none just now."""
        return self._cycle.status(patience_s=0 if fault else PATIENCE_S)

    def _seen(self, plan: Plan) -> Plan:
        """What a question came upon and no event told of, the cycle has to look at too."""
        if plan.changes:
            self._turn.tell(Wake(keys=frozenset(change.key for change in plan.changes), detected_at=self._clock.now()))
        return plan

    def _action(
        self, verb: str, user: str, key: ObjectKey | None = None, arguments: Json | None = None
    ) -> OperatorAction:
        return OperatorAction(
            verb=verb, by=user, at=self._clock.now(), key=key, arguments=settled_mapping(arguments or {})
        )

    def _cycle_after(
        self, action: OperatorAction, *, everything: bool = False, keys: Collection[ObjectKey] = ()
    ) -> Json:
        self.apply_suspension()
        wake = Wake(fetch=everything, everything=everything, keys=frozenset(keys), operator=(action,))
        return report_view(self._turn.run(wake))

    def _with_object(self, report: CycleReport, key: ObjectKey) -> Json:
        found = [status_view(s, with_document=False) for s in self._cycle.status() if s.key == key]
        return {**report_view(report), "object": found[0] if found else None}
