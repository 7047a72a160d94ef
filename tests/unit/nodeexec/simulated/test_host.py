"""The simulated host's physics: what guests, pools and hypervisors do without gitvirt."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from nodeexec.simulated.state import GuestBehaviour
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Result
from reconciler.model.policy import Policy
from reconciler.model.power import PowerState, PowerStep, StopReason
from tests.contract.builders import Site, create, update


class Stage:
    """A host, an engine, and a VM that runs on it."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.host = Host(self.clock)
        self.host.behaviour = GuestBehaviour(boot_s=5.0, shutdown_s=1.0)
        self.engine = SimulatedEngine(self.host, owner="tests", clock=self.clock, workers=SteppedWorkers())
        self.site = Site(policy=Policy(owner="tests", host=self.host.name), namespace="tests")

    def live(self, key: ObjectKey) -> LiveVm:
        live = self.engine.observe([key]).objects[key]
        assert isinstance(live, LiveVm)
        return live


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_press_before_the_guest_listens_is_lost(stage: Stage) -> None:
    vm = stage.site.vm("web")
    stage.engine.apply(create(vm, power=PowerStep.START))
    stage.engine.apply(update(vm, stage.live(vm.key), power=PowerStep.STOP))
    stage.clock.advance(4.0)
    assert stage.live(vm.key).power is PowerState.STOPPING
    stage.clock.advance(2.0)
    stage.engine.apply(update(vm, stage.live(vm.key), power=PowerStep.STOP))
    stage.clock.advance(1.0)
    live = stage.live(vm.key)
    assert (live.power, live.stop_reason) == (PowerState.OFF, StopReason.GITVIRT)


def test_a_host_that_rebooted_is_told_from_a_guest_that_stopped(stage: Stage) -> None:
    vm, network = stage.site.vm("web"), stage.site.network("net", bridge="br0")
    stage.engine.apply(create(network))
    stage.engine.apply(create(vm, power=PowerStep.START))
    stage.host.reboot()
    live = stage.live(vm.key)
    assert (live.power, live.stop_reason) == (PowerState.OFF, StopReason.HOST)
    assert stage.engine.compare(network, stage.engine.observe([network.key]).objects[network.key]) == ()


def test_a_guest_started_by_hand_after_a_stop_is_not_stopping(stage: Stage) -> None:
    vm = stage.site.vm("web", grace_s=0)
    stage.engine.apply(create(vm, power=PowerStep.START))
    stage.engine.apply(update(vm, stage.live(vm.key), power=PowerStep.STOP))
    stage.host.power_on(vm.key)
    assert stage.live(vm.key).power is PowerState.RUNNING


def test_a_disk_opens_in_one_guest_only(stage: Stage) -> None:
    claim = stage.site.claim("data")
    stage.engine.apply(create(claim))
    one, two = (stage.site.vm(name, disks={"data": claim}) for name in ("one", "two"))
    assert stage.engine.apply(create(one, power=PowerStep.START)).result is Result.APPLIED
    refused = stage.engine.apply(create(two, power=PowerStep.START))
    assert refused.result is Result.RETRY
    assert "in use by tests_one" in refused.reason
    assert stage.live(two.key).power is PowerState.OFF


def test_a_guest_needs_its_network(stage: Stage) -> None:
    network = stage.site.network("net", bridge="br0")
    vm = stage.site.vm("web", nics={"default": network})
    refused = stage.engine.apply(create(vm, power=PowerStep.START))
    assert (refused.result, "is not active" in refused.reason) == (Result.RETRY, True)
    stage.engine.apply(create(network))
    assert stage.engine.apply(update(vm, stage.live(vm.key), power=PowerStep.START)).result is Result.APPLIED


def test_short_runs_that_fail_are_counted_and_long_ones_forgiven(stage: Stage) -> None:
    vm = stage.site.vm("web")
    stage.engine.apply(create(vm, power=PowerStep.START))
    for lived_s, why, failures in (
        (10.0, StopReason.FAILED, 1),
        (10.0, StopReason.GUEST, 2),
        (120.0, StopReason.FAILED, 3),
        (120.0, StopReason.GUEST, 0),
    ):
        stage.clock.advance(lived_s)
        stage.host.end_guest(vm.key, why)
        assert stage.live(vm.key).stop_reason is why
        stage.engine.apply(update(vm, stage.live(vm.key), power=PowerStep.START))
        assert stage.live(vm.key).history.failures == failures


def test_an_overlay_is_kept_as_it_is(stage: Stage) -> None:
    claim = stage.site.claim("data")
    stage.engine.apply(create(claim))
    vm = stage.site.vm("web", disks={"data": claim}, run_strategy="Halted")
    stage.engine.apply(create(vm))
    live = stage.live(vm.key)
    assert live.stored is not None
    foreign = replace(live.stored.disks[0], name="foreign:vdz")
    stage.host.edit_stored(vm.key, lambda spec: replace(spec, disks=(*spec.disks, foreign)))
    bigger = stage.site.vm("web", disks={"data": claim}, run_strategy="Halted", memory="96Mi")
    stage.engine.apply(update(bigger, stage.live(vm.key)))
    after = stage.live(vm.key).stored
    assert after is not None
    assert (after.memory_mib, [disk.name for disk in after.disks]) == (96, ["data", "foreign:vdz"])


def test_addresses_come_with_the_guest_and_its_network(stage: Stage) -> None:
    vm = stage.site.vm("web", run_strategy="Manual")
    stage.engine.apply(create(vm, power=PowerStep.START))
    assert not stage.live(vm.key).guest_agent
    stage.clock.advance(5.0)
    live = stage.live(vm.key)
    assert (live.guest_agent, live.guest_hostname) == (True, "web")


def test_events_say_where_to_look_and_end_with_the_engine(stage: Stage) -> None:
    vm = stage.site.vm("web")
    heard: list[ObjectKey] = []
    listener = threading.Thread(target=lambda: heard.extend(stage.engine.events()))
    listener.start()
    stage.engine.apply(create(vm))
    while not heard:
        threading.Event().wait(0.01)
    stage.engine.close()
    listener.join()
    assert set(heard) == {vm.key}
