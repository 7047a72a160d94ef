"""When faults end (liveness): within a few cycles only what a person has to decide is left, each with a reason; after the
decision nothing; and everything on the host is accounted for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Plan
from tests.simulation.accounts import Accounts
from tests.simulation.events import Operation
from tests.simulation.fleet import OPEN_HOURS

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

DEPENDENCY_DEPTH = 3
"""A VM on a clone of a claim."""
CYCLES = DEPENDENCY_DEPTH + 2
DEADLINE_S = 400.0
"""Longer than every back-off and grace period; all cycles of a settling stay within the window of the blast radius."""
WINDOW_S = 4000.0
"""Longer than the window of the blast radius, and than every ``--for``."""
A_PERSONS = ("blast-radius", "prune-confirm", "prune-disabled", "not-by-itself", "suspended")
"""Rules under which something may wait while nobody decides."""
FOR_GOOD = ("prune-disabled", "not-by-itself")
"""Rules under which something still waits after every decision that gitvirt takes."""
ALL = Wake(fetch=True, everything=True)


class Peace:
    """The end of a run."""

    def __init__(self, simulation: Simulation) -> None:
        self._run = simulation

    def hold(self) -> None:
        """Let it settle, decide what waits, let it settle again, and see. Where nothing waits for a person the second time is
        for thorough runs.
        """
        self._run.clock.advance(WINDOW_S)
        plan = self._settled(rules=A_PERSONS)
        if plan is not None:
            self._only_decisions_are_left(plan, A_PERSONS)
        if self._run.is_thorough or plan is None or self._waits_for_a_person(plan):
            if self._run.suspension.held is not None:
                self._run.ask(Operation(verb="resume-all"))
            for vm in self._suspended():
                self._run.ask(Operation(verb="resume", vm=vm))
            plan = self._settled(rules=FOR_GOOD, approving=True)
        if plan is None:
            self._run.violation("no plan although faults had ended")
            return
        if not self._run.remotes.is_followed:
            self._run.violation("a good look at a remote did not accept its last commit")
        self._only_decisions_are_left(plan, FOR_GOOD)
        for wrong in Accounts(self._run, plan).wrong():
            self._run.violation(f"after the end: {wrong}")

    def _settled(self, *, rules: tuple[str, ...], approving: bool = False) -> Plan | None:
        """The plan after as many cycles as dependencies are deep, and two; before each there was time enough for every wait. One that
        finds nothing to do or wait for but what is held by these rules would be the same again: a run that is thorough shows it.
        """
        self._open_windows()
        for _ in range(CYCLES):
            if approving:
                self._run.ask(Operation(verb="approve"))
            report = self._run.cycle_once(ALL)
            is_at_rest = report is not None and _is_at_rest(report, rules) and not self._run.workers.step()
            if report is not None and is_at_rest and not self._run.is_thorough:
                return report.plan
            self._run.workers.run_all()
            self._run.clock.advance(DEADLINE_S)
        report = self._run.cycle_once(ALL)
        return report.plan if report is not None else None

    def _open_windows(self) -> None:
        """Restart windows that open while it settles are open from its beginning: they would begin work at its end."""
        now = self._run.clock.now()
        opens_in_s = (now.replace(hour=OPEN_HOURS[0], minute=0, second=0, microsecond=0) - now).total_seconds()
        if 0.0 < opens_in_s <= CYCLES * DEADLINE_S:
            self._run.clock.advance(opens_in_s)

    def _waits_for_a_person(self, plan: Plan) -> bool:
        """Whether anything is held, suspended, or a rewritten history that nobody accepted."""
        held = any(hold.rule not in FOR_GOOD for hold in plan.held)
        return held or not self._run.remotes.is_followed or any(self._suspended())

    def _suspended(self) -> Iterator[str]:
        for domain in tuple(self._run.host.state.domains.values()):
            if self._run.known.owns(domain.marks) and domain.marks is not None and domain.marks.suspended:
                yield domain.name.partition("_")[2]

    def _only_decisions_are_left(self, plan: Plan, rules: tuple[str, ...]) -> None:
        accounts = Accounts(self._run, plan)
        left = [f"{c.action} {c.key}: {c.reason}" for c in plan.changes if not accounts.fails_for_good(c.key)]
        if left:
            self._run.violation(f"still to do after {CYCLES} cycles without faults: {left}")
        for hold in plan.held:
            if not hold.reason or hold.rule not in rules:
                self._run.violation(f"held by {hold.rule} and nothing says why: {hold.reason!r} {_keys(hold.changes)}")
        for entry in plan.blocked:
            if not entry.by or not accounts.may_wait(entry.key):
                self._run.violation(f"{entry.key} waits for nothing that is so: {entry.by!r}")


def _is_at_rest(report: CycleReport, rules: tuple[str, ...]) -> bool:
    """Whether everything is as declared but for what is held by these rules, and time would not change that."""
    plan = report.plan
    if plan is None or plan.changes or report.record.applied or report.retry_after_s is not None:
        return False
    is_waiting = any(entry.waiting or entry.retry_after_s is not None for entry in plan.blocked)
    return not is_waiting and all(hold.rule in rules for hold in plan.held)


def _keys(changes: tuple[object, ...]) -> list[ObjectKey]:
    return [change.key for change in changes if hasattr(change, "key")]
