"""A revision over a limit as a whole: the one before it stays enforced, after restarts too (law 2). Real Git, real cycle."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.wake import Wake
from reconciler.manifests.limits import RevisionLimits
from reconciler.model.follow import ref_followed
from reconciler.model.keys import ObjectKey
from reconciler.model.origin import Origin
from reconciler.model.policy import Mode, Policy
from reconciler.model.power import StopReason
from reconciler.model.revision import SourceState
from reconciler.model.source_spec import SourceSpec
from reconciler.source.git_source import GitSource
from tests.simulation.repository import MemoryJournal
from tests.unit.planning.building import claim, digest, vm
from tests.unit.source.conftest import Upstream

WEB = ObjectKey("VirtualMachine", "default", "web")
MANY = "".join(claim(f"c{number}") for number in range(8))


class World:
    """One host and one repository; `start` is a new process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = SimulatedClock()
        self.host = Host(self.clock)
        self.upstream = Upstream(directory / "upstream")
        self.good = self.large = ""
        self.start()

    def start(self, documents: int = 4) -> None:
        workers = SteppedWorkers()
        spec = SourceSpec(url=str(self.upstream.path), follow=ref_followed("refs/heads/main"))
        self.journal = MemoryJournal()
        self.cycle = Cycle(
            sources={"": GitSource(spec, state_directory=self.directory / "state", clock=self.clock)},
            engine=SimulatedEngine(self.host, owner="gitvirt", clock=self.clock, workers=workers),
            journal=self.journal,
            clock=self.clock,
            workers=workers,
            policy=Policy(owner="gitvirt", host=self.host.name, mode=Mode.ENFORCE, sources=(Origin(),)),
            digest=digest,
            limits=RevisionLimits(documents=documents),
        )

    def run(self) -> CycleReport:
        report = self.cycle.run(Wake(fetch=True, everything=True))
        for _ in range(3):
            self.clock.advance(30)
            report = self.cycle.run(Wake(fetch=True, everything=True))
        return report

    def is_running(self) -> bool:
        domain = self.host.state.domains.get("default_web")
        return domain is not None and domain.running is not None


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.good = made.upstream.commit({"all.yaml": vm("web") + claim("web-root")})
    made.run()
    assert made.is_running()
    made.large = made.upstream.commit({"many.yaml": MANY})
    return made


def test_it_is_refused_with_its_reason_and_the_one_before_is_enforced(world):
    report = world.run()
    status = report.sources[""]
    assert (status.state, status.head) == (SourceState.REFUSED, world.large)
    assert "limits.documents" in status.message
    assert f"{world.good[:12]} stays enforced" in status.message
    assert any("is not used" in message for record in world.journal.records for message in record.messages)
    world.host.end_guest(WEB, StopReason.DESTROYED)
    world.run()
    assert world.is_running(), "drift is still corrected"


@pytest.mark.parametrize("remote", ["there", "away"])
def test_after_a_restart_the_one_before_is_enforced(world, remote):
    world.run()
    world.host.end_guest(WEB, StopReason.DESTROYED)
    if remote == "away":
        world.upstream.path.rename(world.directory / "elsewhere")
    world.start()
    world.run()
    assert world.is_running()


def test_a_wider_limit_and_a_restart_take_it(world):
    world.run()
    world.start(documents=20)
    report = world.run()
    assert report.sources[""].state is SourceState.READY
    assert world.cycle.revisions[""].commit == world.large


def test_a_narrower_limit_never_goes_back_to_an_older_revision(world):
    world.start(documents=20)
    world.run()
    volumes = dict(world.host.state.volumes)
    assert len(volumes) > 4
    world.start(documents=4)
    report = world.run()
    assert "was accepted before and is now refused" in report.sources[""].message
    assert world.host.state.volumes == volumes
    assert world.is_running()
