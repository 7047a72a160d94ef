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
from nodeexec.simulated.state import GuestBehaviour, HostDomain, domain_name
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.wake import Wake
from reconciler.model.domain import CpuSpec, DomainSpec, InterfaceSpec
from reconciler.model.policy import Mode, Policy
from reconciler.model.power import Override, OverrideAction, PowerState
from reconciler.model.revision import SourceState
from tests.simulation import histories as story
from tests.simulation.fleet import key
from tests.simulation.kept_files import LOADED_BEFORE, FilesInMemory
from tests.simulation.laws import Laws, leaks, not_reached
from tests.simulation.remotes import Remotes
from tests.simulation.repository import MemoryJournal
from tests.simulation.result import Result
from tests.simulation.secrecy import Secrecy

OWNER = "simulation"
DEPENDENCY_DEPTH = 3
CYCLES_AN_EVENT = 2
TICK_S = 4.0
DEADLINE_S = 400.0
"""Longer than every back-off and grace period; all cycles of a settling stay within the window of the blast radius."""
WINDOW_S = 4000.0
"""Longer than the window of the blast radius."""
FOREIGN = DomainSpec(
    name="billing", uuid="0c0ffee0-0000-4000-8000-000000000001", serial="", cpu=CpuSpec(), memory_mib=64
)


def digest(data: bytes) -> str:
    """The keyed digest of the simulation."""
    return hashlib.sha256(b"simulation" + data).hexdigest()[:12]


