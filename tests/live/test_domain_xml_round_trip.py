"""What libvirt makes of our XML, stored and running, reads back as what was asked for."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeexec.libvirt import domain_xml, network_xml
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.live_steps import live_steps
from nodeexec.libvirt.marks import DomainMarks, from_metadata, to_metadata
from nodeexec.libvirt.naming import DeviceKind, network_name
from nodeexec.spec_difference import compare
from nodeexec.spec_verdicts import LiveMeans
from reconciler.model.document import Document
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
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveVm, Marks
from reconciler.model.plan import Difference
from reconciler.model.power import PowerState, RunStrategy
from reconciler.model.resolved import NetworkSpec, ResolvedNetwork, ResolvedVm, RestartPolicy

pytestmark = pytest.mark.live
libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed")

POOL = "gvx-round-trip"
HOST = Flavour(accelerator="qemu", seed_pool=POOL, console_log_directory="", hotplug_ports=4)
NETWORK = ObjectKey("NetworkAttachmentDefinition", "gvx-trip", "lab")
VM = ObjectKey("VirtualMachine", "gvx-trip", "web")
FIRMWARE_S = 1.5
"""Long enough for the firmware to have touched its devices."""

DIGEST = "0123456789ab"


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        opened = libvirt.open("qemu:///system")
    except libvirt.libvirtError as error:
        pytest.skip(f"no libvirtd at qemu:///system: {error}")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """A directory that QEMU's user can enter; pytest's own are closed to it."""
    with tempfile.TemporaryDirectory(prefix="gvx-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def host(connection: Any, directory: Path) -> Iterator[Flavour]:
    """A pool with the volumes of the VM and a network to plug into."""
    pool = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>{POOL}</name><target><path>{directory}</path></target></pool>"
    )
    network = connection.networkCreateXML(network_xml.build(NetworkSpec(), network_name(NETWORK)))
    try:
        for name in ("gvx-trip_root.qcow2", "gvx-trip_data.qcow2", "gvx-trip_web_tmp.scratch.qcow2"):
            pool.createXML(_volume(name, "qcow2"))
        for name in ("gvx-trip_plain.raw", f"gvx-trip_web.init.{DIGEST}.iso"):
            pool.createXML(_volume(name, "raw"))
        yield HOST
    finally:
        network.destroy()
        pool.refresh()
        for volume in pool.listAllVolumes():
            volume.delete()
        pool.destroy()


def _volume(name: str, format: str) -> str:
    return (
        f"<volume><name>{name}</name><capacity unit='MiB'>8</capacity>"
        f"<target><format type='{format}'/></target></volume>"
    )


def _spec(**changes: Any) -> DomainSpec:
    plain = DomainSpec(
        name="gvx-trip_web",
        uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, "gvx-trip_web")),
        serial="serial-1",
        cpu=CpuSpec(sockets=1, cores=1, max_sockets=1),
        memory_mib=96,
        disks=(_claim("root"),),
        interfaces=(_nic("default", "02:67:76:78:00:01"),),
    )
    return replace(plain, **changes)


def _claim(name: str, format: str = "qcow2", **changes: Any) -> DiskSpec:
    source = ClaimSource(namespace="gvx-trip", claim=name, pool=POOL, format=format)
    return replace(DiskSpec(name=f"{name}disk", source=source), **changes)


def _nic(name: str, mac: str, **changes: Any) -> InterfaceSpec:
    return replace(InterfaceSpec(name=name, network="gvx-trip/lab", mac=mac), **changes)


RICH = _spec(
    cpu=CpuSpec(sockets=1, cores=2, threads=1, max_sockets=2, model="Westmere", features=(("pcid", "disable"),)),
    disks=(
        _claim("root", boot_order=1, serial="S1", cache="none", io="threads", error_policy="stop"),
        _claim("data", bus="scsi", shareable=False, block_size=512),
        _claim("plain", "raw", bus="sata", read_only=False),
        DiskSpec(name="init", source=SeedSource(digest=DIGEST), binding=Binding.CDROM, bus="sata", read_only=True),
        DiskSpec(name="tmp", source=ScratchSource(capacity_bytes=8 << 20), dedicated_io_thread=True),
        DiskSpec(name="drive", source=NoMedia(), binding=Binding.CDROM, bus="scsi", read_only=True),
    ),
    interfaces=(
        _nic("default", "02:67:76:78:00:01", boot_order=2, mtu=1400),
        _nic("second_nic", "02:67:76:78:00:02", model="e1000e", link_up=False),
    ),
    io_threads=1,
    features=(("acpi", "on"), ("apic", "on"), ("pvspinlock", "off"), ("smm", "on")),
    clock=ClockSpec(offset="utc:3600", timers=(("hpet", "present=no"), ("rtc", "present=yes,tickpolicy=catchup"))),
    graphics=True,
    rng=True,
    inputs=(("tablet", "tablet", "usb"), ("keys", "keyboard", "virtio")),
    watchdog="reset",
)
SPECS = {
    "plain": _spec(),
    "rich": RICH,
    "efi": _spec(bootloader="efi"),
    "efi-secure": _spec(bootloader="efi", secure_boot=True, features=(("acpi", "on"), ("smm", "on"))),
    "bare": _spec(
        disks=(),
        interfaces=(),
        balloon=False,
        agent_channel=False,
        serial_console=False,
        clock=ClockSpec(offset="timezone:Europe/Berlin"),
    ),
    "host-passthrough": _spec(cpu=CpuSpec(model="host-passthrough"), video="vga"),
    "old-machine": _spec(machine="pc-q35-6.2", graphics=True, video="bochs"),
}


def _resolved(spec: DomainSpec) -> ResolvedVm:
    return ResolvedVm(
        key=VM,
        document=Document(key=VM, api_version="kubevirt.io/v1", body={}, digest="", file=""),
        applied={},
        domain=spec,
        run_strategy=RunStrategy.ALWAYS,
        restart_policy=RestartPolicy.MANUAL,
        grace_period_s=30,
    )


def _live(domain: Any) -> LiveVm:
    stored = domain_xml.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    running = domain_xml.parse(domain.XMLDesc()) if domain.isActive() else None
    return LiveVm(
        key=VM,
        fingerprint="",
        marks=Marks(owner="gvx", host="", revision="", applied={}),
        stored=stored.spec,
        running=running.spec if running else None,
        power=PowerState.PAUSED,
        foreign_stored=stored.foreign,
        foreign_running=running.foreign if running else (),
    )


@pytest.fixture
def define(connection: Any) -> Iterator[Any]:
    """Define XML; whatever was defined is gone afterwards."""
    defined: list[Any] = []

    def define_(xml: str) -> Any:
        # The engine leaves this check out, for it takes four times as long as defining: here it holds the builder.
        defined.append(connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE))
        return defined[-1]

    yield define_
    for domain in defined:
        try:
            if domain.isActive():
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise


def _differences(spec: DomainSpec, domain: Any) -> tuple[Difference, ...]:
    return compare(_resolved(spec), _live(domain))


@pytest.mark.parametrize("name", SPECS)
def test_an_untouched_vm_shows_no_difference(name: str, host: Flavour, define: Any) -> None:
    spec = SPECS[name]
    domain = define(domain_xml.build(spec, host))
    assert _differences(spec, domain) == ()
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert _differences(spec, domain) == ()
    domain.resume()
    time.sleep(FIRMWARE_S)
    assert _differences(spec, domain) == ()


@pytest.mark.parametrize("model", ["", "host-passthrough", "host-model", "qemu64"])
def test_an_untouched_vm_on_kvm_shows_no_difference(model: str, host: Flavour, define: Any, connection: Any) -> None:
    """Started paused: such a KVM need not be one that can boot a guest."""
    try:
        connection.getDomainCapabilities(None, "x86_64", "q35", "kvm")
    except libvirt.libvirtError as error:
        pytest.skip(f"libvirt finds no KVM here: {error}")
    spec = _spec(cpu=CpuSpec(sockets=2, max_sockets=2, model=model, features=(("pcid", "disable"),)))
    domain = define(domain_xml.build(spec, replace(host, accelerator="kvm")))
    assert _differences(spec, domain) == ()
    try:
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError as error:
        pytest.skip(f"KVM starts no guest here: {error}")
    assert _differences(spec, domain) == ()


@pytest.mark.parametrize("name", ["plain", "rich"])
def test_a_redefinition_moves_nothing(name: str, host: Flavour, define: Any) -> None:
    spec = SPECS[name]
    first = define(domain_xml.build(spec, host)).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    again = domain_xml.build(spec, host, domain_xml.carried_from(first))
    second = define(again).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert second == first


def test_a_device_less_leaves_the_others_in_place(host: Flavour, define: Any) -> None:
    first = define(domain_xml.build(RICH, host)).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    fewer = replace(RICH, disks=RICH.disks[1:], interfaces=RICH.interfaces[1:], rng=False)
    kept = domain_xml.carried_from(first)
    second = define(domain_xml.build(fewer, host, kept)).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    now = domain_xml.carried_from(second)
    assert now.ports == kept.ports
    assert now.machine == kept.machine
    assert {key: kept.addresses[key] for key in now.addresses} == dict(now.addresses)
    assert now.targets.items() <= kept.targets.items()


def test_live_steps_bring_a_running_guest_to_its_spec(host: Flavour, define: Any) -> None:
    """Attach and update only: a guest without a kernel lets nothing go."""
    spec = _spec(interfaces=(_nic("default", "02:67:76:78:00:01"),))
    domain = define(domain_xml.build(spec, host))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    wanted = replace(
        spec,
        disks=(*spec.disks, _claim("data"), _claim("plain", "raw", bus="scsi")),
        interfaces=(
            replace(spec.interfaces[0], link_up=False),
            _nic("second", "02:67:76:78:00:02"),
        ),
    )
    steps = live_steps(wanted, domain.XMLDesc(), host, _differences(wanted, domain))
    assert [(step.means, step.subject) for step in steps] == [
        (LiveMeans.ATTACH, "disk datadisk"),
        (LiveMeans.ATTACH, "disk plaindisk"),
        (LiveMeans.UPDATE_DEVICE, "interface default"),
        (LiveMeans.ATTACH, "interface second"),
    ]
    for step in steps:
        call = domain.attachDeviceFlags if step.means is LiveMeans.ATTACH else domain.updateDeviceFlags
        call(step.xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    stored, live = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), domain.XMLDesc()
    define(domain_xml.build(wanted, host, domain_xml.carried_from(stored, live)))
    assert _differences(wanted, domain) == ()
    running = domain_xml.carried_from(domain.XMLDesc())
    after = domain_xml.carried_from(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    assert {key: value for key, value in running.addresses.items() if key.startswith("alias:")} == {
        key: value for key, value in after.addresses.items() if key.startswith("alias:")
    }


def test_media_is_changed_and_ejected_live(host: Flavour, define: Any) -> None:
    empty = _spec(disks=(DiskSpec(name="drive", source=NoMedia(), binding=Binding.CDROM, bus="sata", read_only=True),))
    full = replace(empty, disks=(replace(empty.disks[0], source=_claim("plain", "raw").source),))
    domain = define(domain_xml.build(empty, host))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    for wanted in (full, empty):
        (step,) = live_steps(wanted, domain.XMLDesc(), host, _differences(wanted, domain))
        assert step.means is LiveMeans.CHANGE_MEDIA
        domain.updateDeviceFlags(step.xml, libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        assert _differences(wanted, domain) == ()


def test_hand_made_changes_show(host: Flavour, define: Any) -> None:
    spec = _spec()
    domain = define(domain_xml.build(spec, host))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    both = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
    domain.attachDeviceFlags(
        "<interface type='network'><mac address='52:54:00:AA:bb:01'/>"
        f"<source network='{network_name(NETWORK)}'/><model type='virtio'/></interface>",
        both,
    )
    domain.attachDeviceFlags(
        f"<disk type='volume'><driver name='qemu' type='raw'/><source pool='{POOL}' volume='gvx-trip_plain.raw'/>"
        "<target dev='vdz' bus='virtio'/></disk>",
        both,
    )
    domain.setMemoryFlags(64 * 1024, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "mine", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    found = {difference.path: difference for difference in _differences(spec, domain)}
    devices = "spec.template.spec.domain.devices"
    nic = found.pop(f"{devices}.interfaces[foreign:52:54:00:aa:bb:01]")
    assert (nic.impact, nic.after, nic.stored, nic.running, nic.refused) == ("live", None, True, True, "")
    disk = found.pop(f"{devices}.disks[foreign:vdz]")
    assert "never pulled from a running guest" in disk.refused
    memory = found.pop("spec.template.spec.domain.memory.guest")
    assert (memory.before, memory.after, memory.impact, memory.running) == ("64Mi", "96Mi", "none", False)
    title = found.pop("xml:title")
    assert (title.after, title.impact, title.running) == (None, "none", False)
    assert found == {}
    (step,) = live_steps(spec, domain.XMLDesc(), host, (nic, disk))
    assert step.means is LiveMeans.DETACH
    assert "52:54:00:aa:bb:01" in step.xml
    assert domain_xml.live_device_xml(domain.XMLDesc(), "foreign:vdz", DeviceKind.DISK) is not None


def test_a_snapshot_overlay_is_reported_and_never_re_pointed(host: Flavour, define: Any, directory: Path) -> None:
    spec = _spec()
    domain = define(domain_xml.build(spec, host))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    snapshot = (
        "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
        f"<source file='{directory}/overlay.qcow2'/></disk></disks></domainsnapshot>"
    )
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    domain.snapshotCreateXML(snapshot, flags)
    (running,) = _differences(spec, domain)
    assert running.path == "spec.template.spec.volumes[rootdisk]"
    assert "never re-pointed" in running.refused
    domain.destroy()
    (off,) = _differences(spec, domain)
    assert "overlay" in off.refused


def test_marks_survive_in_both_halves(host: Flavour, define: Any) -> None:
    marks = DomainMarks(marks=Marks(owner="a&b", host="h", revision="r", applied={"x": "<é>\x01"}))
    domain = define(domain_xml.build(_spec(), host, metadata=to_metadata(marks)))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        assert from_metadata(domain.XMLDesc(flags)) == marks
    element = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "https://gitvirt.io/xmlns/1")
    assert from_metadata(element) == marks


NETWORKS = {
    "isolated": NetworkSpec(),
    "named": NetworkSpec(bridge="gvx-br1", mtu=1400),
    "nat": NetworkSpec(
        bridge="gvx-br2",
        address="10.253.7.1/24",
        dhcp_range=("10.253.7.10", "10.253.7.200"),
        nat=True,
        domain="gvx.internal",
    ),
    "routed-nowhere": NetworkSpec(address="10.253.8.1/24"),
    "macvlan": NetworkSpec(master="gvx-none", mode="private"),
    "host-bridge": NetworkSpec(bridge="gvx-none", host_bridge=True, mtu=9000),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_untouched_network_shows_no_difference(name: str, connection: Any) -> None:
    spec, key = NETWORKS[name], ObjectKey("NetworkAttachmentDefinition", "gvx-trip", f"n-{name}")
    marks = DomainMarks(marks=Marks(owner="gvx", host="h", revision="r", applied={}))
    wanted = ResolvedNetwork(key=key, document=None, applied={}, network=spec)
    network = connection.networkDefineXML(network_xml.build(spec, network_name(key), metadata=to_metadata(marks)))
    try:
        for active in (False, True):
            if active and not spec.host_bridge:
                network.create()
            xml = network.XMLDesc()
            live = LiveNetwork(key=key, fingerprint="", marks=marks.marks, network=network_xml.parse(xml), active=True)
            assert compare(wanted, live) == ()
            assert from_metadata(xml) == marks
    finally:
        if network.isActive():
            network.destroy()
        network.undefine()
