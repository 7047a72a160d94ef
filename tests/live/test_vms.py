"""VMs on real QEMU: what is made is seen without a difference, drift is heard at once, data outlives deletion."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Result
from reconciler.model.plan import Action
from reconciler.model.power import PowerState, PowerStep, StopReason
from tests.contract.builders import create, delete, update
from tests.live.conftest import LiveHost

pytestmark = pytest.mark.live


def running_vm(host: LiveHost, name: str = "web", **more: Any) -> Any:
    """A VM with a disk, a NIC and a seed whose guest never boots."""
    network = host.site.networks.get(next(iter(host.site.networks), None)) or host.dhcp_network("net", 1)
    disk = host.made(host.site.claim(f"{name}-disk"))
    vm = host.site.vm(
        name, disks={"root": disk}, nics={"default": network}, user_data="#cloud-config\n", grace_s=0, **more
    )
    outcome = host.applied(create(vm, power=PowerStep.START))
    assert outcome.steps == ("created seed seed", "defined domain", "started guest")
    return vm


def test_a_vm_is_as_declared_and_an_untouched_one_stays_unchanged(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    vm = running_vm(host)
    live = host.vm(vm.key)
    assert (live.power, live.history.runs, live.accelerator) == (PowerState.RUNNING, 1, "qemu")
    assert host.engine.compare(vm, live) == ()
    assert host.engine.apply(update(vm, live)).result is Result.UNCHANGED
    assert host.vm(vm.key).fingerprint == live.fingerprint
    whole = host.engine.observe(None)
    assert vm.key in whole.objects
    assert whole.unreadable == ()
    (seed,) = host.pool.glob("*.iso")
    assert seed.stat().st_mode & 0o077 == 0


def test_a_pulled_plug_is_heard_at_once_and_its_reason_is_kept(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    vm = running_vm(host)
    runs = 1
    while heard_after_s(host, vm.key) >= 0.2:  # a machine that is busy stands still at one such moment, not at each
        assert runs < 5, "it is not heard at once"
        host.applied(update(vm, host.vm(vm.key), power=PowerStep.START))
        runs += 1
    live = host.vm(vm.key)
    assert (live.power, live.stop_reason) == (PowerState.OFF, StopReason.DESTROYED)
    live = host.until(lambda: (v := host.vm(vm.key)).history.ended_at and v, every_s=0.01)
    host.applied(update(vm, live, power=PowerStep.START))
    again = host.vm(vm.key)
    assert (again.power, again.history.runs, again.history.failures) == (PowerState.RUNNING, runs + 1, runs)


def heard_after_s(host: LiveHost, key: ObjectKey) -> float:
    """How long after a guest was destroyed the engine tells of its VM, which it does when the end is written down. What it still had
    to tell of the start comes before.
    """
    host.forget_events()
    host.domain(key).destroy()
    destroyed_at = time.monotonic()
    heard_at = host.next_event(key)
    while host.vm(key).history.ended_at is None:
        heard_at = host.next_event(key)
    return heard_at - destroyed_at


def test_a_guest_started_by_hand_and_stopped_again_tells_its_last_end(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    vm = running_vm(host, run_strategy="Manual")
    host.applied(update(vm, host.vm(vm.key), power=PowerStep.STOP))
    host.until(lambda: host.vm(vm.key).history.ended_at)
    assert host.vm(vm.key).stop_reason is StopReason.GITVIRT
    host.domain(vm.key).create()
    live = host.vm(vm.key)
    assert (live.power, live.history.stop_requested_at) == (PowerState.RUNNING, None)


def test_hand_made_changes_are_taken_back(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    vm = running_vm(host)
    domain = host.domain(vm.key)
    host.forget_events()
    domain.undefine()
    host.next_event(vm.key)
    live = host.vm(vm.key)
    assert live.stored is None
    host.applied(update(vm, live))
    assert host.domain(vm.key).isPersistent()
    assert host.engine.compare(vm, host.vm(vm.key)) == ()
    nic = f"<interface type='network'><source network='{host.site.namespace}_net'/><model type='virtio'/></interface>"
    host.forget_events()
    domain.attachDeviceFlags(nic, 3)
    host.next_event(vm.key)
    differences = host.engine.compare(vm, host.vm(vm.key))
    assert [(d.stored, d.running, d.refused) for d in differences] == [(True, True, "")]
    host.engine.apply(update(vm, host.vm(vm.key)))
    assert [(d.stored, d.running) for d in host.engine.compare(vm, host.vm(vm.key))] in ([], [(False, True)])


def test_a_hand_added_disk_is_held_and_survives_a_redefinition(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    vm = running_vm(host)
    extra = host.directory / "extra.raw"
    extra.write_bytes(b"\0" * (1 << 20))
    disk = f"<disk type='file'><source file='{extra}'/><target dev='vdx' bus='virtio'/></disk>"
    host.domain(vm.key).attachDeviceFlags(disk, 3)
    (held,) = host.engine.compare(vm, host.vm(vm.key))
    assert held.refused
    host.engine.mark(vm.key, override=None, suspended="", suspended_until=None)
    host.domain(vm.key).setMemoryFlags(48 << 10, 2)
    host.engine.apply(update(vm, host.vm(vm.key)))
    assert [d.refused != "" for d in host.engine.compare(vm, host.vm(vm.key))] == [True]
    assert str(extra) in host.domain(vm.key).XMLDesc(2)
    assert str(extra) in host.domain(vm.key).XMLDesc(0)


def test_a_restart_stops_first_and_starts_what_is_stored(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    running_vm(host)
    disk = host.site.volumes[next(iter(host.site.volumes))]
    network = host.site.networks[next(iter(host.site.networks))]
    bigger = host.site.vm(
        "web", disks={"root": disk}, nics={"default": network}, user_data="#cloud-config\n", grace_s=0, memory="96Mi"
    )
    host.applied(update(bigger, host.vm(bigger.key)))
    staged = host.vm(bigger.key)
    assert staged.stored is not None and staged.running is not None
    assert (staged.stored.memory_mib, staged.running.memory_mib) == (96, 64)
    outcome = host.applied(update(bigger, staged, power=PowerStep.RESTART, action=Action.RESTART))
    assert outcome.steps == ("marked stop", "forced guest off", "marked start", "started guest")
    live = host.vm(bigger.key)
    assert live.running is not None
    assert (live.running.memory_mib, live.history.runs, live.history.failures) == (96, 2, 0)
    assert live.history.last_restart_at is not None
    assert host.engine.compare(bigger, live) == ()


def test_a_deleted_vm_leaves_firmware_variables_that_come_back(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    vm = host.site.vm("web", run_strategy="Halted", bootloader="efi", user_data="#cloud-config\n", grace_s=0)
    host.applied(create(vm, power=PowerStep.START))
    host.applied(update(vm, host.vm(vm.key), power=PowerStep.STOP))
    nvram = Path(host.domain(vm.key).XMLDesc(0).partition("<nvram")[2].partition(">")[2].partition("<")[0])
    with nvram.open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"REMEMBER")
    host.applied(delete(host.vm(vm.key)))
    assert host.look(vm.key) is None
    assert not list(host.pool.glob("*.iso"))
    (item,) = host.engine.observe([vm.key]).trash
    assert item.applied == vm.applied
    host.applied(create(vm, restore=item.item))
    with nvram.open("rb") as file:
        file.seek(-8, 2)
        assert file.read() == b"REMEMBER"
    assert host.engine.observe([vm.key]).trash == ()


def test_a_vm_with_snapshots_is_not_deleted(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    disk = host.made(host.site.claim("data"))
    vm = host.site.vm("web", run_strategy="Halted", disks={"root": disk})
    host.applied(create(vm))
    host.domain(vm.key).snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>", 0)
    outcome = host.engine.apply(delete(host.vm(vm.key)))
    assert outcome.result is Result.REFUSED
    assert "snapshot" in outcome.reason
    assert isinstance(host.look(vm.key), LiveVm)


def test_ten_starts_at_once_do_not_get_into_each_others_way(libvirt_engine: LiveHost) -> None:
    from reconciler.daemon.threads import ThreadWorkers

    host = libvirt_engine
    network = host.dhcp_network("net", 1)
    claims = [host.site.claim(f"disk{n}") for n in range(6)]
    vms = [host.site.vm(f"vm{n}", disks={"root": c}, nics={"default": network}) for n, c in enumerate(claims)]
    workers = ThreadWorkers()
    for changes in ([create(c) for c in claims], [create(vm, power=PowerStep.START) for vm in vms]):
        assert {outcome.result for outcome in workers.map(host.engine.apply, changes)} == {Result.APPLIED}
    assert all(host.vm(vm.key).power is PowerState.RUNNING for vm in vms)


def test_a_stopped_network_comes_back_with_its_guests_plugged_in(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    vm = running_vm(host)
    key = vm.networks[0]
    network = host.site.networks[key]
    bridge = host.connection.networkLookupByName(f"{key.namespace}_{key.name}").bridgeName()
    host.forget_events()
    host.connection.networkLookupByName(f"{key.namespace}_{key.name}").destroy()
    host.next_event(key)
    host.applied(update(network, host.network(key)))
    tap = host.domain(vm.key).XMLDesc(0).partition("<target dev='vnet")[2].partition("'")[0]
    shown = subprocess.run(["ip", "-o", "link", "show", f"vnet{tap}"], check=True, capture_output=True, text=True)
    assert f" master {bridge} " in shown.stdout
