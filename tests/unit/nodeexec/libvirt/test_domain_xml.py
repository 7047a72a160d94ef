"""Reading and editing domains beyond the round trip: places that are kept, and what hands have put in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodeexec.libvirt.controllers import carried_from
from nodeexec.libvirt.domain_xml import build, device_xml, live_device_xml, parse
from nodeexec.libvirt.flavour import Carried, Flavour
from nodeexec.libvirt.live_steps import live_steps
from nodeexec.libvirt.naming import DeviceKind
from nodeexec.spec_verdicts import LiveMeans
from reconciler.model.domain import (
    Binding,
    ClaimSource,
    CpuSpec,
    DiskSpec,
    DomainSpec,
    ForeignSource,
    InterfaceSpec,
    ScratchSource,
    SeedSource,
)
from reconciler.model.plan import Difference, Impact

HOST = Flavour(accelerator="qemu", hotplug_ports=2, console_log_directory="")
ROOT = ClaimSource(namespace="default", claim="root", pool="default", format="qcow2")
SPEC = DomainSpec(
    name="default_web",
    uuid="11111111-2222-5333-8444-555555555555",
    serial="s",
    cpu=CpuSpec(sockets=1, cores=2, max_sockets=2),
    memory_mib=128,
    disks=(DiskSpec(name="root", source=ROOT),),
    interfaces=(InterfaceSpec(name="default", network="PodNetwork/pod", mac="02:00:00:00:00:01"),),
)
XML = build(SPEC, HOST)


def edited(before: str, after: str, xml: str = XML) -> str:
    assert before in xml
    return xml.replace(before, after, 1)


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ("<devices>", "<devices><hostdev mode='subsystem' type='pci'/>", "devices/hostdev"),
        ("<devices>", "<devices><filesystem type='mount'/>", "devices/filesystem"),
        ("<devices>", "<devices><sound model='ich9'/>", "devices/sound"),
        ("<devices>", "<devices><input type='mouse' bus='usb'/>", "devices/input"),
        ("</channel>", "</channel><channel type='spicevmc'><target type='virtio' name='x'/></channel>", "devices/channel"),
        ("<devices>", "<title>mine</title><devices>", "title"),
        ("<devices>", "<cputune><shares>1</shares></cputune><devices>", "cputune"),
        ("<features>", "<features><hap/>", "features/hap"),
        ("</cpu>", "<numa><cell id='0' cpus='0' memory='1'/></numa></cpu>", "cpu/numa"),
        ("<os>", "<os><kernel>/k</kernel>", "os/kernel"),
        ("<on_crash>destroy</on_crash>", "<on_crash>preserve</on_crash>", "on_crash"),
        ("<entry name=\"manufacturer\">gitvirt</entry>", "", "sysinfo/system/entry[name=manufacturer]"),
        ("<currentMemory>131072</currentMemory>", "<currentMemory>65536</currentMemory>", "currentMemory"),
        ("<source network=\"gitvirt-pod\"/>", "<source network=\"gitvirt-pod\"/><bandwidth/>", "devices/interface[default]/bandwidth"),
        ("<source pool=", "<iotune/><source pool=", "devices/disk[root]/iotune"),
    ],
)  # fmt: skip
def test_what_hands_put_in_is_named(before: str, after: str, path: str) -> None:
    parsed = parse(edited(before, after))
    assert [place for place, _ in parsed.foreign] == [path]
    assert parsed.spec == SPEC


def test_what_libvirt_fills_in_is_not_named() -> None:
    filled = edited(
        "<devices>",
        "<resource><partition>/machine</partition></resource><seclabel type='dynamic'/><devices>"
        "<emulator>/usr/bin/qemu</emulator><audio id='1' type='none'/><input type='mouse' bus='ps2'/>"
        "<watchdog model='itco' action='reset'/>",
    )
    assert parse(filled).foreign == ()
    assert parse(filled).spec == SPEC


def test_devices_of_others_have_names_of_their_own() -> None:
    xml = edited(
        "<devices>",
        "<devices><interface type='bridge'><mac address='52:54:00:AB:00:01'/><source bridge='br0'/></interface>"
        "<disk type='file' device='disk'><source file='/x.img'/><target dev='vdz' bus='virtio'/></disk>",
    )
    spec = parse(xml).spec
    assert spec.interfaces[0].name == "foreign:52:54:00:ab:00:01"
    assert spec.interfaces[0].network == "foreign:bridge br0"
    assert (spec.disks[0].name, spec.disks[0].source) == ("foreign:vdz", ForeignSource(text="file /x.img"))
    cut = live_device_xml(xml, "foreign:52:54:00:ab:00:01", DeviceKind.INTERFACE)
    assert cut is not None
    assert cut.startswith("<interface") and cut.endswith("</interface>\n")
    assert live_device_xml(xml, "absent", DeviceKind.DISK) is None
    with pytest.raises(ValueError, match="cannot be built"):
        build(spec, HOST)


def test_a_running_domain_is_believed_about_its_cpu_only_by_what_was_kept() -> None:
    running = edited('<domain type="qemu">', '<domain type="qemu" id="3">')
    running = edited('mode="maximum" check="none">', 'mode="custom" match="exact"><model>EPYC</model>', running)
    assert parse(running).spec.cpu == SPEC.cpu
    stored = edited('mode="maximum" check="none">', 'mode="custom" match="exact"><model>EPYC</model>')
    assert parse(stored).spec.cpu.model == "EPYC"


def test_a_clock_that_the_guest_moved_is_no_change() -> None:
    spec = replace(SPEC, clock=replace(SPEC.clock, offset="utc:60"))
    xml = edited('adjustment="60"', 'adjustment="71"', build(spec, HOST))
    running = edited('<domain type="qemu">', '<domain type="qemu" id="3">', xml)
    assert parse(running).spec.clock.offset == "utc:60"
    assert parse(xml).spec.clock.offset == "utc:71"


def test_vcpus_that_are_no_whole_socket_read_as_single_cores() -> None:
    xml = edited('current="2"', 'current="3"')
    assert parse(xml).spec.cpu == CpuSpec(sockets=3, cores=1, threads=1, max_sockets=4)


def test_damaged_kept_data_leaves_the_xml_to_speak() -> None:
    assert parse(edited('{"cpu":', "{{")).spec == SPEC


@pytest.mark.parametrize("text", ["", "<domain", "<network/>"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"XML|no domain"):
        parse(text)


def test_a_claim_stays_where_its_volume_is() -> None:
    moved = replace(SPEC, disks=(replace(SPEC.disks[0], source=replace(ROOT, pool="fast", format="raw")),))
    assert parse(build(moved, HOST, carried_from(XML))).spec == SPEC
    assert parse(build(moved, HOST)).spec == moved


def test_a_new_disk_takes_a_free_target_and_the_old_ones_keep_theirs() -> None:
    first, second = SPEC.disks[0], DiskSpec(name="new", source=replace(ROOT, claim="new"))
    carried = carried_from(XML)
    assert carried.targets == {"ua-disk-root": ("virtio", "vda")}
    after = carried_from(build(replace(SPEC, disks=(second, first)), HOST, carried))
    assert after.targets == {"ua-disk-root": ("virtio", "vda"), "ua-disk-new": ("virtio", "vdb")}
    assert 'dev="vdb"' in device_xml(second, SPEC, HOST, carried)


def test_an_address_of_another_bus_is_dropped() -> None:
    carried = Carried(
        addresses={"alias:ua-disk-root": {"type": "pci", "bus": "0x05"}}, targets={"ua-disk-root": ("virtio", "vda")}
    )
    as_sata = replace(SPEC, disks=(replace(SPEC.disks[0], bus="sata"),))
    xml = device_xml(as_sata.disks[0], as_sata, HOST, carried)
    assert 'type="drive"' in xml and "pci" not in xml and 'dev="sda"' in xml
    assert "0x05" in device_xml(SPEC.disks[0], SPEC, HOST, carried)


def test_drives_of_one_controller_never_meet() -> None:
    drives = tuple(
        DiskSpec(name=f"d{n}", source=replace(ROOT, claim=f"c{n}"), bus=bus)
        for n, bus in enumerate(["sata"] * 7 + ["scsi"] * 9)
    )
    spec = replace(SPEC, disks=drives)
    xml = build(spec, HOST)
    carried = carried_from(xml)
    places = {
        (carried.targets[key.removeprefix("alias:")][0], address["controller"], address["unit"])
        for key, address in carried.addresses.items()
    }
    assert len(places) == 16
    one_less = replace(spec, disks=drives[1:])
    again = carried_from(build(one_less, HOST, carried))
    assert dict(again.addresses).items() <= dict(carried.addresses).items()


def test_what_was_just_plugged_in_keeps_its_place_at_the_next_boot() -> None:
    new = InterfaceSpec(name="b", network="lab/b", mac="02:00:00:00:00:02")
    wanted = replace(SPEC, interfaces=(*SPEC.interfaces, new))
    live = edited("</devices>", device_xml(new, wanted, HOST) + "</devices>")
    live = edited('<alias name="ua-nic-b"/>', '<alias name="ua-nic-b"/><address type="pci" bus="0x09"/>', live)
    carried = carried_from(XML, live)
    assert carried.addresses["alias:ua-nic-b"] == {"type": "pci", "bus": "0x09"}
    taken = edited('<alias name="ua-nic-default"/>', '<alias name="ua-nic-default"/><address type="pci" bus="0x09"/>')
    assert "alias:ua-nic-b" not in carried_from(taken, live).addresses


def difference(path: str, **changes: Any) -> Difference:
    plain = Difference(path=path, before=None, after=None, impact=Impact.LIVE, reason="")
    return replace(plain, **changes)


DEVICES = "spec.template.spec.domain.devices"


def test_steps_detach_first_and_take_each_device_once() -> None:
    nic = replace(SPEC.interfaces[0], name="new", mac="02:00:00:00:00:07")
    wanted = replace(SPEC, interfaces=(nic,))
    found = live_steps(
        wanted, XML, HOST, [difference(f"{DEVICES}.interfaces[new]"), difference(f"{DEVICES}.interfaces[default]")]
    )
    assert [(step.means, step.subject) for step in found] == [
        (LiveMeans.DETACH, "interface default"),
        (LiveMeans.ATTACH, "interface new"),
    ]
    off = replace(SPEC, interfaces=(replace(SPEC.interfaces[0], link_up=False, network="lab/a"),))
    paths = [f"{DEVICES}.interfaces[default].state", "spec.template.spec.networks[default]"]
    (step,) = live_steps(off, XML, HOST, [difference(path) for path in paths])
    assert step.means is LiveMeans.UPDATE_DEVICE
    assert 'state="down"' in step.xml and 'network="lab_a"' in step.xml


@pytest.mark.parametrize("changes", [{"running": False}, {"impact": Impact.RESTART}, {"refused": "no"}])
def test_what_is_not_to_be_done_live_gives_no_step(changes: dict[str, Any]) -> None:
    wanted = replace(SPEC, interfaces=())
    assert live_steps(wanted, XML, HOST, [difference(f"{DEVICES}.interfaces[default]", **changes)]) == ()


def test_what_is_done_already_gives_no_step() -> None:
    wanted = replace(SPEC, interfaces=())
    assert live_steps(wanted, build(wanted, HOST), HOST, [difference(f"{DEVICES}.interfaces[default]")]) == ()


def test_vcpus_and_memory() -> None:
    wanted = replace(SPEC, cpu=replace(SPEC.cpu, sockets=2))
    (step,) = live_steps(wanted, XML, HOST, [difference("spec.template.spec.domain.cpu.sockets")])
    assert (step.means, step.amount) == (LiveMeans.SET_VCPUS, 4)
    (step,) = live_steps(SPEC, XML, HOST, [difference("spec.template.spec.domain.memory.guest")])
    assert (step.means, step.amount) == (LiveMeans.SET_MEMORY, 128 * 1024)


def test_media_is_changed() -> None:
    drive = DiskSpec(name="cd", source=SeedSource(digest="a" * 12), binding=Binding.CDROM, bus="sata", read_only=True)
    spec = replace(SPEC, disks=(drive,))
    other = replace(spec, disks=(replace(drive, source=ROOT),))
    (step,) = live_steps(other, build(spec, HOST), HOST, [difference("spec.template.spec.volumes[cd]")])
    assert step.means is LiveMeans.CHANGE_MEDIA
    assert "default_root.qcow2" in step.xml and 'dev="sda"' in step.xml


def test_scratch_and_seed_of_another_domain_are_foreign() -> None:
    disks = (
        DiskSpec(name="a", source=SeedSource(digest="a" * 12)),
        DiskSpec(name="b", source=ScratchSource(capacity_bytes=5)),
    )
    xml = build(replace(SPEC, disks=disks), HOST).replace("default_web", "default_other", 1)
    assert all(isinstance(disk.source, ForeignSource) for disk in parse(xml).spec.disks)


def test_an_ordinary_users_pod_network_is_each_guests_own_way_out() -> None:
    session = Flavour(accelerator="qemu", user_network=True, console_log_directory="")
    xml = build(SPEC, session)
    assert '<interface type="user">' in xml
    assert "gitvirt-pod" not in xml
    assert parse(xml).spec.interfaces == SPEC.interfaces
    by_hand = xml.replace("ua-nic-default", "net0")
    assert parse(by_hand).spec.interfaces[0].network == "foreign:user"
