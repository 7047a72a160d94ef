"""An existing VM becomes gitvirt's as it is: only marks are written, and only on the domain that was looked at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.model.adoption import Takeover
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Impact
from reconciler.model.power import PowerState
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.adoption import Findings, findings, match, with_kept
from reconciler.planning.matching import Matching
from tests.contract.builders import create, update
from tests.contract.world import World, everything, look_vm, start_step, take_away

GENERATED = "generated volumes"


def foreign_twin(world: World, wanted: ResolvedVm) -> str:
    """A running domain that gitvirt made and let go of: whoever finds it does not know it. Its name."""
    world.engine.apply(create(wanted, power=start_step(world)))
    assert look_vm(world, wanted.key).power is PowerState.RUNNING
    assert world.engine.release(wanted.key).result is Result.APPLIED
    return wanted.domain.name


def looked_at(world: World, wanted: ResolvedVm, name: str) -> tuple[Matching, Findings, str]:
    found = world.engine.survey(name)
    assert found is not None
    objects = {**world.site.volumes, **world.site.networks}
    matching = match(wanted, objects, found, tuple(world.site.volumes))
    live = world.engine.as_adopted(matching.adoption)
    assert live is not None
    between = findings(wanted, matching, found, live, world.engine.compare, datetime.now(UTC))
    again = world.engine.as_adopted(with_kept(matching.adoption, between.kept))
    assert again is not None
    return matching, between, again.fingerprint


def adopt(world: World, wanted: ResolvedVm, matching: Matching, between: Findings, expected: str) -> Outcome:
    adoption = with_kept(matching.adoption, between.kept)
    return world.engine.adopt(
        Takeover(adoption=adoption, wanted=wanted, claims=(), revision="4" * 40, expected=expected)
    )


def test_a_vm_that_is_as_declared_is_adopted_and_goes_on(world: World) -> None:
    network, claim = world.site.network("net", bridge=world.bridge(0)), world.site.claim("data")
    for wanted in (network, claim):
        world.engine.apply(create(wanted))
    vm = world.site.vm("web", disks={"root": claim}, nics={"default": network})
    name = foreign_twin(world, vm)
    matching, between, expected = looked_at(world, vm, name)
    assert (between.obstacles, between.differences) == ((), ())

    assert adopt(world, vm, matching, between, "moved").result is Result.CONFLICT
    assert look_vm(world, vm.key).marks is None
    assert adopt(world, vm, matching, between, expected).result is Result.APPLIED
    live = look_vm(world, vm.key)
    assert live.marks is not None
    assert (live.marks.owner, live.marks.revision) == (world.site.policy.owner, "4" * 40)
    assert (live.power, world.engine.compare(vm, live)) == (PowerState.RUNNING, ())
    assert vm.key in everything(world).objects
    assert adopt(world, vm, matching, between, expected).is_fault or (look_vm(world, vm.key).marks == live.marks)


def test_what_differs_is_told_and_what_would_be_unplugged_is_in_the_way(world: World) -> None:
    network, claim = world.site.network("net", bridge=world.bridge(0)), world.site.claim("data")
    for wanted in (network, claim):
        world.engine.apply(create(wanted))
    name = foreign_twin(world, world.site.vm("web", disks={"root": claim}, nics={"default": network}))
    larger = world.site.vm("web", disks={"root": claim}, nics={"default": network}, memory="96Mi")
    between = looked_at(world, larger, name)[1]
    assert between.obstacles == ()
    assert [d.path for d in between.differences] == ["spec.template.spec.domain.memory.guest"]
    bare = looked_at(world, world.site.vm("web"), name)[1]
    assert len(bare.obstacles) >= 2
    assert any("unplug" in text for text in bare.obstacles)
    halted = world.site.vm("web", disks={"root": claim}, nics={"default": network}, run_strategy="Halted")
    assert any("never stops" in text for text in looked_at(world, halted, name)[1].obstacles)


@pytest.mark.needs(GENERATED)
def test_a_released_vm_with_cloud_init_data_is_adopted_again_with_its_iso(world: World) -> None:
    claim = world.site.claim("data")
    world.engine.apply(create(claim))
    vm, other, bare = (
        world.site.vm("web", disks={"root": claim}, user_data=data)
        for data in ("#cloud-config\n", "#cloud-config\nhostname: other\n", "")
    )
    name = foreign_twin(world, vm)
    files = world.volume_names()
    assert len(files) == 2

    # Data that differs is a difference; an ISO of which the manifest knows nothing, and one of another VM, is in the way.
    between = looked_at(world, other, name)[1]
    assert between.obstacles == ()
    assert [(d.path.rpartition(".")[2], d.impact) for d in between.differences] == [("volumes[seed]", Impact.RESTART)]
    (obstacle,) = looked_at(world, bare, name)[1].obstacles
    assert f"was generated for disk seed of {vm.key}" in obstacle
    twin = world.site.vm("twin", disks={"root": claim}, user_data="#cloud-config\n")
    found = world.engine.survey(name)
    assert found is not None
    assert any(
        f"generated for disk seed of {vm.key}" in text for text in match(twin, world.site.volumes, found, ()).obstacles
    )

    matching, between, expected = looked_at(world, vm, name)
    assert (between.obstacles, between.differences) == ((), ())
    assert adopt(world, vm, matching, between, expected).result is Result.APPLIED
    live = look_vm(world, vm.key)
    assert (live.power, world.engine.compare(vm, live)) == (PowerState.RUNNING, ())
    assert (world.volume_names(), world.runs(vm.key)) == (files, 1)

    # From then on the ISO is the VM's as before: other data makes another one, and nothing outlives the VM.
    assert world.engine.apply(update(other, live)).result is Result.APPLIED
    assert len(world.volume_names()) == 3
    take_away(world, vm.key)
    assert world.volume_names() == tuple(name for name in files if not name.endswith(".iso"))


def test_there_is_nothing_to_survey_under_a_name_that_is_not_there(world: World) -> None:
    assert world.engine.survey(f"{world.site.namespace}_nothing") is None
