"""A VM that was let go of is matched with its own manifest: what gitvirt generated for it is in no claim, and is its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.adoption import FoundDisk, FoundVm
from reconciler.model.domain import DiskSpec, ForeignSource, NoMedia, ScratchSource, SeedSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.power import PowerState
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.adoption import match
from reconciler.planning.matching import Matching
from reconciler.planning.resolve import resolve
from tests.unit.planning.building import POLICY, declared, digest, observed

VM = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web}
spec:
  template:
    spec:
      domain:
        memory: {guest: 128Mi}
        devices: {disks: [{name: init, disk: {bus: virtio}}, {name: tmp, disk: {bus: virtio}}]}
      volumes:
      - {name: init, cloudInitConfigDrive: {userData: "#cloud-config"}}
      - {name: tmp, emptyDisk: {capacity: 1Gi}}
"""
KEY = ObjectKey("VirtualMachine", "default", "web")


def wanted() -> ResolvedVm:
    vm = resolve(declared(VM), observed(), policy=POLICY, digest=digest).objects[KEY]
    assert isinstance(vm, ResolvedVm)
    return vm


def disk(target: str, spec: DiskSpec) -> FoundDisk:
    return FoundDisk(target=target, spec=spec, text=f"volume vms/{spec.name}", generated_for=KEY)


INIT = disk("vda", DiskSpec(name="init", source=SeedSource(digest="of what was")))
TMP = disk("vdb", DiskSpec(name="tmp", source=ScratchSource(capacity_bytes=0)))


def matched(*disks: FoundDisk) -> Matching:
    vm = wanted()
    live = LiveVm(key=KEY, fingerprint="", marks=None, stored=vm.domain, running=None, power=PowerState.OFF)
    found = FoundVm(name=vm.domain.name, uuid=vm.domain.uuid, live=live, disks=disks)
    return match(vm, {}, found, ())


def test_what_was_generated_for_the_vm_is_its_own_whatever_is_in_it() -> None:
    matching = matched(TMP, INIT)
    assert (matching.obstacles, matching.claims) == ((), ())
    assert matching.adoption.disks == {"vda": "init", "vdb": "tmp"}
    assert matching.adoption.claims == {}


@pytest.mark.parametrize(
    "other",
    [
        replace(INIT, generated_for=ObjectKey("VirtualMachine", "default", "db")),
        replace(INIT, spec=replace(INIT.spec, name="tmp")),
        replace(INIT, spec=replace(INIT.spec, name="config")),
        replace(INIT, spec=replace(INIT.spec, source=ScratchSource(capacity_bytes=0))),
    ],
)
def test_what_was_generated_for_something_else_is_in_the_way(other: FoundDisk) -> None:
    (obstacle,) = matched(TMP, other).obstacles
    assert "was generated for disk" in obstacle
    assert "has no such disk" in obstacle


def test_a_strangers_disc_and_an_empty_drive_are_not_taken_for_it() -> None:
    strangers = replace(INIT, spec=replace(INIT.spec, source=ForeignSource(text="file /x.iso")), generated_for=None)
    empty = FoundDisk(target="sda", spec=DiskSpec(name="init", source=NoMedia()))
    assert "is in no claim of" in matched(TMP, strangers).obstacles[0]
    assert "empty drive" in matched(TMP, empty).obstacles[0]
    assert "is in no claim of" in matched(TMP, INIT, strangers).obstacles[0]
