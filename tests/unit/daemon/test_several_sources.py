"""Two sources over one simulated host: each object belongs to the source that it came from."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject
from reconciler.model.origin import Origin
from reconciler.model.policy import Mode, Policy
from reconciler.model.power import StopReason
from reconciler.model.revision import SourceState
from reconciler.model.status import ObjectState, ObjectStatus
from reconciler.planning.redact import source_of
from tests.simulation.repository import MemoryJournal, MemorySource, Remote
from tests.unit.planning.building import claim, digest, vm

INFRA = Origin(name="infra", identity="infra@refs/heads/main")
SHOP = Origin(name="shop", identity="shop@refs/heads/main:vms")
BOTH = (INFRA, SHOP)
WEB, DB, DNS = (ObjectKey("VirtualMachine", "default", name) for name in ("web", "db", "dns"))
ROOT = ObjectKey("PersistentVolumeClaim", "default", "web-root")
EMPTY = "# nothing\n"


def machine(name: str, **more: str) -> str:
    return vm(name, **more) + claim(f"{name}-root")


class World:
    """One host and a remote a source; `follow` is a new process with other settings."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.host = Host(self.clock)
        self.workers = SteppedWorkers()
        self.engine = SimulatedEngine(self.host, owner="gitvirt", clock=self.clock, workers=self.workers)
        self.remotes = {"infra": Remote(), "shop": Remote()}
        self.journal = MemoryJournal()
        self.follow(BOTH)

    def follow(self, origins: Sequence[Origin]) -> None:
        self.sources = {one.name: MemorySource(self.remotes[one.name], self.clock) for one in origins}
        policy = Policy(owner="gitvirt", host=self.host.name, mode=Mode.ENFORCE, sources=tuple(origins))
        self.cycle = Cycle(
            sources=self.sources,
            engine=self.engine,
            journal=self.journal,
            clock=self.clock,
            workers=self.workers,
            policy=policy,
            digest=digest,
        )

    def commit(self, source: str, text: str, **more: str) -> str:
        return self.remotes[source].commit({"all.yaml": text, **more}, "change")

    def run(self) -> CycleReport:
        """Fetch everything, then go on until nothing is due."""
        report = self.cycle.run(Wake(fetch=True, everything=True))
        for _ in range(30):
            if report.retry_after_s is None:
                return report
            self.clock.advance(max(report.retry_after_s, 0.1))
            self.workers.step()
            report = self.cycle.run(Wake(keys=frozenset(self.host.drain_events())))
        raise AssertionError(f"does not settle: {report.plan}")

    def live(self, key: ObjectKey) -> LiveObject | None:
        return self.engine.observe({key}).objects.get(key)

    def origin(self, key: ObjectKey) -> str:
        live = self.live(key)
        assert live is not None
        return source_of(live)

    def status(self, key: ObjectKey) -> ObjectStatus:
        return next(status for status in self.cycle.status() if status.key == key)

    def codes(self) -> list[tuple[str, str]]:
        return [(found.code, found.place.file) for found in self.cycle.problems]


@pytest.fixture
def world() -> World:
    made = World()
    made.commit("infra", machine("dns") + machine("web"))
    made.commit("shop", machine("db"))
    made.run()
    return made


def test_both_are_applied_and_told_apart(world: World) -> None:
    assert [world.origin(key) for key in (DNS, DB)] == [INFRA.identity, SHOP.identity]
    assert (world.status(DNS).source, world.status(DB).source) == ("infra", "shop")
    commits = {name: remote.snapshots[-1].revision.commit for name, remote in world.remotes.items()}
    made = {a.change.key: (a.change.source, a.change.revision) for r in world.journal.records for a in r.applied}
    assert (made[DNS], made[DB]) == (("infra", commits["infra"]), ("shop", commits["shop"]))
    assert {name: revision.commit for name, revision in world.cycle.revisions.items()} == commits
    assert world.status(DB).revision == commits["shop"]


def test_a_wake_looks_at_one_remote(world: World) -> None:
    world.commit("infra", machine("dns"))
    world.commit("shop", EMPTY + machine("db") + machine("cache"))
    world.cycle.run(Wake(sources=frozenset({"shop"})))
    assert world.live(ObjectKey("VirtualMachine", "default", "cache")) and world.live(WEB)


