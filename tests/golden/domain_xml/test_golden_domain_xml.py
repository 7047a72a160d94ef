"""Specs and the domain XML they become, byte for byte: what a reader of a change to the table wants to see.

With ``--update-golden`` the files are written anew; read the difference before committing it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nodeexec.libvirt import domain_xml, network_xml
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.marks import DomainMarks, to_metadata
from reconciler.model.domain import (
    Binding,
    ClaimSource,
    ClockSpec,
    CpuSpec,
    DiskSpec,
    DomainSpec,
    InterfaceSpec,
    NoMedia,
    ScratchSource,
    SeedSource,
)
from reconciler.model.live import Marks
from reconciler.model.resolved import NetworkSpec

HERE = Path(__file__).parent
EMULATED = Flavour(accelerator="qemu", hotplug_ports=2)
ON_KVM = Flavour(accelerator="kvm", hotplug_ports=2)
MARKS = to_metadata(DomainMarks(marks=Marks(owner="gitvirt", host="host1", revision="4f2c", applied={"kind": "x"})))


def _claim(name: str, **changes: object) -> DiskSpec:
    source = ClaimSource(namespace="default", claim=f"web-{name}", pool="default", format="qcow2")
    return replace(DiskSpec(name=name, source=source), **changes)


MINIMAL = DomainSpec(
    name="default_web",
    uuid="11111111-2222-5333-8444-555555555555",
    serial="66666666-7777-5888-9999-000000000000",
    cpu=CpuSpec(cores=2),
    memory_mib=4096,
    disks=(_claim("root"),),
    interfaces=(InterfaceSpec(name="default", network="PodNetwork/pod", mac="02:00:00:00:00:01"),),
)
EVERYTHING = replace(
    MINIMAL,
    cpu=CpuSpec(sockets=2, cores=2, threads=2, max_sockets=4, model="Westmere", features=(("pcid", "disable"),)),
    hugepages_kib=2048,
    bootloader="efi",
    secure_boot=True,
    features=(("acpi", "on"), ("apic", "on"), ("apic.eoi", "on"), ("kvm.hidden", "on"), ("smm", "on")),
    hyperv=(("relaxed", "on"), ("spinlocks", "8191"), ("vendorid", "KVMKVMKVM")),
    clock=ClockSpec(offset="utc:-3600", timers=(("hpet", "present=no"), ("kvm", "present=yes"))),
    disks=(
        _claim("root", boot_order=1, cache="none", io="native", serial="R&D", dedicated_io_thread=True),
        _claim("data", bus="scsi", shareable=True, block_size=4096, error_policy="stop"),
        DiskSpec(name="init", source=SeedSource(digest="0123456789ab"), binding=Binding.CDROM, bus="sata"),
        DiskSpec(name="seed", source=SeedSource(digest="ba9876543210")),
        DiskSpec(name="tmp", source=ScratchSource(capacity_bytes=1 << 30)),
        DiskSpec(name="drive", source=NoMedia(), binding=Binding.CDROM, bus="sata"),
    ),
    interfaces=(
        *MINIMAL.interfaces,
        InterfaceSpec(
            name="back_end", network="lab/net.one", mac="02:00:00:00:00:02", model="e1000e", link_up=False, mtu=9000
        ),
    ),
    graphics=True,
    rng=True,
    inputs=(("tablet", "tablet", "usb"),),
    watchdog="poweroff",
    io_threads=1,
)
CASES = {
    "minimal.xml": domain_xml.build(MINIMAL, EMULATED, metadata=MARKS),
    "minimal-kvm.xml": domain_xml.build(MINIMAL, ON_KVM),
    "everything.xml": domain_xml.build(EVERYTHING, ON_KVM, metadata=MARKS),
    "nothing.xml": domain_xml.build(
        replace(
            MINIMAL, disks=(), interfaces=(), serial_console=False, balloon=False, agent_channel=False, machine="pc"
        ),
        EMULATED,
    ),
    "device-disk.xml": domain_xml.device_xml(EVERYTHING.disks[1], EVERYTHING, ON_KVM),
    "device-interface.xml": domain_xml.device_xml(EVERYTHING.interfaces[1], EVERYTHING, ON_KVM),
    "network-pod.xml": network_xml.build(
        NetworkSpec(
            bridge="gitvirt0",
            address="10.77.0.1/22",
            dhcp_range=("10.77.0.10", "10.77.3.250"),
            nat=True,
            domain="gitvirt.internal",
        ),
        "gitvirt-pod",
        metadata=MARKS,
    ),
    "network-isolated.xml": network_xml.build(NetworkSpec(mtu=9000), "lab_backend"),
    "network-macvlan.xml": network_xml.build(NetworkSpec(master="eth1", mode="passthru"), "lab_wire"),
    "network-host-bridge.xml": network_xml.build(NetworkSpec(bridge="br0", host_bridge=True), "lab_lan"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_xml_is_as_written_down(name: str, request: pytest.FixtureRequest) -> None:
    expected = HERE / name
    if request.config.getoption("--update-golden", default=False):
        expected.write_text(CASES[name])
    assert CASES[name] == expected.read_text()
