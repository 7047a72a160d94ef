"""Live changes as a booted guest sees them."""

from __future__ import annotations

from typing import Any

import pytest
from libvirt import VIR_DOMAIN_XML_INACTIVE
from lxml import etree

from reconciler.model.outcome import Result
from reconciler.model.power import PowerState, PowerStep, StopReason
from reconciler.model.quantity import MIB
from tests.contract.builders import create, update
from tests.live.conftest import LiveHost

pytestmark = [pytest.mark.live, pytest.mark.slow]


def places(xml: str) -> dict[str, tuple[str, ...]]:
    """PCI addresses of the devices that gitvirt named, by alias."""
    return {
        alias: tuple(found.get(part, "") for part in ("bus", "slot", "function"))
        for device in etree.fromstring(xml.encode()).iterfind("devices/*")
        if (alias := device.find("alias") is not None and device.find("alias").get("name", ""))
        and str(alias).startswith("ua-")
        and (found := device.find("address")) is not None
    }


def test_nics_and_disks_come_and_go_and_disks_grow(libvirt_engine: LiveHost, guest_disk: Any) -> None:
    host = libvirt_engine
    first, second = host.dhcp_network("first", 1), host.dhcp_network("second", 2)
    data = host.made(host.site.claim("data"))

    def vm(nics: dict[str, Any], disks: dict[str, Any]) -> Any:
        return host.site.vm(
            "web",
            disks={"root": guest_disk, **disks},
            nics=nics,
            memory="128Mi",
            user_data="#cloud-config\nhostname: web-1\n",
        )

    small = vm({"default": first}, {})
    large = vm({"default": first, "second": second}, {"data": data})
    host.applied(create(small, power=PowerStep.START))

    # A guest without a kernel lets go of nothing: that has to be said, and be done later. However long it takes to get here.
    host.domain(small.key).suspend()
    host.applied(update(large, host.vm(small.key)))
    early = host.engine.apply(update(small, host.vm(small.key)))
    assert early.result is Result.PROGRESSING, early
    assert "released" in early.reason
    assert {d.stored for d in host.engine.compare(small, host.vm(small.key))} == {False}
    host.domain(small.key).resume()
    host.until(lambda: host.vm(small.key).guest_agent)
    host.settle(lambda live: update(small, live or host.vm(small.key)), small.key)
    assert host.engine.compare(small, host.vm(small.key)) == ()

    live = host.until(lambda: (v := host.vm(small.key)).interfaces[0].ips and v)
    assert live.interfaces[0].ips[0].startswith(f"{host.subnet(1)}.")
    host.until(lambda: host.vm(small.key).guest_hostname == "web-1")
    boot = host.agent(small.key, "cat /proc/sys/kernel/random/boot_id")

    host.applied(update(large, host.vm(small.key)))
    assert host.engine.compare(large, host.vm(small.key)) == ()
    # What was plugged in is at the same place at the next boot, or the guest would name its NICs anew.
    assert places(host.domain(small.key).XMLDesc(0)) == places(host.domain(small.key).XMLDesc(VIR_DOMAIN_XML_INACTIVE))
    mac = large.domain.interfaces[1].mac
    host.until(lambda: mac in host.agent(small.key, "cat /sys/class/net/*/address"))
    # By its size: a guest that had mounted it before it had to let go of it keeps the name vdc for what is gone.
    sizes = "cat /sys/block/vd?/size"
    host.until(lambda: str(16 * MIB // 512) in host.agent(small.key, sizes).split())

    bigger = host.site.claim("data", "32Mi")
    host.applied(update(bigger, host.volume(data.key)))
    host.until(lambda: str(32 * MIB // 512) in host.agent(small.key, sizes).split())
    host.until(
        lambda: any(ip.startswith(f"{host.subnet(2)}.") for nic in host.vm(small.key).interfaces for ip in nic.ips)
    )

    host.settle(lambda live: update(small, live or host.vm(small.key)), small.key)
    assert mac not in host.agent(small.key, "cat /sys/class/net/*/address")
    assert host.engine.compare(small, host.vm(small.key)) == ()
    assert host.agent(small.key, "cat /proc/sys/kernel/random/boot_id") == boot


def test_a_graceful_stop_of_a_guest_and_a_stop_from_inside(libvirt_engine: LiveHost, guest_disk: Any) -> None:
    host = libvirt_engine
    vm = host.site.vm("web", disks={"root": guest_disk}, memory="128Mi", user_data="#cloud-config\n{}\n", grace_s=60)
    host.applied(create(vm, power=PowerStep.START))
    host.until(lambda: host.vm(vm.key).guest_agent)
    outcomes = host.settle(lambda live: update(vm, live or host.vm(vm.key), power=PowerStep.STOP), vm.key)
    assert outcomes[0].result is Result.PROGRESSING
    assert not any("forced" in step for outcome in outcomes for step in outcome.steps)
    assert host.vm(vm.key).stop_reason is StopReason.GITVIRT
    host.settle(lambda live: update(vm, live or host.vm(vm.key), power=PowerStep.START), vm.key)
    host.until(lambda: host.vm(vm.key).guest_agent)
    # The power button is pressed once: it has to be heard, which is a moment after the agent answers.
    host.until(lambda: host.agent(vm.key, "test -e /run/gitvirt/settled && echo yes"))
    host.forget_events()
    host.domain(vm.key).shutdownFlags(1)
    host.until(lambda: host.vm(vm.key).power is PowerState.OFF)
    host.next_event(vm.key)
    assert host.vm(vm.key).stop_reason is StopReason.GUEST
