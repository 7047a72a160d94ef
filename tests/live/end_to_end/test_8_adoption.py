"""A VM that others made, with a real guest: exported, refused, adopted, changed, corrected, given back; one and the same boot. And one
of gitvirt's own that was let go of, and is taken back.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.end_to_end.hands import AFFECT_CONFIG, AFFECT_LIVE, XML_INACTIVE

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]

LEGACY = """
<domain type='qemu'>
  <name>{name}</name>
  <metadata><site:owner xmlns:site='https://example.org/site'>accounting</site:owner></metadata>
  <memory unit='MiB'>112</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/></clock>
  <on_crash>restart</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/><source file='{pool}/{name}.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='{pool}/{name}-data.img'/><target dev='vdb' bus='virtio'/>
    </disk>
    <interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/></interface>
    <serial type='pty'/><console type='pty'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='unix'><target type='virtio' name='org.example.backup.0'/></channel>
    <input type='tablet' bus='virtio'/>
    <graphics type='vnc' autoport='yes' listen='127.0.0.1' passwd='sesame'/>
    <video><model type='vga'/></video>
    <sound model='ich9'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""
EXTRA_NETWORK = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lab, namespace: $NAMESPACE}
spec: {config: '{"cniVersion": "0.3.1", "type": "bridge", "bridge": "$BRIDGE"}'}
"""


@pytest.fixture
def legacy(world: World, demo_image: Path) -> Iterator[str]:
    """The name of a domain with a running guest that somebody made without gitvirt; its pool is the world's."""
    from tests.live.end_to_end.world import OUTSIDE

    name, network = f"legacy-{world.token}", f"outside-{world.token}"
    world.until_status("demo-image", "Succeeded", "dv")
    pool = world.directory / "pool"
    shutil.copy(demo_image, pool / f"{name}.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", str(pool / f"{name}-data.img"), "16M"], check=True)
    world.connection.networkDefineXML(
        f"<network><name>{network}</name><bridge name='{world.bridge(OUTSIDE)}' stp='off'/></network>"
    ).create()
    mac = f"52:54:00:{world.token[:2]}:{world.token[2:4]}:{world.token[4:6]}"
    domain = world.connection.defineXML(LEGACY.format(name=name, pool=pool, network=network, mac=mac))
    domain.create()
    world.domain_names["legacy"] = name
    try:
        yield name
    finally:
        world.domain_names.pop("legacy", None)
        for there in (d for d in world.connection.listAllDomains() if d.name() == name):
            if there.isActive():
                there.destroy()
            there.undefine()
        outside = world.connection.networkLookupByName(network)
        outside.destroy()
        outside.undefine()


def qemu_pid(name: str) -> str:
    return Path(f"/run/libvirt/qemu/{name}.pid").read_text()


def stored(world: World, name: str) -> str:
    xml: str = world.connection.lookupByName(name).XMLDesc(XML_INACTIVE)
    return xml


def nics(world: World, flags: int = 0) -> list[str]:
    return re.findall(r"<mac address='([^']+)'", world.domain("legacy").XMLDesc(flags))


