"""Sync waves: who waits for whom, who does not, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from reconciler.model.declared import Declared, Reading
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm, LiveVolume
from reconciler.model.persistent import PersistentMap
from reconciler.model.plan import Action, Plan
from reconciler.model.policy import Mode, Policy
from reconciler.model.power import PowerState, StopReason
from reconciler.model.sync_wave import Wave, wave_number, wrong_waves
from reconciler.planning.offline import as_if_live, plan_between
from reconciler.planning.planner import make_plan
from reconciler.planning.resolve import resolve
from reconciler.planning.safety import Approvals
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, observed, vm

ENGINE = SimulatedEngine(Host(SimulatedClock()), owner="gitvirt", clock=SimulatedClock(), workers=SteppedWorkers())
VM, PVC = "VirtualMachine", "PersistentVolumeClaim"
Live = Mapping[ObjectKey, LiveObject]


def key(name: str, kind: str = VM) -> ObjectKey:
    return ObjectKey(kind, "default", name)


def wave(number: int | str) -> str:
    return f'{{gitvirt.io/sync-wave: "{number}"}}'


def machine(name: str, number: int, *, disk: int | None = None, strategy: str = "Always") -> str:
    """A VM of a wave; its claim is of the same, or of ``disk``."""
    of_disk = wave(number if disk is None else disk)
    return vm(name, annotations=wave(number), strategy=strategy) + claim(f"{name}-root", annotations=of_disk)


def live_of(text: str, policy: Policy = POLICY) -> dict[ObjectKey, LiveObject]:
    desired = resolve(declared(text), observed(), policy=policy, digest=digest)
    return {key: as_if_live(resolved, policy, "r0") for key, resolved in desired.objects.items()}


def plan(text: str | Declared, live: Live, policy: Policy = POLICY, **more: object) -> Plan:
    said = declared(text) if isinstance(text, str) else text
    desired = resolve(said, observed(*live.values()), policy=policy, digest=digest)
    return make_plan(desired, observed(*live.values()), policy=policy, engine=ENGINE, now=NOW, **more)


def names(found: Plan) -> list[str]:
    return [change.key.name for change in found.changes if change.key.kind == VM]


def waits(found: Plan) -> dict[str, str]:
    """Name → reason of VMs that a sync wave keeps."""
    of_rule = [hold for hold in found.held if hold.rule == "sync-wave"]
    return {change.key.name: hold.reason for hold in of_rule for change in hold.changes if change.key.kind == VM}


THREE = machine("db", -1) + machine("app", 0) + machine("web", 5)


def test_a_new_repository_begins_with_its_first_wave_and_says_what_the_others_wait_for() -> None:
    first = plan(THREE, {})
    assert names(first) == ["db"]
    assert set(waits(first)) == {"app", "web"}
    told = "sync wave 5 waits for wave -1: PersistentVolumeClaim/default/db-root (not made yet), VirtualMachine/default/db (not made yet)"
    assert waits(first)["web"] == told
    live = live_of(machine("db", -1))
    second = plan(THREE, live)
    assert names(second) == ["app"] and set(waits(second)) == {"web"}
    live |= live_of(machine("app", 0))
    assert names(plan(THREE, live)) == ["web"]
    assert plan(THREE, live_of(THREE)).held == ()


def test_what_drifts_is_put_right_whatever_earlier_waves_are_at() -> None:
    live = live_of(THREE)
    web = live[key("web")]
    assert isinstance(web, LiveVm)
    live[key("web")] = replace(web, running=None, power=PowerState.OFF, stop_reason=StopReason.DESTROYED)
    del live[key("db")]
    found = plan(THREE, live)
    assert names(found) == ["db", "web"] and waits(found) == {}


def test_what_was_tried_already_and_what_an_operator_asks_for_goes_on() -> None:
    live = live_of(machine("app", 0) + machine("web", 5, strategy="Halted"))
    assert set(waits(plan(THREE, live))) == {"web"}
    assert "web" in names(plan(THREE, live, failed=frozenset({key("web")})))
    assert "web" in names(plan(THREE, live, asked=frozenset({key("web")}), restarts=frozenset({key("web")})))


def test_an_invalid_or_blocked_object_of_an_early_wave_is_waited_for_and_named() -> None:
    said = declared(machine("app", 0) + machine("web", 5))
    broken = {key("db"): "db.yaml:3: no such field"}
    waves = said.waves.insert(key("db"), Wave("", -1))
    found = plan(replace(said, invalid=PersistentMap(broken), waves=waves), live_of(machine("app", 0)))
    assert waits(found) == {"web": "sync wave 5 waits for wave -1: VirtualMachine/default/db (not valid)"}
    lacking = machine("app", 0) + vm("db", annotations=wave(-1)) + machine("web", 5)
    assert "VirtualMachine/default/db (blocked)" in waits(plan(lacking, live_of(machine("app", 0))))["web"]


def test_a_volume_that_is_being_filled_is_waited_for() -> None:
    live = live_of(machine("db", -1))
    volume = live[key("db-root", PVC)]
    assert isinstance(volume, LiveVolume)
    live[key("db-root", PVC)] = replace(volume, phase="ImportInProgress", progress=0.5)
    found = plan(machine("db", -1) + machine("web", 1), live)
    assert names(found) == [] and "PersistentVolumeClaim/default/db-root (waiting)" in waits(found)["web"]
    moved = {**live, key("db-root", PVC): replace(volume, phase="ImportInProgress", progress=0.6)}
    assert plan(machine("db", -1) + machine("web", 1), moved).plan_id == found.plan_id


def test_what_an_earlier_wave_needs_goes_with_it() -> None:
    text = machine("db", -1, disk=9) + machine("web", 5)
    found = plan(text, {})
    assert [change.key for change in found.changes if change.key.kind != "PodNetwork"] == [
        key("db-root", PVC),
        key("db"),
    ]
    assert set(waits(found)) == {"web"} and found.blocked == ()


def test_deletions_go_the_other_way_and_dependencies_still_come_first() -> None:
    live = live_of(THREE)
    empty = Policy(host="host-a", mode=Mode.ENFORCE, blast_radius=replace(POLICY.blast_radius, few=99))
    rest = machine("stays", 0)
    first = plan(rest, {**live, **live_of(rest)}, empty)
    assert names(first) == ["web"]
    assert waits(first)["db"].startswith(
        "sync wave -1 goes after wave 5: PersistentVolumeClaim/default/web-root (not gone yet)"
    )
    kept = {at: one for at, one in live.items() if "web" not in at.name}
    assert names(plan(rest, {**kept, **live_of(rest)}, empty)) == ["app"]
    # The claim of the later wave needs its VM of the earlier wave to be gone: the VM does not wait for it.
    crossed = live_of(machine("db", -1, disk=9))
    volume = crossed[key("db-root", PVC)]
    assert isinstance(volume, LiveVolume)
    crossed[key("db-root", PVC)] = replace(volume, used_by=(key("db"),))
    found = plan(rest, {**crossed, **live_of(rest)}, empty)
    assert names(found) == ["db"] and waits(found) == {}


def test_deletions_do_not_wait_for_what_is_made_nor_the_other_way_round() -> None:
    live = live_of(machine("old", 3))
    found = plan(machine("db", -1), live, replace(POLICY, blast_radius=replace(POLICY.blast_radius, few=99)))
    assert {(change.key.name, change.action) for change in found.changes if change.key.kind == VM} >= {
        ("db", Action.CREATE)
    }
    assert waits(found) == {}


def test_a_person_can_let_a_wave_go_ahead() -> None:
    live = live_of(machine("app", 0))
    (hold,) = [hold for hold in plan(THREE, live).held if hold.rule == "sync-wave"]
    assert hold.approvable
    found = plan(THREE, live, approvals=Approvals(ids={hold.hold_id}))
    assert (
        names(found) == ["db", "web"] and found.held == () and hold.hold_id in {one.hold_id for one in found.released}
    )
    # Approved, and then it waited for something else: nobody is asked twice.
    let_go = [(change.key, change.action) for change in hold.changes]
    assert names(plan(THREE, live, approvals=Approvals(changes=let_go))) == ["db", "web"]


def test_held_objects_are_waited_for_but_not_what_is_kept_on_purpose() -> None:
    suspended = live_of(machine("db", -1, strategy="Halted"))
    db = suspended[key("db")]
    assert isinstance(db, LiveVm) and db.marks is not None
    suspended[key("db")] = replace(db, marks=replace(db.marks, suspended="by me"))
    assert "(held: suspended)" in waits(plan(THREE, suspended))["web"]
    kept = live_of(
        vm("old", annotations='{gitvirt.io/sync-wave: "3", gitvirt.io/prune: "false"}') + machine("older", 1)
    )
    found = plan(
        machine("db", -1),
        {**kept, **live_of(machine("db", -1))},
        replace(POLICY, blast_radius=replace(POLICY.blast_radius, few=99)),
    )
    assert names(found) == ["older"] and waits(found) == {}


def test_sources_have_waves_of_their_own() -> None:
    policy = replace(POLICY, sources=())
    one, other = declared(machine("db", -1) + machine("web", 5), origin="a"), declared(machine("lone", 7), origin="b")
    both = Declared(
        readings={"a": Reading(source="a", revision="r1"), "b": Reading(source="b", revision="r1")},
        documents=PersistentMap({**one.documents, **other.documents}),
        waves=PersistentMap({**one.waves, **other.waves}),
    )
    found = plan(both, {}, policy)
    assert names(found) == ["db", "lone"] and set(waits(found)) == {"web"}


def test_a_pull_request_is_told_everything_in_the_order_of_waves() -> None:
    found = plan_between(None, declared(THREE), engine=ENGINE, policy=POLICY, digest=digest)
    assert names(found) == ["db", "app", "web"] and found.held == ()


def test_report_mode_holds_as_it_does_without_waves() -> None:
    found = plan(THREE, {}, replace(POLICY, mode=Mode.REPORT))
    assert {hold.rule for hold in found.held} == {"report-mode"}


def test_a_guest_in_back_off_is_not_ready() -> None:
    live = live_of(machine("db", -1))
    db = live[key("db")]
    assert isinstance(db, LiveVm)
    history = replace(db.history, failures=3, ended_at=NOW - timedelta(seconds=1))
    live[key("db")] = replace(db, running=None, power=PowerState.OFF, stop_reason=StopReason.FAILED, history=history)
    found = plan(machine("db", -1) + machine("web", 1), live)
    assert waits(found) == {"web": "sync wave 1 waits for wave -1: VirtualMachine/default/db (CrashLoopBackOff)"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reported": "Running"}, ""),
        ({"reported": "Starting"}, "Starting"),
        ({"reported": "Provisioning"}, "Provisioning"),
        ({"reported": ""}, "not started yet"),
        ({"reported": "ErrorUnschedulable", "fault": "ErrorUnschedulable: no node"}, "ErrorUnschedulable"),
    ],
)
def test_on_a_cluster_a_vm_is_ready_when_kubevirt_says_so(changes: dict[str, str], said: str) -> None:
    policy = replace(POLICY, on_cluster=True)
    text = machine("db", -1) + machine("web", 1)
    live = live_of(text, policy)
    db = live[key("db")]
    assert isinstance(db, LiveVm)
    found = plan(text, {**live, key("db"): replace(db, **changes), key("web"): live[key("web")]}, policy)
    assert found.changes == ()
    del live[key("web")]
    found = plan(text, {**live, key("db"): replace(db, **changes)}, policy)
    assert waits(found) == (
        {"web": f"sync wave 1 waits for wave -1: VirtualMachine/default/db ({said})"} if said else {}
    )


def test_numbers() -> None:
    own, argo = "gitvirt.io/sync-wave", "argocd.argoproj.io/sync-wave"
    assert [wave_number({"metadata": {"annotations": {own: n}}}) for n in ("3", "-4", "+5", "x", "")] == [
        3,
        -4,
        5,
        0,
        0,
    ]
    assert wave_number({"metadata": {"annotations": {own: "1", argo: "2"}}}) == 1
    assert [wave_number(odd) for odd in (None, [], {"metadata": 3}, {"metadata": {"annotations": []}})] == [0, 0, 0, 0]
    assert list(wrong_waves({"metadata": {"annotations": {argo: "1e3", own: "9999999999"}}})) == [
        (own, "9999999999"),
        (argo, "1e3"),
    ]
