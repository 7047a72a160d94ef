"""What every engine does with a guest's power, and what it says about why a guest is off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.model.live import LiveObject
from reconciler.model.outcome import Result
from reconciler.model.plan import Action, Change
from reconciler.model.power import PowerState, PowerStep, StopReason
from reconciler.model.resolved import ResolvedVm, ResolvedVolume
from tests.contract.builders import create, is_ready, update
from tests.contract.world import World, carry_out, look, look_vm, wait_until


def guest_disk(world: World, guest: str) -> ResolvedVolume:
    """A claim that holds a guest of that behaviour."""
    volume = world.site.data_volume(guest, {"http": {"url": world.publish(guest)}})
    world.engine.apply(create(volume))
    wait_until(world, lambda: is_ready(look(world, volume.key)))
    return volume


def started(world: World, guest: str, *, grace_s: int = 30) -> ResolvedVm:
    """A VM whose guest is up; a brief one may be over already."""
    vm = world.site.vm("web", disks={"root": guest_disk(world, guest)}, grace_s=grace_s, run_strategy="Manual")
    # libvirt is told of an image a moment after it has its place: a start in between comes to nothing, and is planned again.
    carry_out(
        world,
        vm.key,
        lambda live: update(vm, live, power=PowerStep.START) if live else create(vm, power=PowerStep.START),
    )
    assert guest == "brief" or look_vm(world, vm.key).power is PowerState.RUNNING
    return vm


def power(
    vm: ResolvedVm, world: World, step: PowerStep, action: Action = Action.UPDATE
) -> Callable[[LiveObject | None], Change]:
    return lambda live: update(vm, live or look_vm(world, vm.key), power=step, action=action)


def test_start_and_pause_and_resume(world: World) -> None:
    vm = world.site.vm("web", run_strategy="Manual")
    world.engine.apply(create(vm))
    for step, expected in (
        (PowerStep.START, PowerState.RUNNING),
        (PowerStep.PAUSE, PowerState.PAUSED),
        (PowerStep.UNPAUSE, PowerState.RUNNING),
    ):
        outcome = world.engine.apply(update(vm, look_vm(world, vm.key), power=step))
        assert (outcome.result, look_vm(world, vm.key).power) == (Result.APPLIED, expected)
        again = world.engine.apply(update(vm, look_vm(world, vm.key), power=step))
        assert again.result is Result.UNCHANGED
    history = look_vm(world, vm.key).history
    assert (world.runs(vm.key), history.runs, history.failures) == (1, 1, 0)
    assert history.started_at is not None


def test_a_stop_is_asked_for_and_not_waited_for(world: World) -> None:
    vm = started(world, "polite")
    world.pass_time(2.0)
    first = world.engine.apply(power(vm, world, PowerStep.STOP)(None))
    assert first.result is Result.PROGRESSING
    assert first.retry_after_s is not None
    assert look_vm(world, vm.key).history.stop_asked_by == "stop"
    carry_out(world, vm.key, power(vm, world, PowerStep.STOP), limit_s=20)
    live = look_vm(world, vm.key)
    assert (live.power, live.stop_reason) == (PowerState.OFF, said(world, StopReason.GITVIRT))


def said(world: World, reason: StopReason) -> StopReason:
    """Why a guest is off, as far as an instance that is gone leaves it to be known."""
    return reason if world.traits.runs_guests else StopReason.UNKNOWN


def test_a_guest_that_does_not_listen_is_forced_off_after_its_grace_period(world: World) -> None:
    vm = started(world, "deaf", grace_s=3)
    outcomes = carry_out(world, vm.key, power(vm, world, PowerStep.STOP), limit_s=20)
    assert outcomes[0].result is Result.PROGRESSING
    assert outcomes[-1].result is (Result.APPLIED if world.traits.runs_guests else Result.UNCHANGED)
    live = look_vm(world, vm.key)
    assert (live.power, live.stop_reason) == (PowerState.OFF, said(world, StopReason.GITVIRT))


def test_no_grace_means_off_at_once(world: World) -> None:
    vm = started(world, "deaf", grace_s=0)
    assert world.engine.apply(power(vm, world, PowerStep.STOP)(None)).result is ended(world)
    assert look_vm(world, vm.key).power is PowerState.OFF


def ended(world: World) -> Result:
    """What a stop without grace comes to: a platform was asked, and does it."""
    return Result.APPLIED if world.traits.runs_guests else Result.PROGRESSING


def test_a_disk_that_cannot_be_plugged_keeps_nobody_from_pausing_and_stopping_a_guest(world: World) -> None:
    """Another guest has it open. Power is its own plane (law 8)."""
    taken = world.site.claim("taken")
    world.engine.apply(create(taken))
    for vm in (world.site.vm("other", disks={"data": taken}, grace_s=0), world.site.vm("web", grace_s=0)):
        world.engine.apply(create(vm, power=PowerStep.START))
        wait_until(world, lambda vm=vm: look_vm(world, vm.key).power is PowerState.RUNNING)
    web = world.site.vm("web", disks={"data": taken}, grace_s=0, run_strategy="Manual")
    if world.traits.runs_guests:
        world.engine.apply(power(web, world, PowerStep.PAUSE)(None))
        live = look_vm(world, web.key)
        assert (live.power, live.running and live.running.disks) == (PowerState.PAUSED, ())
    outcome = world.engine.apply(power(web, world, PowerStep.STOP)(None))
    assert outcome.result is ended(world), outcome
    wait_until(world, lambda: look_vm(world, web.key).power is PowerState.OFF)
    assert world.runs(web.key) == 1


def test_power_alone_is_changed_while_the_rest_waits(world: World) -> None:
    """A disk that is not there yet is neither needed for it nor written down."""
    vm = world.site.vm("web", grace_s=0)
    world.engine.apply(create(vm, power=PowerStep.START))
    wait_until(world, lambda: look_vm(world, vm.key).power is PowerState.RUNNING)
    before = look_vm(world, vm.key)
    more = world.site.vm("web", disks={"data": world.site.claim("later")}, memory="96Mi", grace_s=0)
    outcome = world.engine.apply(replace(power(more, world, PowerStep.STOP)(None), power_alone=True))
    assert outcome.result is ended(world), outcome
    wait_until(world, lambda: look_vm(world, vm.key).power is PowerState.OFF)
    after = look_vm(world, vm.key)
    assert after.stored == before.stored
    assert before.marks is not None and after.marks is not None
    assert after.marks.applied == before.marks.applied


def test_a_guest_that_shuts_itself_down(world: World) -> None:
    vm = started(world, "brief")
    wait_until(world, lambda: look_vm(world, vm.key).power is PowerState.OFF)
    wait_until(world, lambda: look_vm(world, vm.key).history.ended_at is not None)  # written down a moment later
    assert look_vm(world, vm.key).stop_reason is StopReason.GUEST


def test_a_guest_whose_plug_was_pulled(world: World) -> None:
    vm = started(world, "deaf")
    world.destroy(vm.key)
    wait_until(world, lambda: look_vm(world, vm.key).power is PowerState.OFF)
    assert look_vm(world, vm.key).stop_reason is said(world, StopReason.DESTROYED)


def test_a_guest_whose_hypervisor_died(world: World) -> None:
    vm = started(world, "deaf")
    world.kill(vm.key)
    wait_until(world, lambda: look_vm(world, vm.key).power is PowerState.OFF)
    assert look_vm(world, vm.key).stop_reason is StopReason.FAILED
    carry_out(world, vm.key, power(vm, world, PowerStep.START))  # when and why it ended is written down meanwhile
    history = look_vm(world, vm.key).history
    assert world.runs(vm.key) == 2
    if world.traits.runs_guests:
        assert (history.runs, history.failures) == (2, 1)


def test_a_start_forgets_the_stop_before_it(world: World) -> None:
    vm = started(world, "deaf", grace_s=0)
    carry_out(world, vm.key, power(vm, world, PowerStep.STOP))
    assert carry_out(world, vm.key, power(vm, world, PowerStep.START))[-1].result is Result.APPLIED
    live = look_vm(world, vm.key)
    assert live.power is PowerState.RUNNING
    assert (live.history.stop_requested_at, live.history.stop_asked_by) == (None, "")
    assert (world.runs(vm.key), live.history.failures) == (2, 0)


def test_a_restart_stops_and_starts_with_the_stored_configuration(world: World) -> None:
    started(world, "deaf", grace_s=2)
    bigger = world.site.vm(
        "web", disks={"root": next(iter(world.site.volumes.values()))}, grace_s=2, memory="96Mi", run_strategy="Manual"
    )
    again = power(bigger, world, PowerStep.RESTART, Action.RESTART)
    begun = world.engine.apply(again(None))
    if world.traits.runs_guests:
        assert begun.result is Result.PROGRESSING
        assert look_vm(world, bigger.key).history.stop_asked_by == "restart"
        carry_out(world, bigger.key, again, limit_s=20)
    else:
        assert begun.result is Result.APPLIED
        wait_until(world, lambda: world.runs(bigger.key) == 2)
    live = look_vm(world, bigger.key)
    assert live.power is PowerState.RUNNING
    assert live.running is not None
    assert live.running.memory_mib == 96
    assert world.runs(bigger.key) == 2
    assert live.history.last_restart_at is not None
    assert world.engine.compare(bigger, live) == ()
