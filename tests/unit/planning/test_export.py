"""Several domains exported together: one object has one name, two have two."""

from __future__ import annotations

from reconciler.model.adoption import ADOPT, FoundDisk, FoundInterface, FoundVm
from reconciler.model.domain import CpuSpec, DiskSpec, DomainSpec, ForeignSource, InterfaceSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.policy import Policy
from reconciler.model.power import PowerState
from reconciler.planning.export_vm import export_vm, object_name

SPEC = DomainSpec(name="x", uuid="11111111-2222-5333-8444-555555555555", serial="", cpu=CpuSpec(), memory_mib=128)


def found(name: str, *, volume: str = "disk.qcow2", pool: str = "default") -> FoundVm:
    disk = DiskSpec(name="foreign:vda", source=ForeignSource(text="file /x"))
    nic = InterfaceSpec(name="foreign:nic", network="foreign:bridge br0", mac="52:54:00:00:00:01")
    key = ObjectKey("VirtualMachine", "", name)
    return FoundVm(
        name=name,
        uuid=SPEC.uuid,
        live=LiveVm(key=key, fingerprint="", marks=None, stored=SPEC, running=None, power=PowerState.OFF),
        disks=(
            FoundDisk(
                target="vda", spec=disk, text="file /x", pool=pool, volume=volume, format="qcow2", size_bytes=1 << 30
            ),
            FoundDisk(target="sda", spec=disk, text="dev /dev/sdb", obstacle="dev /dev/sdb lies in no storage pool"),
        ),
        interfaces=(FoundInterface(spec=nic, place="bridge br0", bridge="br0"),),
    )


def test_names_become_kubernetes_names() -> None:
    assert object_name("Web Server_1.qcow2") == "web-server-1-qcow2"
    assert object_name("…") == "vm"


def test_what_cannot_be_had_and_what_the_settings_need_is_told() -> None:
    exported = export_vm(found("web", pool="nvme"), namespace="prod", policy=Policy())
    assert exported.missing == ("disk sda (dev /dev/sdb): dev /dev/sdb lies in no storage pool",)
    assert exported.settings == ("allowedBridges: [br0]", "storageClasses: {nvme: {pool: nvme}}")
    body = exported.documents[exported.vm]
    assert body["metadata"]["annotations"] == {ADOPT: "web"}
    assert body["spec"]["runStrategy"] == "Halted"


def test_one_object_has_one_name_and_two_have_two() -> None:
    first = export_vm(found("Web 1"), namespace="prod", policy=Policy())
    same_disk = export_vm(found("web-1"), namespace="prod", policy=Policy(), taken=first.documents)
    other_disk = export_vm(found("db", pool="nvme"), namespace="prod", policy=Policy(), taken=first.documents)
    assert (first.vm.name, same_disk.vm.name, other_disk.vm.name) == ("web-1", "web-1-2", "db")
    claims = [
        key.name
        for exported in (first, same_disk, other_disk)
        for key in exported.documents
        if key.kind == "PersistentVolumeClaim"
    ]
    assert claims == ["disk", "disk", "disk-2"]
