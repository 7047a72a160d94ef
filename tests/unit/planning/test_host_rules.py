"""What a host has no room for, and what is only told."""

from __future__ import annotations

from dataclasses import replace

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, LiveObject, PoolFacts, TrashItem, Unreadable
from reconciler.model.plan import Impact, Plan
from reconciler.model.resolved import SourceKind, VolumeSource
from reconciler.planning.offline import as_if_live, plan_between
from reconciler.planning.planner import make_plan
from reconciler.planning.resolve import resolve
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, observed, vm

ENGINE = SimulatedEngine(Host(SimulatedClock()), owner="gitvirt", clock=SimulatedClock(), workers=SteppedWorkers())
GIB = 1 << 30
POOL = PoolFacts(name="default", capacity_bytes=100 * GIB, available_bytes=10 * GIB)
HOST = HostFacts(hostname="host-a", labels=POLICY.host_labels, cpus=4, memory_mib=1024, pools=(POOL,))
PVC = ObjectKey("PersistentVolumeClaim", "default", "web-root")
WEB = ObjectKey("VirtualMachine", "default", "web")


def big(name: str, memory: str, *, strategy: str = "Always", cpu: str = "{}") -> str:
    text = vm(name, strategy=strategy).replace(
        "memory: {guest: 128Mi}", f"memory: {{guest: {memory}}}\n        cpu: {cpu}"
    )
    return text + claim(f"{name}-root")


def plan(text: str, *live: LiveObject, host: HostFacts = HOST, **more: object) -> Plan:
    observation = replace(observed(*live, **more), host=host)
    desired = resolve(declared(text), observation, policy=POLICY, digest=digest)
    return make_plan(desired, observation, policy=POLICY, engine=ENGINE, now=NOW)


def notes(made: Plan) -> dict[str, str]:
    return {note.code: f"{note.key}: {note.message}" for note in made.notes}


def test_a_vm_with_more_memory_than_the_host_is_invalid_alone() -> None:
    made = plan(big("web", "2Gi") + big("db", "512Mi"))
    assert [str(change.key) for change in made.changes if change.key.kind == "VirtualMachine"] == [
        "VirtualMachine/default/db"
    ]
    (blocked,) = (one for one in made.blocked if one.key == WEB)
    assert "the VM has 2Gi of memory, and the host 1Gi" in blocked.by
    observation = replace(observed(), host=HOST)
    (found,) = resolve(declared(big("web", "2Gi")), observation, policy=POLICY, digest=digest).trouble.values()
    assert (found.code, found.path) == ("host-memory-exceeded", "spec.template.spec.domain.memory.guest")


def test_a_vm_that_outgrows_its_host_is_held_at_what_it_is() -> None:
    before = resolve(declared(big("web", "512Mi")), observed(), policy=POLICY, digest=digest)
    live = [as_if_live(thing, POLICY, "r0") for thing in before.objects.values()]
    made = plan(big("web", "2Gi"), *live)
    assert made.changes == ()
    assert any("held at its last applied document" in one.by for one in made.blocked)


def test_an_unknown_host_and_one_that_is_just_large_enough_are_not_judged() -> None:
    assert plan(big("web", "2Gi"), host=replace(HOST, memory_mib=0)).blocked == ()
    assert plan(big("web", "1Gi")).blocked == ()


def test_memory_of_all_vms_together_is_told_and_holds_nothing_back() -> None:
    made = plan(big("a", "600Mi") + big("b", "600Mi"))
    assert notes(made)["host-memory-overcommitted"] == (
        "Host/host-a: the VMs that should run have 1200Mi of memory together, and the host 1024Mi"
    )
    assert made.blocked == ()
    assert "host-memory-overcommitted" not in notes(plan(big("a", "600Mi") + big("b", "600Mi", strategy="Halted")))


def test_more_cpus_than_the_host_has_are_told() -> None:
    made = plan(big("web", "512Mi", cpu="{sockets: 2, cores: 2, threads: 2}"))
    assert notes(made)["host-cpus-exceeded"] == f"{WEB}: its 8 virtual CPUs share the 4 of the host"
    assert "host-cpus-exceeded" not in notes(plan(big("web", "512Mi", cpu="{cores: 4}")))


def test_a_disk_larger_than_its_pool_is_not_made() -> None:
    made = plan(claim("web-root", "101Gi"))
    assert made.changes == ()
    (blocked,) = made.blocked
    assert blocked.by == "the disk is to have 101Gi, and its whole pool default has 100.0Gi"


def test_disks_that_may_outgrow_what_is_free_are_made_and_told() -> None:
    made = plan(claim("a", "6Gi") + claim("b", "6Gi"))
    assert len(made.changes) == 2
    assert notes(made)["pool-overcommitted"] == (
        "Host/host-a: pool default has 10.0Gi free, and 2 new disks may grow to 12.0Gi"
    )
    assert plan(claim("a", "6Gi")).notes == ()


def test_a_disk_that_comes_back_from_the_trash_needs_no_room() -> None:
    item = TrashItem(
        item="t1", key=PVC, owner="gitvirt", trashed_at=NOW, pool="default", size_bytes=200 * GIB,
        source=VolumeSource(kind=SourceKind.BLANK), format="qcow2",
    )  # fmt: skip
    made = plan(claim("web-root", "200Gi"), trash=(item,))
    assert [change.restore for change in made.changes] == ["t1"] and made.notes == ()


def test_a_pool_that_is_missing_is_named() -> None:
    reason = "storage pool 'fast' does not exist in libvirt; define and start it"
    made = plan(claim("web-root"), unreadable=(Unreadable(reason=reason, key=PVC),))
    (blocked,) = made.blocked
    assert (blocked.key, blocked.by, blocked.waiting) == (PVC, reason, True)


def test_a_claim_that_shrinks_between_two_revisions_is_told() -> None:
    made = plan_between(
        declared(claim("web-root", "2Gi")),
        declared(claim("web-root", "1Gi")),
        engine=ENGINE,
        policy=POLICY,
        digest=digest,
    )
    assert [change.impact for change in made.changes] == [Impact.NONE]
    assert notes(made)["volume-larger"].startswith(f"{PVC}: the volume has 2Gi, more than is asked for")