def test_an_existing_vm_is_taken_over_without_a_restart(world: World, legacy: str) -> None:
    boot = world.boot_id("legacy")
    pid, before = qemu_pid(legacy), stored(world, legacy)
    manifest = world.cli("export", legacy, "-n", world.namespace)
    assert "sesame" not in manifest
    assert "devices/sound" in manifest
    assert stored(world, legacy) == before

    # A manifest that is another VM in places is refused, and says where; the domain is left alone.
    other = manifest.replace("guest: 112Mi", "guest: 160Mi")
    other_mac = manifest.replace("52:54:00:", "52:54:01:")  # in quotes where all of its parts are numbers
    assert other_mac != manifest
    world.declare({"legacy.yaml": other_mac})
    world.cli("reconcile")
    refused = world.cli("adopt", legacy, code=1)
    assert "would be unplugged" in refused
    world.declare({"legacy.yaml": other})
    world.cli("reconcile")
    refused = world.cli("adopt", legacy, code=1)
    assert "memory.guest: 112Mi → 160Mi [restart]" in refused
    assert world.cli("adopt", legacy, "--accept-differences", "0123456789ab", code=1) == refused
    assert stored(world, legacy) == before
    assert [status["state"] for status in world.ask("get", kind="vm", name=legacy)["objects"]] == ["Blocked"]

    # The exported one is adopted; nothing but metadata changes, and it can be given back.
    world.declare({"legacy.yaml": manifest}, "legacy, as it is")
    world.cli("reconcile")
    world.cli("adopt", legacy)
    world.until_settled()
    assert without_marks(stored(world, legacy)) == without_marks(before)
    world.cli("release", legacy)
    assert stored(world, legacy) == before
    assert (qemu_pid(legacy), world.boot_id("legacy")) == (pid, boot)

    # Accepted differences come about without a restart: memory waits for one.
    world.declare({"legacy.yaml": other}, "legacy, with more memory")
    world.cli("reconcile")
    seen = world.ask("adopt", domain=legacy)
    world.cli("adopt", legacy, "--accept-differences", seen["accept"])
    world.until("the change waits for a restart", lambda: "RestartRequired" in str(world.row(legacy)["conditions"]))
    assert (qemu_pid(legacy), world.boot_id("legacy")) == (pid, boot)
    assert "<memory unit='KiB'>163840<" in stored(world, legacy)
    changed_and_corrected(world, legacy, other)
    assert (qemu_pid(legacy), world.boot_id("legacy")) == (pid, boot)

    world.guest("legacy", "echo 'the ledger of 2026' > /persist/ledger; sync")
    world.cli("restart", legacy)
    world.until("the guest has booted anew", lambda: world.has_booted_anew("legacy", boot))
    world.until_settled()
    assert int(world.guest("legacy", "awk '/MemTotal/ {print $2}' /proc/meminfo")) > 120_000

    # Deleted and reverted like any other; what comes back is a VM of gitvirt's own making, on the same disks.
    uuid = world.domain("legacy").UUIDString()
    world.declare({"legacy.yaml": None}, "legacy is not needed any more")
    world.until("it is gone", lambda: legacy not in {d.name() for d in world.connection.listAllDomains()})
    world.until("its disks are in the trash", lambda: len(world.cli_json("trash", "list")) >= 3, every_s=1.0)
    del world.domain_names["legacy"]
    world.revert()
    world.until_agent(legacy)
    assert world.guest(legacy, "cat /persist/ledger") == "the ledger of 2026"
    assert world.domain(legacy).UUIDString() == uuid
    world.until_settled()


def changed_and_corrected(world: World, legacy: str, manifest: str) -> None:
    """A commit plugs in a NIC and grows a disk, drift is put right; what nobody declared stays as it was found."""
    with_nic = manifest.replace(
        "          interfaces:\n",
        "          interfaces:\n            - {name: lab, bridge: {}, macAddress: '02:00:00:00:07:01'}\n",
    ).replace("      networks:\n", "      networks:\n        - {name: lab, multus: {networkName: lab}}\n")
    grown = with_nic.replace("storage: 16Mi", "storage: 24Mi")
    network = EXTRA_NETWORK.replace("$BRIDGE", world.bridge(6))
    world.declare({"legacy.yaml": grown, "lab.yaml": network}, "legacy gets a NIC and a larger disk")
    world.until("the NIC is plugged in", lambda: "02:00:00:00:07:01" in nics(world))
    world.until("the disk has grown", lambda: world.guest("legacy", "cat /sys/block/vdb/size") == str(24 << 11))
    assert "02:00:00:00:07:01" in nics(world, XML_INACTIVE)
    world.until_agent("legacy")

    since = world.mark()
    own = next(mac for mac in nics(world) if mac.startswith("52:54:00"))
    nic = re.search(
        rf"<interface type='network'>\s*<mac address='{own}'/>.*?</interface>", world.domain("legacy").XMLDesc(0), re.S
    )
    assert nic is not None
    world.domain("legacy").detachDeviceFlags(nic[0], AFFECT_LIVE | AFFECT_CONFIG)
    world.corrected(world.key(legacy), since)
    world.until("the adopted NIC is back", lambda: own in nics(world) and own in nics(world, XML_INACTIVE))

    since = world.mark()
    xml = secure(world).replace("<vcpu placement='static'>1<", "<vcpu placement='static'>3<")
    world.connection.defineXML(xml)
    world.corrected(world.key(legacy), since)
    after = stored(world, legacy)
    for kept in (
        "<vcpu placement='static'>1<",
        "org.example.backup.0",
        "<sound model='ich9'",
        ">accounting<",
        "restart</on_crash>",
    ):
        assert kept in after
    assert "passwd='sesame'" in secure(world)
    world.until_settled()