class Simulation:
    """A host, a remote, and a gitvirt that can die at any point and is started again."""

    def __init__(self, history: story.History, fault: Fault | None) -> None:
        self.history = history
        self.result = Result(seed=history.seed, fault=fault)
        self.clock = SimulatedClock()
        self.faults = Faults(fault, foreign_edit=self._foreign_edit)
        self.host = Host(self.clock, faults=self.faults)
        self.host.web[story.IMAGE] = 16 << 20
        self.host.behaviour = GuestBehaviour(boot_s=3.0, shutdown_s=2.0)
        self.host.put_domain(HostDomain(name=FOREIGN.name, stored=FOREIGN))
        self.remotes = Remotes(history.seed)
        self.overrides: dict[str, OverrideAction] = {}
        self.journal = MemoryJournal()
        self.kept_files = FilesInMemory(LOADED_BEFORE)
        self.secrecy = Secrecy()
        self.policy = Policy(
            owner=OWNER, host=self.host.name, default_namespace="lab", mode=Mode.ENFORCE, sources=self.remotes.origins
        )
        self.laws = Laws(
            owner=OWNER,
            report=self._violation,
            accepted=self.remotes.accepted_for,
            restartable=history.immediate_or_asked,
            stoppable=lambda vm: self.overrides.get(vm) is OverrideAction.STOP,
        )
        self.host.watchers.append(self.laws.watch)
        self._start({})

    def run(self) -> Result:
        """The whole story, then peace, then what must be true."""
        try:
            for event in self.history.events:
                self.result.begun.append(len(self.faults.points))
                self._happen(event)
                for _ in range(CYCLES_AN_EVENT):
                    self._cycle(Wake(fetch=True))
                    self._tick(TICK_S)
            self._converge()
        except (AssertionError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, LookupError):
            self._violation(f"gitvirt broke:\n{traceback.format_exc(limit=-6)}")
        self.result.points = tuple(self.faults.points[: self.faults.places or None])
        return self.result

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
        )
        self.needs_everything = True

    def _start_again(self, *, keeps_state: bool) -> None:
        if not keeps_state:
            self.kept_files = FilesInMemory()
        self._start(self.remotes.accepted if keeps_state else {})

    def _violation(self, what: str) -> None:
        if what not in self.result.violations:
            self.result.violations.append(what)

    def _alive(self, act: Callable[[], object]) -> None:
        """Do something that may be the end of the process; then start it again."""
        try:
            act()
        except SimulatedCrash:
            self.result.crashes += 1
            self._start(self.remotes.accepted)

    def _cycle(self, wake: Wake) -> CycleReport | None:
        """One cycle with the events since the last one; None when the process died in it."""
        wake = replace(wake, keys=wake.keys | set(self.host.drain_events()), everything=wake.everything)
        reports: list[CycleReport] = []
        self._alive(lambda: reports.append(self.cycle.run(wake)))
        if not reports:
            return None
        if self.secrecy.is_broken_by(reports[0], self.cycle.status()):
            self._violation("a secret was shown")
        return reports[0]

    def _tick(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._alive(self.workers.step)

    def _happen(self, event: story.Event) -> None:
        self.remotes.fall(SourceState.READY)
        match event:
            case story.Commit():
                self.remotes.commit(event.fleet, event.subject)
            case story.GuestEnds():
                self.host.end_guest(key(VM, event.vm), event.why)
            case story.Meddling():
                meddle(self.host, event.how, event.name)
            case story.Operation():
                self._operate(event)
            case story.RemoteTrouble():
                self.remotes.fall(event.state)
            case story.HostReboots():
                self.host.reboot()
                self._start(self.remotes.accepted)
            case story.DaemonRestarts():
                self._start_again(keeps_state=event.keeps_state)
            case story.TimePasses():
                self._tick(event.seconds)

    def _operate(self, event: story.Operation) -> None:
        vm = key(VM, event.vm)
        if event.verb == "restart":
            self._cycle(Wake(restarts=frozenset({vm})))
            return
        action = None if event.verb == "resume" else OverrideAction(event.verb)
        override = Override(action=action, by="ada", at=self.clock.now()) if action else None
        before = self.host.state.domains.get(domain_name(vm))
        if before is None or before.marks is None:
            return
        if action is not None:
            self.overrides[event.vm] = action
        self._alive(lambda: self.engine.mark(vm, override=override, suspended="", suspended_until=None))
        after = self.host.state.domains.get(domain_name(vm))
        marked = after.marks.override if after is not None and after.marks is not None else None
        self.overrides.pop(event.vm, None)
        if marked is not None:
            self.overrides[event.vm] = marked.action

    def _foreign_edit(self, label: str) -> None:
        """Between observation and application somebody edits the object that is about to be changed."""
        if f" {VM}/" in label:
            meddle(self.host, "memory", label.rpartition("/")[2])

    def _converge(self) -> None:
        """Faults end, time passes every deadline, people approve what waits for them: then all must be as declared."""
        self.faults.end()
        self.remotes.fall(SourceState.READY)
        self._tick(WINDOW_S)
        report = self._settle(Wake(fetch=True, everything=True))
        holds = [hold for hold in report.plan.held if hold.approvable] if report and report.plan else []
        if holds:
            self.laws.approved = True
            report = self._settle(Wake(fetch=True, everything=True), approve=True)
        if report is None or report.plan is None:
            self._violation("no plan although faults had ended")
            return
        left = [f"{change.action} {change.key}: {change.reason}" for change in report.plan.changes]
        left = [entry for entry in left if "lost" not in entry and "copy" not in entry]
        if left:
            self._violation(f"still to do after {DEPENDENCY_DEPTH + 2} cycles without faults: {left}")
        if any(not hold.reason for hold in report.plan.held):
            self._violation("something is held and nobody says why")
        state, fleet = self.host.state, self.remotes.fleets[-1]
        left_over = leaks(state, fleet, OWNER, self.laws.undefined_by_hand)
        self.result.violations += [
            f"after the end: {wrong}"
            for wrong in (*not_reached(state, fleet, self._is_by_hand), *left_over)
            if not self._is_held(wrong, report)
        ]

    def _settle(self, wake: Wake, *, approve: bool = False) -> CycleReport | None:
        report: CycleReport | None = None
        for _ in range(DEPENDENCY_DEPTH + 2):
            plan = report.plan if report else self.cycle.report.plan if self.cycle.report else None
            ids = frozenset(hold.hold_id for hold in plan.held if hold.approvable) if approve and plan else frozenset()
            report = self._cycle(replace(wake, approvals=ids))
            self.workers.run_all()
            self.clock.advance(DEADLINE_S)
        return self._cycle(wake)

    def _is_by_hand(self, vm: str) -> bool:
        """Whether an operator said what this VM's power is, or its guest was paused by hand."""
        domain = self.host.state.domains.get(domain_name(key(VM, vm)))
        return vm in self.overrides or (domain is not None and domain.power is PowerState.PAUSED)

    @staticmethod
    def _is_held(wrong: str, report: CycleReport) -> bool:
        """Whether the plan says about the same object why it is not done."""
        plan = report.plan
        if plan is None:
            return False
        named = {change.key.name for hold in plan.held for change in hold.changes} | {e.key.name for e in plan.blocked}
        return any(name in wrong for name in named)


def meddle(host: Host, how: str, name: str) -> None:
    """Somebody changes something by hand."""
    vm = key(VM, name)
    nic = InterfaceSpec(name="foreign:52:54:00:00:00:99", network="foreign:network default", mac="52:54:00:00:00:99")
    match how:
        case "memory":
            host.edit_stored(vm, lambda spec: replace(spec, memory_mib=spec.memory_mib + 1))
        case "nic":
            host.edit_stored(vm, lambda spec: replace(spec, interfaces=(*without(spec, nic), nic)))
        case "undefine":
            host.undefine_domain(vm)
        case "pause":
            host.pause_guest(vm)
        case "stop-network":
            host.stop_network(name)


def without(spec: DomainSpec, nic: InterfaceSpec) -> tuple[InterfaceSpec, ...]:
    """The NICs of a domain but one."""
    return tuple(other for other in spec.interfaces if other.name != nic.name)


def run_once(seed: int, fault: Fault | None = None) -> Result:
    """One run from its seed and fault."""
    return Simulation(story.make_history(seed), fault).run()
