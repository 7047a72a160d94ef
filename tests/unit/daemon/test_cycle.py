"""One cycle over the simulated host: what it looks at, what it does in which order, what it tells the journal."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from reconciler.cli.report import exit_code_of
from reconciler.daemon.cycle import Cycle
from reconciler.daemon.used_approvals import UsedApprovals
from reconciler.daemon.views import report_view
from reconciler.daemon.wake import Wake
from reconciler.model.errors import EngineError, JournalError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation, Outdated
from reconciler.model.outcome import Result
from reconciler.model.plan import Action, Cause
from reconciler.model.policy import Mode, Policy
from reconciler.model.power import StopReason
from reconciler.model.record import CycleRecord
from reconciler.model.revision import SourceState
from reconciler.model.status import ObjectState
from tests.simulation.repository import MemoryJournal, MemorySource, Remote
from tests.unit.planning.building import claim, digest, vm

WEB = ObjectKey("VirtualMachine", "default", "web")
ROOT = ObjectKey("PersistentVolumeClaim", "default", "web-root")
IMAGE = """
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: web-root}
spec:
  source: {http: {url: "http://images.example/i.qcow2"}}
  storage: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


class WatchedEngine(SimulatedEngine):
    """Counts what is asked of it, and can be unreachable."""

    def __init__(self, host: Host, clock: SimulatedClock, workers: SteppedWorkers) -> None:
        super().__init__(host, owner="gitvirt", clock=clock, workers=workers)
        self.asked: list[frozenset[ObjectKey] | None] = []
        self.unreachable = False

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        self.asked.append(None if keys is None else frozenset(keys))
        if self.unreachable:
            raise EngineError("libvirt does not answer; start it")
        return super().observe(keys)


class World:
    """``more`` are further values of the policy."""

    def __init__(self, **more: Any) -> None:
        self.clock = SimulatedClock()
        self.host = Host(self.clock)
        self.workers = SteppedWorkers()
        self.engine = WatchedEngine(self.host, self.clock, self.workers)
        self.remote = Remote()
        self.source = MemorySource(self.remote, self.clock)
        self.journal = MemoryJournal()
        self.policy = Policy(owner="gitvirt", host=self.host.name, mode=Mode.ENFORCE, **more)
        self.used_approvals: Path | None = None
        self.restart()

    def restart(self) -> None:
        """The daemon, begun anew over the same host and the same remote."""
        self.cycle = Cycle(
            sources={"": self.source},
            engine=self.engine,
            journal=self.journal,
            clock=self.clock,
            workers=self.workers,
            policy=self.policy,
            digest=digest,
            used_approvals=UsedApprovals(self.used_approvals),
        )

    def commit(self, text: str) -> None:
        self.remote.commit({"all.yaml": text}, "change")

    def settle(self) -> None:
        """Run until nothing is due."""
        for _ in range(30):
            self.workers.step()
            report = self.cycle.run(Wake(keys=frozenset(self.host.drain_events())))
            if report.retry_after_s is None:
                return
            self.clock.advance(max(report.retry_after_s, 0.1))
        raise AssertionError(f"does not settle: {report.plan}")

    def told(self) -> list[tuple[str, str, str]]:
        return [
            (str(a.change.key), str(a.change.cause), str(a.outcome.result))
            for r in self.journal.records
            for a in r.applied
        ]


@pytest.fixture
def world() -> World:
    return World()


def running(world: World) -> World:
    world.commit(vm("web") + claim("web-root"))
    world.cycle.run(Wake(fetch=True))
    world.settle()
    return world


def test_a_commit_becomes_a_running_vm_in_one_cycle(world: World) -> None:
    world.commit(vm("web") + claim("web-root"))
    report = world.cycle.run(Wake(fetch=True))
    assert [str(a.change.key) for a in report.record.applied] == [
        "PodNetwork/pod", "PersistentVolumeClaim/default/web-root", "VirtualMachine/default/web"
    ]  # fmt: skip
    assert report.plan is not None and report.plan.changes == ()
    assert {s.key: s.state for s in world.cycle.status()}[WEB] is ObjectState.READY


