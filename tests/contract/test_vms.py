"""What every engine does with the configuration of a VM."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.domain import DomainSpec
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Result
from reconciler.model.plan import Impact
from reconciler.model.power import PowerState, StopReason
from reconciler.model.resolved import ResolvedNetwork, ResolvedVm, ResolvedVolume
from tests.contract.builders import create, delete, update
from tests.contract.world import World, carry_out, everything, look, look_vm, put_right, start_step, take_away


def declared_network(world: World, name: str = "net", number: int = 0) -> ResolvedNetwork:
    network = world.site.network(name, bridge=world.bridge(number))
    assert world.engine.apply(create(network)).result is Result.APPLIED
    return network


def declared_claim(world: World, name: str = "data", size: str = "16Mi") -> ResolvedVolume:
    claim = world.site.claim(name, size)
    carry_out(world, claim.key, lambda live: update(claim, live) if live else create(claim))
    return claim


def running_vm(world: World, vm: ResolvedVm) -> LiveVm:
    outcome = world.engine.apply(create(vm, power=start_step(world)))
    assert outcome.result is Result.APPLIED, outcome
    live = look_vm(world, vm.key)
    assert live.power is PowerState.RUNNING
    return live


def test_a_created_vm_is_observed_without_differences(world: World) -> None:
    vm = world.site.vm("web", disks={"data": declared_claim(world)}, nics={"default": declared_network(world)})
    live = running_vm(world, vm)
    assert world.engine.compare(vm, live) == ()
    for half in (live.stored, live.running):
        assert half is not None
        assert _as_mirrored(world, half) == _as_mirrored(world, replace(vm.domain, machine=half.machine))
    assert live.marks is not None
    assert live.marks.applied == vm.applied
    assert live.marks.revision == "1" * 40
    assert world.runs(vm.key) == 1


def _as_mirrored(world: World, spec: DomainSpec) -> object:
    """All of a spec, or what a platform's projection has of it: the rest is compared as documents."""
    if world.traits.mirrors_spec:
        return spec
    return spec.name, spec.uuid, spec.serial, spec.memory_mib, _devices(spec), [nic.mac for nic in spec.interfaces]