def secure(world: World) -> str:
    import libvirt

    xml: str = world.domain("legacy").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    return xml


def without_marks(xml: str) -> Any:
    """And without what gitvirt keeps beside them, which `release` takes off with them."""
    return re.sub(r"\s*<(gitvirt:marks|gitvirt-kept:kept).*?</\1>", "", xml, flags=re.S)


def test_a_vm_that_was_released_by_mistake_is_adopted_again_with_its_cloud_init_data(world: World) -> None:
    from tests.live.end_to_end.manifests import vm

    manifest = (
        vm("again")
        .replace("- {name: cloudinit, disk", "- {name: tmp, disk: {bus: virtio}}\n          - {name: cloudinit, disk")
        .replace("- name: cloudinit\n", "- {name: tmp, emptyDisk: {capacity: 16Mi}}\n      - name: cloudinit\n")
    )
    domain = f"{world.namespace}_again"
    back = manifest.replace("{name: again}", f"{{name: again, annotations: {{gitvirt.io/adopt: {domain}}}}}", 1)
    world.declare({"again.yaml": manifest}, "again, with cloud-init data and an emptyDisk")
    world.until_running("again")
    boot, pid = world.boot_id("again"), qemu_pid(domain)
    world.until_settled()
    before = stored(world, domain)
    iso, scratch = generated(world)
    marks = os.getxattr(iso, "user.gitvirt")
    as_it_was = (iso.stat().st_ino, iso.read_bytes(), scratch.stat().st_ino)

    world.cli("release", "again")
    world.declare({"again.yaml": back}, "again is the domain that was let go of")
    world.cli("reconcile")
    assert [status["state"] for status in world.ask("get", kind="vm", name="again")["objects"]] == ["Blocked"]

    # Without gitvirt's mark the very same file is somebody else's, as any disc in a drive is.
    os.removexattr(iso, "user.gitvirt")
    assert f"{iso.name}) is in no claim of" in world.cli("adopt", domain, code=1)
    os.setxattr(iso, "user.gitvirt", marks)

    # Other data than the ISO has is a difference like any other.
    world.declare({"again.yaml": back.replace("said by runcmd", "called by runcmd")}, "again says something else")
    world.cli("reconcile")
    refused = world.cli("adopt", domain, code=1)
    assert re.search(r"volumes\[cloudinit\]: digest:\w+ → digest:\w+ \[restart\]", refused)
    assert "sesame" not in refused

    world.declare({"again.yaml": back}, "again is as it was")
    world.cli("reconcile")
    world.cli("adopt", domain)
    world.until_settled()
    assert without_marks(stored(world, domain)) == without_marks(before)
    assert (qemu_pid(domain), world.boot_id("again")) == (pid, boot)
    assert generated(world) == [iso, scratch]
    assert (iso.stat().st_ino, iso.read_bytes(), scratch.stat().st_ino) == as_it_was
    assert os.getxattr(iso, "user.gitvirt") == marks

    # Like any other VM of gitvirt's from then on, until nobody needs its guest any more.
    world.declare({"again.yaml": back.replace("runStrategy: Always", "runStrategy: Halted")}, "again may rest")
    world.until("the guest is off", lambda: not world.runs("again"))
    world.until_settled()
    assert generated(world) == [iso, scratch]


def generated(world: World) -> list[Path]:
    """What was made for the VM: its ISO, its emptyDisk."""
    pool, name = world.directory / "pool", f"{world.namespace}_again"
    return [*pool.glob(f"{name}.*.iso"), *pool.glob(f"{name}_*.scratch.qcow2")]
