"""What every engine does with networks."""

from __future__ import annotations

from reconciler.model.outcome import Result
from tests.contract.builders import create, delete, update
from tests.contract.world import World, look, look_network, put_right, start_step, take_away


def test_a_network_is_made_started_and_observed_without_differences(world: World) -> None:
    network = world.site.network("net", bridge=world.bridge(0))
    assert world.engine.apply(create(network)).result is Result.APPLIED
    live = look_network(world, network.key)
    assert (live.active, live.autostart, live.network) == (True, True, network.network)
    assert live.marks is not None
    assert live.marks.applied == network.applied
    assert world.engine.compare(network, live) == ()
    assert world.engine.apply(update(network, live)).result is Result.UNCHANGED


def test_a_network_that_somebody_spoiled_is_as_declared_again(world: World) -> None:
    network = world.site.network("net", bridge=world.bridge(0))
    world.engine.apply(create(network))
    world.spoil_network(network.key)
    live = look_network(world, network.key)
    assert live.active is not world.traits.runs_guests
    assert world.engine.compare(network, live)
    if not put_right(world, network, live):
        return
    assert world.engine.compare(network, look_network(world, network.key)) == ()


def test_a_network_in_use_stays_and_an_unused_one_goes(world: World) -> None:
    network = world.site.network("net", bridge=world.bridge(0))
    world.engine.apply(create(network))
    vm = world.site.vm("web", nics={"default": network}, grace_s=0)
    world.engine.apply(create(vm, power=start_step(world)))
    live = look_network(world, network.key)
    assert live.used_by == (vm.key,)
    outcome = world.engine.apply(delete(live))
    assert outcome.result in (Result.RETRY, Result.REFUSED, Result.CONFLICT)
    assert look_network(world, network.key).active
    take_away(world, vm.key)
    assert world.engine.apply(delete(look_network(world, network.key))).result is Result.APPLIED
    assert look(world, network.key) is None
