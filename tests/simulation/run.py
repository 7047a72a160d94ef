"""One run: one history with at most one fault, through the real cycle, to its end."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.faults import Fault, Faults, SimulatedCrash
from nodeexec.simulated.host import Host
from nodeexec.simulated.reading import VM
from nodeexec.simulated.state import GuestBehaviour
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.operations import Operations
from reconciler.daemon.used_approvals import UsedApprovals
from reconciler.daemon.wake import Wake
from reconciler.model.policy import Mode, Policy
from reconciler.model.revision import SourceState
from tests.simulation import events as story
from tests.simulation.by_change import compare_with_nothing
from tests.simulation.commits import IMAGE
from tests.simulation.fleet import NAMESPACE, key
from tests.simulation.histories import History
from tests.simulation.kept_files import LOADED_BEFORE, FilesInMemory
from tests.simulation.known import Act, Known
from tests.simulation.laws import Laws
from tests.simulation.laws_guests import stop_is_obeyed
from tests.simulation.operating import HeldSuspension, InTurn, Operator
from tests.simulation.outside import meddle, populate
from tests.simulation.peace import Peace
from tests.simulation.remotes import Remotes
from tests.simulation.repository import MemoryJournal
from tests.simulation.result import Result
from tests.simulation.secrecy import Secrecy

OWNER = "simulation"
TICK_S = 4.0
POOL = "default"
EXPIRE_AFTER_S = 7200.0
"""How long trash is kept where it expires."""


def digest(data: bytes) -> str:
    """The keyed digest of the simulation."""
    return hashlib.sha256(b"simulation" + data).hexdigest()[:12]


class Simulation:
    """A host, a remote, and a gitvirt that can die at any point and is started again."""

    def __init__(self, history: History, fault: Fault | None) -> None:
        self.history = history
        self.result = Result(seed=history.seed, fault=fault)
        self.clock = SimulatedClock()
        self.faults = Faults(fault, foreign_edit=self._foreign_edit, clock=self.clock)
        self.host = Host(self.clock, faults=self.faults)
        self.host.web[IMAGE] = 16 << 20
        self.host.behaviour = GuestBehaviour(boot_s=3.0, shutdown_s=2.0)
        populate(self.host, OWNER)
        self.remotes = Remotes(history.seed)
        self.journal = MemoryJournal()
        self.kept_files = FilesInMemory(LOADED_BEFORE)
        self.used_approvals = UsedApprovals()
        self.suspension = HeldSuspension()
        self.policy = Policy(
            owner=OWNER,
            host=self.host.name,
            default_namespace=NAMESPACE,
            mode=Mode.ENFORCE,
            sources=self.remotes.origins,
            trash_expire_after_s=EXPIRE_AFTER_S if history.expires else None,
        )
        self.known = Known(
            owner=OWNER,
            host=self.host.name,
            accepted=self.remotes.accepted_for,
            suspended_all=lambda: self.suspension.held,
            began_at=self.clock.now(),
            expire_after_s=self.policy.trash_expire_after_s,
        )
        self.host.watchers.append(Laws(self.known, self.violation, searched=self.is_searched).watch)
        self.operator = Operator(self.known, self.host, lambda: self.remotes.fleets[-1])
        self.secrecy = Secrecy(self.violation)
        self._start({})

    def run(self) -> Result:
        """The whole story, then peace, then what must be true."""
        try:
            for place, event in enumerate(self.history.events):
                self.result.begun.append(len(self.faults.points))
                self._happen(event)
                for _ in range(self.history.cycles_after(place)):
                    self.cycle_once(Wake(fetch=True))
                    self.tick(TICK_S)
            self._end_troubles()
            self.faults.end()
            Peace(self).hold()
        except (AssertionError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, LookupError):
            self.violation(f"gitvirt broke:\n{traceback.format_exc(limit=-6)}")
        self.result.points = tuple(self.faults.points[: self.faults.places or None])
        return self.result

    @property
    def is_thorough(self) -> bool:
        """Whether this run settles to the last cycle, come what may."""
        return self._is_one_of(24)

    @property
    def is_searched(self) -> bool:
        """Whether secrets are looked for in what this run shows."""
        return self.result.fault is None or self._is_one_of(6)

    @property
    def is_compared(self) -> bool:
        """Whether what this run works out change by change is worked out from nothing as well."""
        return self.result.fault is None or self.is_thorough

    def _is_one_of(self, many: int) -> bool:
        fault = self.result.fault
        return (self.result.seed + (fault.at if fault is not None else 0)) % many == 0

    def _start(self, accepted: Mapping[str, int | None]) -> None:
        """A new process: nothing in memory, perhaps the accepted revisions on disk."""
        self.workers = SteppedWorkers()
        self.engine = SimulatedEngine(self.host, owner=OWNER, clock=self.clock, workers=self.workers)
        self.cycle = Cycle(
            sources=self.remotes.open(self.clock, accepted),
            engine=self.engine,
            journal=self.journal,
            clock=self.clock,
            workers=self.workers,
            policy=self.policy,
            digest=digest,
            file_cache=self.kept_files,
            used_approvals=self.used_approvals,
        )
        if self.is_compared:
            compare_with_nothing(
                self.cycle, policy=self.policy, digest=digest, engine=self.engine, report=self.violation
            )
        self.turn = InTurn(self._run_cycle)
        self.operations = Operations(
            cycle=self.cycle,
            engine=self.engine,
            clock=self.clock,
            policy=self.policy,
            turn=self.turn,
            suspension=self.suspension,
            workers=self.workers,
        )
        self.known.act = None

    def _start_again(self, *, keeps_state: bool) -> None:
        if not keeps_state:
            self.kept_files = FilesInMemory()
        self._start(self.remotes.accepted if keeps_state else {})

    def violation(self, what: str) -> None:
        """Something is wrong; said once."""
        if what not in self.result.violations:
            self.result.violations.append(what)

    def _alive(self, act: Callable[[], object]) -> None:
        """Do something that may be the end of the process; then start it again, now and then without its state."""
        try:
            act()
        except SimulatedCrash:
            self.result.crashes += 1
            fault = self.result.fault
            self._start_again(keeps_state=fault is None or fault.at % 3 != 0)

    def cycle_once(self, wake: Wake) -> CycleReport | None:
        """One cycle; None when the process died in it."""
        reports: list[CycleReport] = []
        self._alive(lambda: reports.append(self._run_cycle(wake)))
        return reports[0] if reports else None

    def _run_cycle(self, wake: Wake) -> CycleReport:
        """As the daemon's loop: with the events since the last one, and with whether everything is suspended."""
        wake = wake.merged(replace(self.turn.told, keys=self.turn.told.keys | set(self.host.drain_events())))
        self.turn.told = Wake()
        self.operations.apply_suspension()
        self.known.began_at, self.known.began_s = self.clock.now(), self.clock.monotonic()
        report = self.cycle.run(wake)
        if self.is_searched:
            self.secrecy.look(report, self.cycle)
        rewritten = tuple(status.approval for status in report.sources.values() if status.approval)
        self.operator.see(report.plan.held if report.plan is not None else (), rewritten)
        return report

    def tick(self, seconds: float) -> None:
        """Time passes, and background work goes on by one step."""
        self.clock.advance(seconds)
        self._alive(self.workers.step)

    def ask(self, operation: story.Operation) -> None:
        """An operator asks for something."""
        self.known.began_at, self.known.began_s = self.clock.now(), self.clock.monotonic()
        acts: list[Act] = []
        self._alive(lambda: acts.extend(self.operator.ask(self.operations, operation)))
        if self.result.fault is None and self.suspension.held is None:
            for act in acts:
                for wrong in stop_is_obeyed(act, self.host.state):
                    self.violation(wrong)

    def _happen(self, event: story.Event) -> None:
        self._end_troubles()
        match event:
            case story.Commit():
                self._push(event)
            case story.GuestEnds():
                self.host.end_guest(key(VM, event.vm), event.why)
            case story.Meddling():
                meddle(self.host, event.how, event.name)
            case story.Operation():
                self.ask(event)
            case story.RemoteTrouble():
                self.remotes.fall(event.state)
            case story.PoolTrouble(full=True):
                self.host.fill_pool(POOL, full=True)
            case story.PoolTrouble():
                self.host.set_unreadable(f"pool:{POOL}", "the directory is not mounted")
            case story.HostReboots():
                self.host.reboot()
                self._start_again(keeps_state=True)
            case story.DaemonRestarts():
                self._start_again(keeps_state=event.keeps_state)
            case story.TimePasses():
                self.tick(event.seconds)
            case story.ClockJumps():
                self.clock.jump(event.seconds)

    def _push(self, event: story.Commit) -> None:
        holds = tuple(hold for hold in self.operator.waiting if hold.approvable and event.approves)
        for hold in holds:
            self.operator.approve(hold)
        self.remotes.commit(event, tuple(hold.hold_id for hold in holds))

    def _end_troubles(self) -> None:
        """Troubles last until the next event."""
        self.remotes.fall(SourceState.READY)
        if self.host.state.pools[POOL].full:
            self.host.fill_pool(POOL, full=False)
        if not self.host.state.pools[POOL].readable:
            self.host.set_unreadable(f"pool:{POOL}", "")

    def _foreign_edit(self, label: str) -> None:
        """Between observation and application somebody edits the object that is about to be changed."""
        if f" {VM}/" in label:
            meddle(self.host, "memory", label.rpartition("/")[2])
