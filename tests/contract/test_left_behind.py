"""What was generated for a VM and has outlived its domain: found again, and removed only when it is provably ours."""

from __future__ import annotations

import pytest

from reconciler.model.keys import ATTACHED_VOLUME, ObjectKey
from reconciler.model.live import LiveVolume, Observation
from reconciler.model.outcome import Result
from tests.contract.builders import create, delete
from tests.contract.world import World, everything, look

GENERATED = "generated volumes"
USER_DATA = "#cloud-config\n"


def left_behind(observation: Observation) -> list[LiveVolume]:
    return [live for live in observation.objects.values() if isinstance(live, LiveVolume) and live.attached_to]


def test_the_iso_of_a_domain_that_somebody_undefined_is_found_and_removed(world: World) -> None:
    vm, other = (world.site.vm(name, run_strategy="Halted", user_data=USER_DATA) for name in ("web", "db"))
    for one in (vm, other):
        world.engine.apply(create(one))
    assert left_behind(everything(world)) == []
    before = world.volume_names()
    if GENERATED in world.traits.absent:
        world.undefine(vm.key)
        assert (before, left_behind(everything(world)), world.volume_names()) == ((), [], ())
        return
    assert len(before) == 2
    world.undefine(vm.key)
    (live,) = left_behind(everything(world))
    assert (live.attached_to, live.key.kind, live.key.name) == (vm.key, ATTACHED_VOLUME, live.volume)
    assert look(world, live.key) == live
    outcome = world.engine.apply(delete(live))
    assert outcome.result is Result.APPLIED, outcome
    assert look(world, live.key) is None
    assert world.volume_names() == tuple(name for name in before if name != live.volume)
    assert world.engine.apply(delete(live)).result is Result.UNCHANGED


@pytest.mark.needs(GENERATED)
def test_the_iso_of_a_vm_that_is_there_again_is_not_removed(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Halted", user_data=USER_DATA)
    world.engine.apply(create(vm))
    world.undefine(vm.key)
    (live,) = left_behind(everything(world))
    assert world.engine.apply(create(vm)).result is Result.APPLIED
    assert left_behind(everything(world)) == []
    assert world.engine.apply(delete(live)).steps == ()
    assert world.volume_names() == (live.volume,)


@pytest.mark.needs(GENERATED)
def test_an_iso_that_its_vm_does_not_name_any_more_is_found_and_removed(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Halted", user_data=USER_DATA)
    world.engine.apply(create(vm))
    (old,) = world.volume_names()
    world.undefine(vm.key)
    world.engine.apply(create(world.site.vm("web", run_strategy="Halted", user_data=f"{USER_DATA}hostname: other\n")))
    (live,) = left_behind(everything(world))
    assert (live.attached_to, live.volume) == (vm.key, old)
    assert world.engine.apply(delete(live)).result is Result.APPLIED
    assert left_behind(everything(world)) == []
    assert len(world.volume_names()) == 1 and old not in world.volume_names()


@pytest.mark.needs(GENERATED)
def test_the_iso_of_a_released_vm_is_its_new_owners(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Halted", user_data=USER_DATA)
    world.engine.apply(create(vm))
    names = world.volume_names()
    assert world.engine.release(vm.key).result is Result.APPLIED
    assert left_behind(everything(world)) == []
    for name in names:
        assert look(world, ObjectKey(ATTACHED_VOLUME, vm.key.namespace, name)) is None