def test_a_vm_that_is_off_is_observed_without_differences(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Halted")
    assert world.engine.apply(create(vm)).result is Result.APPLIED
    live = look_vm(world, vm.key)
    reason = StopReason.NEVER_RAN if world.traits.runs_guests else StopReason.UNKNOWN
    assert (live.power, live.stop_reason, live.running) == (PowerState.OFF, reason, None)
    assert world.engine.compare(vm, live) == ()


def test_seed_data_is_no_difference_until_it_changes(world: World) -> None:
    vm = world.site.vm("web", user_data="#cloud-config\n")
    live = running_vm(world, vm)
    assert world.engine.compare(vm, live) == ()
    changed = world.site.vm("web", user_data="#cloud-config\nhostname: other\n")
    differences = world.engine.compare(changed, live)
    assert differences
    assert all("hostname" not in repr(entry) for entry in differences)


def test_the_same_creation_twice_changes_nothing(world: World) -> None:
    vm = world.site.vm("web", disks={"data": declared_claim(world)})
    live = running_vm(world, vm)
    again = world.engine.apply(create(vm, power=start_step(world)))
    assert again.result in (Result.UNCHANGED, Result.CONFLICT)
    assert again.steps == ()
    assert look_vm(world, vm.key).fingerprint == live.fingerprint


def test_a_change_planned_on_an_older_look_is_dropped(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Halted")
    world.engine.apply(create(vm))
    before = look_vm(world, vm.key)
    world.edit_memory(vm.key, 80)
    bigger = world.site.vm("web", run_strategy="Halted", memory="96Mi")
    outcome = world.engine.apply(update(bigger, before))
    assert (outcome.result, outcome.steps) == (Result.CONFLICT, ())
    stored = look_vm(world, vm.key).stored
    assert stored is not None
    assert stored.memory_mib == 80


def test_an_edit_by_hand_is_a_difference_and_is_corrected(world: World) -> None:
    vm = world.site.vm("web")
    running_vm(world, vm)
    world.edit_memory(vm.key, 80)
    live = look_vm(world, vm.key)
    (difference,) = world.engine.compare(vm, live)
    assert difference.path == "spec.template.spec.domain.memory.guest"
    assert (difference.before, difference.after) == ("80Mi", "64Mi")
    assert difference.stored
    assert difference.running is not world.traits.mirrors_spec
    if put_right(world, vm, live):
        assert world.engine.compare(vm, look_vm(world, vm.key)) == ()
    assert world.runs(vm.key) == 1


def test_more_memory_is_staged_and_never_restarts_the_guest(world: World) -> None:
    running_vm(world, world.site.vm("web"))
    bigger = world.site.vm("web", memory="96Mi")
    live = look_vm(world, bigger.key)
    assert [entry.impact for entry in world.engine.compare(bigger, live)] == [Impact.RESTART]
    assert world.engine.apply(update(bigger, live)).result is Result.APPLIED
    after = look_vm(world, bigger.key)
    assert after.stored is not None
    assert after.running is not None
    assert (after.stored.memory_mib, after.running.memory_mib) == (96, 64)
    assert world.runs(after.key) == 1
    (staged,) = world.engine.compare(bigger, after)
    assert (staged.stored, staged.running, staged.impact) == (False, True, Impact.RESTART)


def test_a_recorded_only_change_touches_the_marks_alone(world: World) -> None:
    running_vm(world, world.site.vm("web"))
    labelled = world.site.vm("web", annotations={"note": "hello"})
    live = look_vm(world, labelled.key)
    differences = world.engine.compare(labelled, live)
    assert differences
    assert {entry.impact for entry in differences} == {Impact.NONE}
    assert world.engine.apply(update(labelled, live)).result is Result.APPLIED
    after = look_vm(world, labelled.key)
    assert world.engine.compare(labelled, after) == ()
    assert world.runs(after.key) == 1


def test_a_nic_is_plugged_in_live_and_taken_out(world: World) -> None:
    first, second = declared_network(world), declared_network(world, "net2", 1)
    one = world.site.vm("web", nics={"default": first})
    two = world.site.vm("web", nics={"default": first, "extra": second})
    live = running_vm(world, one)
    _plug_in(world, two, live)
    _take_out(world, one)


def test_a_disk_is_plugged_in_live_and_taken_out(world: World) -> None:
    root, data = declared_claim(world, "root"), declared_claim(world, "data")
    one = world.site.vm("web", disks={"root": root})
    two = world.site.vm("web", disks={"root": root, "data": data})
    _plug_in(world, two, running_vm(world, one))
    _take_out(world, one)
    assert look(world, data.key) is not None


def _plug_in(world: World, larger: ResolvedVm, live: LiveVm) -> None:
    if world.traits.plugs:
        assert {entry.impact for entry in world.engine.compare(larger, live)} <= {Impact.LIVE, Impact.NONE}
    _carried_out_as_told(world, larger, live)


def _carried_out_as_told(world: World, wanted: ResolvedVm, live: LiveVm) -> None:
    """What was told to be live is in the running guest; what was told to wait for a restart is staged, and said to be, unless the
    guest never had it otherwise.
    """
    told = {entry.impact for entry in world.engine.compare(wanted, live)} - {Impact.NONE}
    assert world.engine.apply(update(wanted, live)).result is Result.APPLIED
    after = look_vm(world, wanted.key)
    assert after.running is not None
    left = world.engine.compare(wanted, after)
    if told == {Impact.LIVE} or _devices(after.running) == _devices(wanted.domain):
        assert left == ()
    else:
        assert told == {Impact.RESTART}
        assert {(entry.stored, entry.running, entry.impact) for entry in left} == {(False, True, Impact.RESTART)}
    assert world.runs(wanted.key) == 1


def _devices(spec: DomainSpec) -> tuple[list[str], list[str]]:
    return [disk.name for disk in spec.disks], [nic.name for nic in spec.interfaces]


def _take_out(world: World, smaller: ResolvedVm) -> None:
    """A guest without a kernel keeps its device; then the engine must not say that it is gone."""
    if not world.traits.plugs:
        _carried_out_as_told(world, smaller, look_vm(world, smaller.key))
        return
    outcome = world.engine.apply(update(smaller, look_vm(world, smaller.key)))
    after = look_vm(world, smaller.key)
    assert after.stored is not None
    assert (after.stored.disks, after.stored.interfaces) == (smaller.domain.disks, smaller.domain.interfaces)
    if world.traits.unplugs:
        assert outcome.result is Result.APPLIED
        assert world.engine.compare(smaller, after) == ()
    elif any(entry.running for entry in world.engine.compare(smaller, after)) or outcome.result is not Result.APPLIED:
        assert outcome.result in (Result.PROGRESSING, Result.RETRY)
        assert any(entry.running for entry in world.engine.compare(smaller, after))
    assert world.runs(after.key) == 1


def test_a_deleted_vm_leaves_its_definition_in_the_trash_and_its_disk_alone(world: World) -> None:
    data = declared_claim(world)
    vm = world.site.vm("web", disks={"data": data}, user_data="#cloud-config\n", grace_s=0)
    running_vm(world, vm)
    take_away(world, vm.key)
    assert look(world, data.key) is not None
    kept = [item.key for item in world.engine.observe([vm.key]).trash]
    assert kept == ([vm.key] if world.traits.runs_guests else [])
    assert vm.key not in everything(world).objects


def test_a_vm_comes_back_as_it_was(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Halted", grace_s=0)
    world.engine.apply(create(vm))
    take_away(world, vm.key)
    assert world.engine.apply(create(vm)).result is Result.APPLIED
    live = look_vm(world, vm.key)
    assert world.engine.compare(vm, live) == ()
    assert live.stored is not None
    assert live.stored.uuid == vm.domain.uuid


def test_deleting_what_is_gone_changes_nothing(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Halted")
    world.engine.apply(create(vm))
    change = delete(look_vm(world, vm.key))
    take_away(world, vm.key)
    assert world.engine.apply(change).result is Result.UNCHANGED