def test_an_idle_poll_asks_the_host_nothing(world: World) -> None:
    running(world)
    asked = len(world.engine.asked)
    report = world.cycle.run(Wake(fetch=True))
    assert report.idle and len(world.engine.asked) == asked


def test_an_event_looks_at_its_object_and_what_depends_on_it(world: World) -> None:
    running(world)
    world.host.end_guest(WEB, StopReason.DESTROYED)
    del world.engine.asked[:]
    report = world.cycle.run(Wake(keys=frozenset({WEB})))
    assert world.engine.asked[0] == {WEB}
    (applied,) = report.record.applied
    assert (applied.change.cause, applied.outcome.result) == (Cause.DRIFT, Result.APPLIED)
    world.cycle.run(Wake(keys=frozenset({ROOT})))
    assert world.engine.asked[-1] == {ROOT, WEB}


def test_a_vm_that_somebody_removed_is_drift_and_one_that_a_commit_brings_back_is_not(world: World) -> None:
    running(world)
    world.host.end_guest(WEB, StopReason.DESTROYED)
    world.host.undefine_domain(WEB)
    (again,) = world.cycle.run(Wake(keys=frozenset({WEB}))).record.applied
    assert (again.change.action, again.change.cause) == (Action.CREATE, Cause.DRIFT)
    world.commit(claim("web-root") + vm("other", strategy="Halted") + claim("other-root"))
    world.cycle.run(Wake(fetch=True))
    world.settle()
    world.commit(vm("web") + claim("web-root") + vm("other", strategy="Halted") + claim("other-root"))
    (back,) = world.cycle.run(Wake(fetch=True)).record.applied
    assert (back.change.action, back.change.cause) == (Action.CREATE, Cause.COMMIT)


def test_a_correction_that_takes_its_time_is_counted_from_its_first_event(world: World) -> None:
    world.commit(vm("web", strategy="Halted") + claim("web-root"))
    world.cycle.run(Wake(fetch=True))
    world.settle()
    world.host.power_on(WEB)
    heard_at = world.clock.now()
    (begun,) = world.cycle.run(Wake(keys=frozenset({WEB}), detected_at=heard_at)).record.applied
    assert (begun.change.cause, begun.outcome.result) == (Cause.DRIFT, Result.PROGRESSING)
    world.clock.advance(3.0)
    world.settle()
    record, ended = next(
        (r, a) for r in world.journal.records for a in r.applied
        if a.change.cause is Cause.DRIFT and a.outcome.result is Result.APPLIED
    )  # fmt: skip
    assert record.detected(ended) == heard_at
    assert ended.ended_at > heard_at


def test_a_vm_follows_its_image_and_the_journal_tells_begin_and_end_once(world: World) -> None:
    world.host.web["http://images.example/i.qcow2"] = 1 << 20
    world.commit(vm("web") + IMAGE)
    world.cycle.run(Wake(fetch=True))
    assert {s.key: s.state for s in world.cycle.status()}[WEB] is ObjectState.PROGRESSING
    world.settle()
    assert world.told() == [
        ("PodNetwork/pod", "commit", "applied"),
        ("DataVolume/default/web-root", "commit", "progressing"),
        ("VirtualMachine/default/web", "commit", "applied"),
        ("DataVolume/default/web-root", "commit", "applied"),
    ]


def test_a_deletion_is_told_once_when_it_ends(world: World) -> None:
    running(world)
    world.settle()
    world.commit(claim("web-root") + vm("other", strategy="Halted") + claim("other-root"))
    world.cycle.run(Wake(fetch=True))
    world.settle()
    ends = [entry for entry in world.told() if entry[0] == str(WEB)]
    assert ends[1:] == [(str(WEB), "commit", "progressing"), (str(WEB), "commit", "applied")]


