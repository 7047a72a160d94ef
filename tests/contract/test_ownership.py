"""Whose an object is, what an operator wrote on it, and what an observation says and does not say."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Result
from reconciler.model.power import Override, OverrideAction, PowerState, PowerStep
from reconciler.planning.prune import prune_rule
from tests.contract.builders import create, delete, is_ready, update
from tests.contract.world import World, everything, look, look_network, look_vm, look_volume, start_step, wait_until


def test_a_foreign_vm_is_never_touched(world: World) -> None:
    key = world.make_foreign_vm("web")
    before = world.snapshot_of(key)
    live = look_vm(world, key)
    assert live.marks is None
    vm = world.site.vm("web")
    for change in (create(vm, power=PowerStep.START), update(vm, live, power=PowerStep.START), delete(live)):
        outcome = world.engine.apply(change)
        assert outcome.result in (Result.REFUSED, Result.CONFLICT)
        assert outcome.steps == ()
    assert world.engine.release(key).result is Result.REFUSED
    assert world.snapshot_of(key) == before
    observation = everything(world)
    assert key not in observation.objects
    assert world.own_name(key) in observation.foreign_vms


def test_a_released_vm_is_foreign_and_goes_on_running(world: World) -> None:
    vm = world.site.vm("web")
    world.engine.apply(create(vm, power=start_step(world)))
    assert world.engine.release(vm.key).result is Result.APPLIED
    live = look_vm(world, vm.key)
    assert (live.marks, live.power) == (None, PowerState.RUNNING)
    assert vm.key not in everything(world).objects


def test_a_released_claim_and_network_stay(world: World) -> None:
    claim, network = world.site.claim("data"), world.site.network("net", bridge=world.bridge(0))
    for wanted in (claim, network):
        world.engine.apply(create(wanted))
        assert world.engine.release(wanted.key).result is Result.APPLIED
    assert look_volume(world, claim.key).marks is None
    assert look_network(world, network.key).marks is None
    assert not {claim.key, network.key} & set(everything(world).objects)


def test_a_volume_in_the_making_is_not_released(world: World) -> None:
    volume = world.site.data_volume("data", {"http": {"url": world.publish_slowly("polite")}})
    begun = world.engine.apply(create(volume))
    if not world.traits.fills_volumes:
        assert begun.result is Result.APPLIED
        assert look_volume(world, volume.key).phase == "ImportInProgress"
        assert world.engine.release(volume.key).result is Result.APPLIED
        wait_until(world, lambda: is_ready(look(world, volume.key)))
        assert look_volume(world, volume.key).marks is None
        return
    assert begun.result is Result.PROGRESSING
    assert world.engine.release(volume.key).result is Result.REFUSED
    live = look_volume(world, volume.key)
    assert live.marks is not None
    assert live.marks.owner == world.site.policy.owner


def test_what_an_operator_said_is_kept_on_the_vm(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Manual")
    world.engine.apply(create(vm))
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    until = datetime(2030, 1, 2, 4, 4, 5, tzinfo=UTC)
    override = Override(action=OverrideAction.STOP, by="alice", at=at, until=until)
    before = look_vm(world, vm.key)
    assert world.engine.mark(vm.key, override=override, suspended="bob", suspended_until=until).result is Result.APPLIED
    live = look_vm(world, vm.key)
    assert live.marks is not None
    assert (live.marks.override, live.marks.suspended, live.marks.suspended_until) == (override, "bob", until)
    assert live.marks.applied == vm.applied
    assert live.fingerprint != before.fingerprint
    assert world.engine.compare(vm, live) == ()
    world.engine.apply(update(world.site.vm("web", run_strategy="Manual", memory="96Mi"), live))
    kept = look_vm(world, vm.key).marks
    assert kept is not None
    assert kept.override == override
    world.engine.mark(vm.key, override=None, suspended="", suspended_until=None)
    cleared = look_vm(world, vm.key).marks
    assert cleared is not None
    assert (cleared.override, cleared.suspended) == (None, "")


def test_what_keeps_an_object_from_being_pruned_is_read_back(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Manual", annotations={"gitvirt.io/prune": "confirm"})
    world.engine.apply(create(vm))
    live = look_vm(world, vm.key)
    assert live.marks is not None
    assert prune_rule(live.marks.applied) == ("prune-confirm", "gitvirt.io/prune: confirm")
    plain = world.site.vm("web", run_strategy="Manual")
    world.engine.apply(update(plain, live))
    now = look_vm(world, vm.key).marks
    assert now is not None
    assert prune_rule(now.applied) is None


def test_an_observation_answers_for_what_it_was_asked(world: World) -> None:
    one, two = world.site.claim("one"), world.site.claim("two")
    for claim in (one, two):
        world.engine.apply(create(claim))
    nothing = ObjectKey("VirtualMachine", world.site.namespace, "nothing")
    asked = world.engine.observe([one.key, nothing])
    assert asked.asked == frozenset({one.key, nothing})
    assert set(asked.objects) == {one.key}
    assert not asked.is_unknown(nothing)
    whole = everything(world)
    assert whole.asked is None
    assert {one.key, two.key} <= set(whole.objects)


def test_unreadable_is_not_empty(world: World) -> None:
    claim = world.site.claim("data")
    world.engine.apply(create(claim))
    change = update(world.site.claim("data", "32Mi"), look_volume(world, claim.key))
    brighten = world.darken_pool()
    try:
        for observation in (world.engine.observe([claim.key]), everything(world)):
            assert observation.is_unknown(claim.key) or claim.key in observation.objects
        assert world.engine.apply(change).result not in (Result.APPLIED, Result.UNCHANGED)
        assert world.engine.apply(create(claim)).result not in (Result.APPLIED, Result.UNCHANGED)
    finally:
        brighten()
    assert look(world, claim.key) is not None


def test_a_running_vm_as_a_document(world: World) -> None:
    network = world.site.network("net", bridge=world.bridge(0))
    world.engine.apply(create(network))
    vm = world.site.vm("web", nics={"default": network}, user_data="#cloud-config\npassword: sesame\n")
    world.engine.apply(create(vm, power=start_step(world)))
    document = world.engine.document_of(look_vm(world, vm.key))
    if not world.traits.mirrors_spec:
        assert (document["kind"], document["metadata"]["name"]) == ("VirtualMachine", "web")
        document = document["instance"]
    assert (document["kind"], document["apiVersion"]) == ("VirtualMachineInstance", "kubevirt.io/v1")
    assert document["metadata"]["name"] == "web"
    assert document["metadata"]["namespace"] == world.site.namespace
    assert document["status"]["phase"] == "Running"
    assert [nic["mac"] for nic in document["status"]["interfaces"]] == [vm.domain.interfaces[0].mac]
    assert {entry["type"] for entry in document["status"]["conditions"]} >= {"Ready"}
    assert "sesame" not in repr(document)
    assert "sesame" not in world.engine.describe(vm)


def test_claims_and_networks_as_documents(world: World) -> None:
    claim, network = world.site.claim("data"), world.site.network("net", bridge=world.bridge(0))
    for wanted in (claim, network):
        world.engine.apply(create(wanted))
    volume = world.engine.document_of(look_volume(world, claim.key))
    assert (volume["kind"], volume["metadata"]["name"]) == ("PersistentVolumeClaim", "data")
    attachment = world.engine.document_of(look_network(world, network.key))
    assert attachment["kind"] == "NetworkAttachmentDefinition"
