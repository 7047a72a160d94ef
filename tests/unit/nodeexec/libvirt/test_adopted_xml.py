"""A domain that gitvirt did not make: read through its adoption, and changed only where it differs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from nodeexec.libvirt.adopted import ADOPTED, adoption_data, adoption_of
from nodeexec.libvirt.domain_xml import parse
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.live_steps import live_steps
from nodeexec.libvirt.marks import DomainMarks, to_metadata
from nodeexec.libvirt.observe_vms import as_stored
from nodeexec.libvirt.stored_xml import changed_definition
from nodeexec.spec_verdicts import LiveMeans
from nodeexec.vm_difference import vm_differences
from reconciler.model.adoption import Adoption
from reconciler.model.domain import ClaimSource, DomainSpec, ForeignSource, InterfaceSpec, NoMedia
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField, LiveVm, Marks
from reconciler.model.plan import Difference
from reconciler.model.power import PowerState

HOST = Flavour(accelerator="qemu", console_log_directory="")
KEY = ObjectKey("VirtualMachine", "prod", "web")
ROOT = ClaimSource(namespace="prod", claim="root", pool="default", format="qcow2")
CD = ClaimSource(namespace="prod", claim="tools", pool="default", format="raw")
ADOPTION = Adoption(
    key=KEY,
    domain="web01",
    uuid="11111111-2222-5333-8444-555555555555",
    disks={"vda": "root", "sda": "cd"},
    interfaces={"52:54:00:00:00:01": "lan"},
    claims={"file /pool/web01.qcow2": ROOT, "file /pool/tools.iso": CD},
    networks={"bridge br0": "prod/lan"},
)
MARKS = DomainMarks(
    marks=Marks(owner="gitvirt", host="h", revision="r", applied={}), extra={ADOPTED: adoption_data(ADOPTION)}
)
XML = f"""
<domain type='qemu'>
  <name>web01</name><uuid>{ADOPTION.uuid}</uuid>
  <metadata><site:a xmlns:site='urn:x'>1</site:a>{to_metadata(MARKS).replace("<marks", "<marks xmlns='https://gitvirt.io/xmlns/1'")}</metadata>
  <memory unit='KiB'>131072</memory><currentMemory unit='KiB'>131072</currentMemory>
  <vcpu placement='static'>1</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <features><acpi/><pae/></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' queues='4'/><source file='/pool/web01.qcow2'/>
      <target dev='vda' bus='virtio'/><iotune><total_iops_sec>500</total_iops_sec></iotune>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></disk>
    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/pool/tools.iso'/>
      <target dev='sda' bus='sata'/><readonly/><alias name='sata0-0-0'/></disk>
    <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><model type='virtio'/>
      <alias name='net0'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <serial type='pty'/><sound model='ich9'/><video><model type='none'/></video>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""
SPEC = parse(XML).spec


def live(xml: str, *, running: str = "", kept: tuple[KeptField, ...] = ()) -> LiveVm:
    parsed, on = parse(xml), parse(running) if running else None
    return LiveVm(
        key=KEY,
        fingerprint="",
        marks=MARKS.marks,
        stored=parsed.spec,
        running=on.spec if on else None,
        power=PowerState.RUNNING if on else PowerState.OFF,
        foreign_stored=parsed.foreign,
        foreign_running=on.foreign if on else (),
        kept=kept,
    )


def differences(wanted: DomainSpec, there: LiveVm) -> tuple[Difference, ...]:
    from types import SimpleNamespace

    vm: Any = SimpleNamespace(domain=wanted, applied={}, guest_access=None)
    return vm_differences(vm, there)


KEPT = tuple(KeptField.of(d.path, d.before, d.after) for d in differences(SPEC, live(XML)))


def changed(wanted: DomainSpec, xml: str = XML) -> str:
    return changed_definition(wanted, HOST, MARKS, xml, differences(wanted, live(xml, kept=KEPT)))


def test_the_adoption_is_remembered_in_the_marks() -> None:
    again = adoption_of(MARKS, ADOPTION.domain, ADOPTION.uuid)
    assert again == ADOPTION
    assert adoption_of(replace(MARKS, extra={ADOPTED: {"key": "nonsense"}})) is None
    assert adoption_of(replace(MARKS, extra={})) is None


def test_devices_have_the_manifests_names() -> None:
    assert [(disk.name, disk.source) for disk in SPEC.disks] == [("root", ROOT), ("cd", CD)]
    assert [(nic.name, nic.network) for nic in SPEC.interfaces] == [("lan", "prod/lan")]


def test_what_was_found_is_no_difference_until_it_changes() -> None:
    assert {field.path for field in KEPT} == {
        "xml:devices/channel",
        "xml:devices/sound",
        "xml:features/pae",
        "xml:devices/disk[root]/iotune",
    }
    assert differences(SPEC, live(XML, kept=KEPT)) == ()
    (found,) = differences(SPEC, live(XML.replace("<sound", "<sound model='ac97'/><sound"), kept=KEPT))
    assert found.path == "xml:devices/sound"


def test_a_snapshot_is_reported_and_never_re_pointed() -> None:
    overlay = "<source file='/pool/web01.snap'/><backingStore><source file='/pool/web01.qcow2'/></backingStore>"
    xml = XML.replace("<source file='/pool/web01.qcow2'/>", overlay)
    (found,) = differences(SPEC, live(xml, kept=KEPT))
    assert "overlay" in found.refused
    assert "/pool/web01.snap" in changed(replace(SPEC, memory_mib=256), xml)