def test_no_state_of_the_remote_deletes_anything(world: World) -> None:
    running(world)
    told = len(world.told())
    for trouble in SourceState:
        if trouble in (SourceState.READY, SourceState.NEVER):
            continue
        world.remote.trouble = trouble
        world.cycle.run(Wake(fetch=True, everything=True))
    world.host.end_guest(WEB, StopReason.DESTROYED)
    world.cycle.run(Wake(keys=frozenset({WEB})))
    assert world.told()[told:] == [(str(WEB), "drift", "applied")]


def test_an_engine_that_does_not_answer_is_said_and_tried_again(world: World) -> None:
    running(world)
    world.engine.unreachable = True
    report = world.cycle.run(Wake(everything=True))
    assert report.retry_after_s == 5.0 and "libvirt does not answer" in report.record.messages[0]
    assert world.cycle.observation is not None
    assert report.outdated == Outdated(
        reason="libvirt does not answer; start it", since=world.cycle.observation.taken_at
    )
    assert exit_code_of(report_view(report)) == EngineError.exit_code
    world.engine.unreachable = False
    report = world.cycle.run(Wake(everything=True))
    assert report.record.messages == () and report.outdated is None


def test_a_journal_that_cannot_be_written_does_not_stop_reconciliation(world: World) -> None:
    def full(record: CycleRecord) -> str:
        raise JournalError("no space left on /var/lib/gitvirt")

    world.journal.write = full
    world.commit(vm("web") + claim("web-root"))
    report = world.cycle.run(Wake(fetch=True))
    assert len(report.record.applied) == 3 and "no space left" in report.record.messages[0]


def test_somebody_elses_vm_of_a_declared_name_is_seen_and_left_alone(world: World) -> None:
    running(world)
    cycle = Cycle(
        sources={"": MemorySource(world.remote, world.clock)},
        engine=SimulatedEngine(world.host, owner="them", clock=world.clock, workers=world.workers),
        journal=MemoryJournal(),
        clock=world.clock,
        workers=world.workers,
        policy=Policy(owner="them", host=world.host.name, mode=Mode.ENFORCE),
        digest=digest,
    )
    report = cycle.run(Wake(fetch=True))
    assert {str(applied.change.key) for applied in report.record.applied} <= {"PodNetwork/pod"}
    assert report.plan is not None
    blocked = {entry.key: entry.by for entry in report.plan.blocked}
    assert "owned by 'gitvirt'" in blocked[WEB] and "owned by 'gitvirt'" in blocked[ROOT]


def test_suspended_as_a_whole_nothing_is_done(world: World) -> None:
    running(world)
    world.cycle.suspended = "ann: maintenance"
    world.host.end_guest(WEB, StopReason.DESTROYED)
    report = world.cycle.run(Wake(keys=frozenset({WEB})))
    assert report.record.applied == () and report.plan is not None
    assert [hold.rule for hold in report.plan.held] == ["suspended"]
    assert {s.key: s.state for s in world.cycle.status()}[WEB] is ObjectState.SUSPENDED


def test_an_operators_restart_is_the_operators_to_the_end(world: World) -> None:
    running(world)
    world.cycle.run(Wake(restarts=frozenset({WEB})))
    world.settle()
    causes = {cause for key, cause, _ in world.told()[3:] if key == str(WEB)}
    assert causes == {"operator"}


def test_a_bad_object_is_held_and_its_drift_corrected(world: World) -> None:
    running(world)
    world.commit(vm("web").replace("bus: virtio", "bus: virtoi") + claim("web-root"))
    report = world.cycle.run(Wake(fetch=True))
    assert report.record.applied == ()
    assert any(problem.code == "schema-enum" or "virtoi" in problem.message for problem in report.problems), (
        report.problems
    )
    world.host.end_guest(WEB, StopReason.DESTROYED)
    (applied,) = world.cycle.run(Wake(keys=frozenset({WEB}))).record.applied
    assert applied.outcome.result is Result.APPLIED
    assert {s.key: s.state for s in world.cycle.status()}[WEB] is ObjectState.INVALID
