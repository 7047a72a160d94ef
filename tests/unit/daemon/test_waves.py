"""Sync waves lived through: one cycle after another, to the end, and what is told on the way."""

from __future__ import annotations

from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Action
from reconciler.model.power import StopReason
from reconciler.model.status import ObjectState
from tests.unit.daemon.test_cycle import IMAGE, World, running
from tests.unit.planning.building import claim, vm
from tests.unit.planning.test_waves import machine, wave

DB, APP, WEB = (ObjectKey("VirtualMachine", "default", name) for name in ("db", "app", "web"))


def vms_told(world: World, action: Action) -> list[str]:
    done = [a for record in world.journal.records for a in record.applied]
    names = (a.change.key.name for a in done if a.change.key.kind == "VirtualMachine" and a.change.action is action)
    return list(dict.fromkeys(names))


def test_waves_come_up_one_after_another_and_go_in_the_reverse_order() -> None:
    world = World()
    waves = machine("db", -1) + machine("app", 0) + machine("web", 5)
    world.commit(waves)
    world.cycle.run(Wake(fetch=True))
    world.settle()
    assert vms_told(world, Action.CREATE) == ["db", "app", "web"]
    assert {s.state for s in world.cycle.status()} == {ObjectState.READY}
    world.commit(waves + machine("rest", 0))
    world.cycle.run(Wake(fetch=True))
    world.settle()
    world.commit(machine("rest", 0))
    report = world.cycle.run(Wake(fetch=True))
    world.settle()
    held = [hold for hold in report.plan.held if hold.rule == "blast-radius"] if report.plan is not None else []
    world.cycle.run(Wake(approvals=frozenset(hold.hold_id for hold in held)))
    world.settle()
    assert vms_told(world, Action.DELETE) == ["web", "app", "db"]
    assert world.cycle.report is not None and world.cycle.report.plan is not None
    assert world.cycle.report.plan.held == () and world.cycle.report.plan.changes == ()


def test_a_wave_waits_for_an_import_and_begins_with_the_event_of_its_end() -> None:
    world = World()
    world.host.web["http://images.example/i.qcow2"] = 1 << 20
    world.commit(
        machine("db", -1)
        + vm("web", annotations=wave(1))
        + IMAGE.replace("{name: web-root}", f"{{name: web-root, annotations: {wave(-5)}}}")
    )
    world.cycle.run(Wake(fetch=True))
    states = {s.key: s for s in world.cycle.status()}
    assert states[DB].state is ObjectState.BLOCKED
    assert "waits for wave -5: DataVolume/default/web-root (waiting)" in states[DB].message
    assert vms_told(world, Action.CREATE) == []
    world.settle()
    assert vms_told(world, Action.CREATE) == ["db", "web"]


def test_a_broken_early_wave_holds_the_later_ones_up_and_says_so_and_a_running_vm_is_still_cared_for() -> None:
    world = running(World())
    world.commit(vm("web") + claim("web-root") + machine("db", -1).replace("128Mi", "nonsense") + machine("app", 1))
    world.cycle.run(Wake(fetch=True))
    world.settle()
    states = {s.key: s for s in world.cycle.status()}
    assert states[DB].state is ObjectState.INVALID
    assert "VirtualMachine/default/db (not valid)" in states[APP].message
    world.host.end_guest(WEB, StopReason.DESTROYED)
    world.settle()
    assert world.cycle.report is not None and world.cycle.report.plan is not None
    (hold,) = world.cycle.report.plan.held
    assert (hold.rule, {s.key: s.state for s in world.cycle.status()}[WEB]) == ("sync-wave", ObjectState.READY)
    world.cycle.run(Wake(approvals=frozenset({hold.hold_id})))
    world.settle()
    assert vms_told(world, Action.CREATE)[-1] == "app"


def test_a_wave_that_is_no_number_is_a_problem_with_its_line() -> None:
    world = World()
    world.commit(machine("db", -1).replace('"-1"', '"first"', 1))
    world.cycle.run(Wake(fetch=True))
    (found,) = [one for one in world.cycle.problems if one.code == "sync-wave-invalid"]
    assert (str(found.place).partition(":")[0], found.place.line, found.object) == ("all.yaml", 4, DB)
    assert "'first'" in found.message


def test_dependencies_overrule_waves_and_the_author_is_told() -> None:
    world = World()
    world.commit(machine("db", -1, disk=9) + machine("web", 5))
    world.cycle.run(Wake(fetch=True))
    (found,) = [one for one in world.cycle.problems if one.code == "sync-wave-order"]
    assert found.object == DB and "PersistentVolumeClaim/default/db-root is needed here" in found.message
    world.settle()
    assert vms_told(world, Action.CREATE) == ["db", "web"]
    world.commit(machine("db", -1, disk=-1) + machine("web", 5))
    world.cycle.run(Wake(fetch=True))
    assert world.cycle.problems == ()