def test_only_what_differs_is_changed() -> None:
    after = changed(replace(SPEC, memory_mib=256, cpu=replace(SPEC.cpu, sockets=2, max_sockets=4)))
    assert '<memory unit="KiB">262144</memory>' in after
    assert re.search(r'<vcpu placement="static" current="2">4</vcpu>', after)
    for kept in ("<pae/>", "iotune", 'queues="4"', "com.redhat.spice.0", "site:a", "ich9", 'bus="0x04"', "br0"):
        assert kept in after
    assert parse(after).spec.memory_mib == 256
    assert "ua-disk-root" not in after


def test_a_field_of_a_disk_and_a_disc_change_in_place() -> None:
    root, cd = SPEC.disks
    after = changed(replace(SPEC, disks=(replace(root, cache="none"), replace(cd, source=NoMedia()))))
    assert re.search(r'<driver name="qemu" type="qcow2" queues="4" cache="none"/>', after)
    assert '<source file="/pool/tools.iso"/>' not in after
    back = changed(SPEC, after)
    assert '<source file="/pool/tools.iso"/>' in back
    assert 'cache="none"' not in back
    assert parse(back).spec == SPEC


def test_devices_come_and_go() -> None:
    nic = InterfaceSpec(name="extra", network="prod/lan", mac="02:00:00:00:00:09")
    more = changed(replace(SPEC, interfaces=(*SPEC.interfaces, nic), rng=True))
    assert '<source network="prod_lan"/>' in more and "ua-nic-extra" in more and "<rng" in more
    less = changed(replace(SPEC, interfaces=()), more)
    assert "<interface" not in less and "<rng" not in less
    assert [disk.name for disk in parse(less).spec.disks] == ["root", "cd"]


def test_what_somebody_adds_by_hand_is_taken_out_again() -> None:
    channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    spiced = XML.replace(channel, f"{channel}<watchdog model='itco'/><redirdev bus='usb' type='spicevmc'/>")
    after = changed(SPEC, spiced)
    assert "redirdev" not in after and "com.redhat.spice.0" in after
    without = XML.replace(channel, "")
    assert "org.qemu.guest_agent.0" in changed(SPEC, without)


def test_a_uuid_is_for_life() -> None:
    with pytest.raises(ValueError, match="UUID"):
        changed(replace(SPEC, uuid="99999999-2222-5333-8444-555555555555"))


def test_live_calls_name_the_device_as_it_runs() -> None:
    running = XML.replace("<domain type", "<domain id='3' type")
    cd = SPEC.disks[1]
    wanted = replace(
        SPEC,
        disks=(SPEC.disks[0], replace(cd, source=NoMedia())),
        interfaces=(replace(SPEC.interfaces[0], link_up=False),),
    )
    steps = live_steps(wanted, running, HOST, differences(wanted, live(XML, running=running, kept=KEPT)))
    assert {step.means for step in steps} == {LiveMeans.CHANGE_MEDIA, LiveMeans.UPDATE_DEVICE}
    for step in steps:
        assert ("sata0-0-0" in step.xml) or ("net0" in step.xml and '<link state="down"/>' in step.xml)
        assert "ua-" not in step.xml
    gone = replace(SPEC, interfaces=())
    (step,) = live_steps(gone, running, HOST, differences(gone, live(XML, running=running, kept=KEPT)))
    assert step.means is LiveMeans.DETACH and "net0" in step.xml


def test_the_kept_fields_survive_json() -> None:
    adoption = replace(ADOPTION, kept=(*KEPT, KeptField.of("p", {"a": 1}, None)))
    text = json.dumps(adoption_data(adoption))
    marks = replace(MARKS, extra={ADOPTED: json.loads(text)})
    assert adoption_of(marks, ADOPTION.domain, ADOPTION.uuid) == adoption


def test_an_unknown_disk_stays_foreign() -> None:
    xml = XML.replace("dev='vda'", "dev='vdq'")
    found = parse(xml).spec.disks[0]
    assert found.name == "foreign:vdq"
    other = parse(XML.replace("/pool/web01.qcow2'/>", "/elsewhere.qcow2'/>")).spec.disks[0]
    assert isinstance(other.source, ForeignSource)


def test_what_libvirt_spells_out_for_a_running_guest_is_no_change_that_waits() -> None:
    stored = parse(XML.replace("<clock", "<cpu mode='host-model'/><clock"))
    spelt = "<cpu mode='custom'><model>EPYC</model><feature name='x2apic' policy='require'/></cpu><clock"
    running = parse(XML.replace("<clock", spelt).replace("<domain type", "<domain id='3' type"))
    assert running.spec.cpu.features != stored.spec.cpu.features
    seen = as_stored(running, stored)
    assert (seen.spec.cpu.model, seen.spec.cpu.features) == (stored.spec.cpu.model, stored.spec.cpu.features)
    assert seen.foreign == stored.foreign
    # Once gitvirt has changed the model, the running guest waits for its restart.
    edited = parse(changed(replace(SPEC, cpu=replace(SPEC.cpu, model="EPYC-Rome"))))
    assert edited.keeps_cpu
    assert as_stored(running, edited).spec.cpu.model != edited.spec.cpu.model


def test_a_display_that_says_its_address_only_while_it_runs_is_one_thing() -> None:
    vnc = "<graphics type='spice'{}/><serial"
    stored = parse(XML.replace("<serial", vnc.format("")))
    running = parse(
        XML.replace("<serial", vnc.format(" listen='127.0.0.1'")).replace("<domain type", "<domain id='3' type")
    )
    assert running.foreign != stored.foreign
    assert as_stored(running, stored).foreign == stored.foreign