def test_an_absent_object_goes_when_its_own_source_was_read(world: World) -> None:
    world.commit("infra", machine("dns"))
    report = world.run()
    assert world.live(WEB) is None and world.live(DB) is not None
    gone = [a.change for r in world.journal.records for a in r.applied if a.change.key == WEB][-1]
    assert (gone.source, gone.revision) == ("infra", report.record.revisions["infra"].commit)


@pytest.mark.parametrize("trouble", [SourceState.UNREACHABLE, SourceState.EMPTY, SourceState.REWRITTEN])
def test_a_remote_in_trouble_holds_up_no_other(world: World, trouble: SourceState) -> None:
    world.remotes["shop"].trouble = trouble
    world.commit("infra", machine("dns"))
    world.host.end_guest(DB, StopReason.DESTROYED)
    world.run()
    assert world.live(WEB) is None
    assert world.status(DB).printable_status == "Running"


def test_an_incomplete_reading_stops_deletions_of_its_own_objects_only(world: World) -> None:
    world.commit("infra", machine("dns"))
    world.commit("shop", EMPTY, **{"broken.yaml": "a: [\n"})
    world.run()
    assert world.live(WEB) is None
    assert world.live(DB) is not None
    assert "all of shop can be read" in world.status(DB).message


def test_a_source_never_accepted_stops_deletions_of_its_own_objects_only(world: World) -> None:
    world.follow(BOTH)
    world.remotes["shop"].trouble = SourceState.UNREACHABLE
    world.commit("infra", machine("dns"))
    world.run()
    assert world.live(WEB) is None and world.live(DB) is not None
    assert "all of shop can be read" in world.status(DB).message


@pytest.mark.parametrize(
    "now",
    [
        (INFRA,),
        (INFRA, Origin(name="shop", identity="shop@refs/heads/main:machines")),
        (INFRA, Origin(name="shop", identity="shop@refs/heads/next:vms")),
        (INFRA, Origin(name="shop", identity=SHOP.identity, namespaces=("shop",))),
    ],
    ids=["removed", "other path", "other branch", "other namespaces"],
)
def test_what_is_no_longer_followed_is_an_orphan(world: World, now: tuple[Origin, ...]) -> None:
    world.follow(now)
    world.commit("shop", EMPTY)
    world.run()
    status = world.status(DB)
    assert world.live(DB) is not None and status.printable_status == "Running"
    assert status.state is ObjectState.ORPHANED
    disk = world.status(ObjectKey("PersistentVolumeClaim", "default", "db-root"))
    assert "`gitvirt release --kind pvc default/db-root` lets go of it" in disk.message
    assert SHOP.identity in status.message and "`gitvirt release default/db` lets go of it" in status.message
    world.follow(BOTH)
    assert world.run().plan is not None
    assert world.live(DB) is None


def test_an_object_moves_from_one_source_to_the_other(world: World) -> None:
    boots = world.host.state.domains["default_web"]
    world.commit("infra", machine("dns"))
    world.commit("shop", machine("db") + machine("web"))
    world.run()
    assert (world.origin(WEB), world.origin(ROOT)) == (SHOP.identity, SHOP.identity)
    assert world.host.state.domains["default_web"].history == boots.history
    assert world.cycle.problems == ()


def test_moved_half_way_it_stays_until_the_other_source_lets_go(world: World) -> None:
    world.commit("shop", machine("db") + machine("web", strategy="Halted"))
    world.run()
    assert world.origin(WEB) == INFRA.identity
    assert world.status(WEB).printable_status == "Running"
    (first, _) = (found for found in world.cycle.problems if found.code == "object-in-two-sources")
    assert first.place.file == "shop:all.yaml" and "declared at infra:all.yaml:" in first.message
    world.commit("infra", machine("dns"))
    world.run()
    assert world.origin(WEB) == SHOP.identity
    assert world.status(WEB).printable_status == "Stopped"


def test_declared_by_both_and_made_by_none_neither_counts(world: World) -> None:
    new = ObjectKey("VirtualMachine", "default", "new")
    world.commit("infra", machine("dns") + machine("web") + machine("new"))
    world.commit("shop", machine("db") + machine("new"))
    world.run()
    assert world.live(new) is None and world.status(new).state is ObjectState.INVALID
    rivals = [place for code, place in world.codes() if code == "object-in-two-sources"]
    assert sorted(set(rivals)) == ["infra:all.yaml", "shop:all.yaml"]
    world.commit("shop", machine("db"))
    world.run()
    assert world.origin(new) == INFRA.identity


def test_the_keeper_is_checked_with_the_others_and_its_rival_is_not(world: World) -> None:
    """The rival of a VM that is there claims another's disk: that is nobody's business."""
    greedy = vm("web").replace("claimName: web-root", "claimName: dns-root")
    world.commit("shop", machine("db") + greedy)
    world.run()
    assert {code for code, _ in world.codes()} == {"object-in-two-sources"}
    world.commit("infra", machine("dns") + greedy)
    world.run()
    assert "disk-claimed-twice" in {code for code, _ in world.codes()}


def test_outside_its_namespaces_a_source_has_no_say(world: World) -> None:
    confined = Origin(name="shop", identity=SHOP.identity, namespaces=("shop",))
    world.follow((INFRA, confined))
    own = machine("cache").replace("metadata: {name", "metadata: {namespace: shop, name")
    network = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
    world.commit("shop", own + network + machine("web", strategy="Halted") + vm("dns").replace("dns-root", "web-root"))
    world.run()
    assert world.status(WEB).printable_status == "Running"
    assert world.live(ObjectKey("VirtualMachine", "shop", "cache"))
    assert {code for code, _ in world.codes()} == {"namespace-not-allowed"}
    assert {str(found.object) for found in world.cycle.problems} == {str(WEB), str(ROOT), str(DNS), "Namespace/shop"}
    assert "its namespaces in the settings are shop" in world.cycle.problems[0].hint


def test_a_vm_uses_what_another_source_declares(world: World) -> None:
    world.commit("infra", machine("dns") + machine("web") + claim("cache-root"))
    world.commit("shop", machine("db") + vm("cache"))
    world.run()
    assert world.status(ObjectKey("VirtualMachine", "default", "cache")).printable_status == "Running"


def test_a_commit_of_any_source_approves(world: World) -> None:
    world.commit("infra", EMPTY)
    world.commit("shop", EMPTY)
    report = world.run()
    assert report.plan is not None
    held = {hold.hold_id for hold in report.plan.held if hold.approvable}
    assert held
    world.remotes["shop"].commit({"all.yaml": EMPTY}, "let them go", approvals=tuple(held))
    world.run()
    assert [world.live(key) for key in (WEB, DNS, DB)] == [None] * 3


def test_a_commit_approves_nothing_outside_its_namespaces(world: World) -> None:
    world.commit("infra", "".join(machine(name) for name in ("dns", "web", "a", "b", "c", "d")))
    world.run()
    world.follow((INFRA, Origin(name="shop", identity=SHOP.identity, namespaces=("shop",))))
    for source in ("infra", "shop"):
        world.commit(source, EMPTY)
    report = world.run()
    assert report.plan is not None
    held = {hold.hold_id for hold in report.plan.held if hold.approvable}
    assert held
    world.remotes["shop"].commit({"all.yaml": EMPTY}, "let them go", approvals=tuple(held))
    world.run()
    assert world.live(WEB) is not None and world.live(DNS) is not None
    world.remotes["infra"].commit({"all.yaml": EMPTY}, "let them go", approvals=tuple(held))
    world.run()
    assert world.live(WEB) is None and world.live(DNS) is None


def test_the_pod_network_goes_only_when_all_sources_were_read(world: World) -> None:
    world.follow(BOTH)
    world.remotes["shop"].trouble = SourceState.UNREACHABLE
    world.commit("infra", EMPTY)
    report = world.run()
    assert report.plan is not None
    assert not [c for hold in report.plan.held for c in hold.changes if c.key.kind == "PodNetwork"]
