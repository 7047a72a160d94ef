"""Wanted against live: what differs, in which half, at what cost, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nodeexec.spec_difference import compare
from reconciler.model.document import Document
from reconciler.model.domain import (
    Binding,
    ClaimSource,
    CpuSpec,
    DiskSpec,
    DomainSpec,
    ForeignSource,
    InterfaceSpec,
    NoMedia,
    ScratchSource,
    SeedSource,
)
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import LiveNetwork, LiveVm, LiveVolume, Marks
from reconciler.model.plan import Difference, Impact
from reconciler.model.power import PowerState, RunStrategy
from reconciler.model.resolved import (
    NetworkSpec,
    ResolvedNetwork,
    ResolvedVm,
    ResolvedVolume,
    RestartPolicy,
    SourceKind,
    VolumeSource,
)

VM = ObjectKey("VirtualMachine", "default", "web")
DEVICES = "spec.template.spec.domain.devices"
ROOT = ClaimSource(namespace="default", claim="root", pool="default", format="qcow2")
SPEC = DomainSpec(
    name="default_web",
    uuid="u",
    serial="s",
    cpu=CpuSpec(sockets=2, max_sockets=4),
    memory_mib=4096,
    disks=(
        DiskSpec(name="root", source=ROOT),
        DiskSpec(name="init", source=SeedSource(digest="a" * 12), binding=Binding.CDROM, bus="sata"),
        DiskSpec(name="tmp", source=ScratchSource(capacity_bytes=1 << 30)),
    ),
    interfaces=(InterfaceSpec(name="default", network="PodNetwork/pod", mac="02:00:00:00:00:01"),),
)


def document(key: ObjectKey) -> Document:
    return Document(key=key, api_version="", body={}, digest="", file="vm.yaml")


def wanted(spec: DomainSpec = SPEC, applied: dict[str, Any] | None = None) -> ResolvedVm:
    return ResolvedVm(
        key=VM,
        document=document(VM),
        applied=applied or {},
        domain=spec,
        run_strategy=RunStrategy.ALWAYS,
        restart_policy=RestartPolicy.MANUAL,
        grace_period_s=30,
    )


def live(stored: DomainSpec | None = SPEC, running: DomainSpec | None = SPEC, **more: Any) -> LiveVm:
    marks = Marks(owner="gitvirt", host="h", revision="r", applied={})
    return LiveVm(**{"key": VM, "fingerprint": "f", "marks": marks, "stored": stored, "running": running,
                     "power": PowerState.RUNNING if running else PowerState.OFF, **more})  # fmt: skip


def one(found: tuple[Difference, ...]) -> Difference:
    assert len(found) == 1, [difference.path for difference in found]
    return found[0]


def change_disk(name: str, **changes: Any) -> DomainSpec:
    return replace(SPEC, disks=tuple(replace(d, **changes) if d.name == name else d for d in SPEC.disks))


def change_nic(**changes: Any) -> DomainSpec:
    return replace(SPEC, interfaces=(replace(SPEC.interfaces[0], **changes),))


def test_what_is_as_wanted_shows_nothing() -> None:
    assert compare(wanted(), live()) == ()
    assert compare(wanted(), live(running=None)) == ()


CLAIM_B = replace(ROOT, claim="other")
CHANGES: dict[str, tuple[DomainSpec, str, Impact, str]] = {
    "memory": (replace(SPEC, memory_mib=8192), "spec.template.spec.domain.memory.guest", Impact.RESTART, ""),
    "more cpus": (replace(SPEC, cpu=CpuSpec(sockets=3, max_sockets=4)), "spec.template.spec.domain.cpu.sockets", Impact.LIVE, ""),
    "fewer cpus": (replace(SPEC, cpu=CpuSpec(sockets=1, max_sockets=4)), "spec.template.spec.domain.cpu.sockets", Impact.RESTART, ""),
    "uuid": (replace(SPEC, uuid="v"), "spec.template.spec.domain.firmware.uuid", Impact.RESTART, ""),
    "rng": (replace(SPEC, rng=True), f"{DEVICES}.rng", Impact.RESTART, ""),
    "link": (change_nic(link_up=False), f"{DEVICES}.interfaces[default].state", Impact.LIVE, ""),
    "network": (change_nic(network="lab/a"), "spec.template.spec.networks[default]", Impact.LIVE, ""),
    "model": (change_nic(model="e1000e"), f"{DEVICES}.interfaces[default].model", Impact.RESTART, ""),
    "mac": (change_nic(mac="02:00:00:00:00:02"), f"{DEVICES}.interfaces[default].macAddress", Impact.RESTART, ""),
    "seed": (change_disk("init", source=SeedSource(digest="b" * 12)), "spec.template.spec.volumes[init]", Impact.RESTART, ""),
    "media": (change_disk("init", source=NoMedia()), "spec.template.spec.volumes[init]", Impact.LIVE, ""),
    "disk exchanged": (change_disk("root", source=CLAIM_B), "spec.template.spec.volumes[root]", Impact.RESTART, ""),
    "scratch": (change_disk("tmp", source=ScratchSource(capacity_bytes=2 << 30)), "spec.template.spec.volumes[tmp]", Impact.NONE, "size from its creation"),
    "boot order": (change_disk("root", boot_order=2), f"{DEVICES}.disks[root].bootOrder", Impact.RESTART, ""),
    "bus": (change_disk("root", bus="scsi"), f"{DEVICES}.disks[root].disk.bus", Impact.RESTART, ""),
    "nic added": (replace(SPEC, interfaces=(*SPEC.interfaces, InterfaceSpec(name="b", network="lab/b", mac="02:00:00:00:00:09"))), f"{DEVICES}.interfaces[b]", Impact.LIVE, ""),
    "nic removed": (replace(SPEC, interfaces=()), f"{DEVICES}.interfaces[default]", Impact.LIVE, ""),
    "disk added": (replace(SPEC, disks=(*SPEC.disks, DiskSpec(name="d", source=CLAIM_B))), f"{DEVICES}.disks[d]", Impact.LIVE, ""),
    "sata disk added": (replace(SPEC, disks=(*SPEC.disks, DiskSpec(name="d", source=CLAIM_B, bus="sata"))), f"{DEVICES}.disks[d]", Impact.RESTART, ""),
    "disk removed": (replace(SPEC, disks=SPEC.disks[:2]), f"{DEVICES}.disks[tmp]", Impact.LIVE, ""),
    "drive removed": (replace(SPEC, disks=(SPEC.disks[0], SPEC.disks[2])), f"{DEVICES}.disks[init]", Impact.RESTART, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_in_git_has_its_path_and_its_price(name: str) -> None:
    spec, path, impact, refused = CHANGES[name]
    difference = one(compare(wanted(spec), live()))
    assert (difference.path, difference.impact) == (path, impact)
    assert (difference.stored, difference.running) == (True, True)
    assert refused in difference.refused
    assert bool(refused) == bool(difference.refused)
    assert difference.reason


@pytest.mark.parametrize("name", [name for name in CHANGES if not CHANGES[name][3]])
def test_it_costs_nothing_where_only_the_stored_half_is_off(name: str) -> None:
    spec = CHANGES[name][0]
    difference = one(compare(wanted(spec), live(running=spec)))
    assert (difference.impact, difference.stored, difference.running) == (Impact.NONE, True, False)
    difference = one(compare(wanted(spec), live(running=None)))
    assert (difference.impact, difference.stored, difference.running) == (Impact.NONE, True, False)


@pytest.mark.parametrize("name", [name for name in CHANGES if not CHANGES[name][3]])
def test_it_waits_where_only_the_running_half_is_off(name: str) -> None:
    spec, path, impact, _ = CHANGES[name]
    difference = one(compare(wanted(spec), live(stored=spec)))
    assert (difference.path, difference.impact) == (path, impact)
    assert (difference.stored, difference.running) == (False, True)


def test_values_read_as_a_manifest_would_say_them() -> None:
    memory = one(compare(wanted(replace(SPEC, memory_mib=8192)), live()))
    assert (memory.before, memory.after) == ("4Gi", "8Gi")
    nic = one(compare(wanted(replace(SPEC, interfaces=())), live()))
    assert nic.after is None
    assert nic.before == {"network": "PodNetwork/pod", "macAddress": "02:00:00:00:00:01", "model": "virtio"}


def test_the_path_is_the_one_that_the_manifest_used() -> None:
    path = "spec.template.spec.domain.resources.requests.memory"
    spec = replace(SPEC, memory_mib=8192, origins={"memory_mib": path, "cpu": "spec.template.spec.domain.cpu"})
    assert one(compare(wanted(spec), live())).path == path
    limits = "spec.template.spec.domain.resources.limits.cpu"
    spec = replace(SPEC, cpu=CpuSpec(sockets=3, max_sockets=4), origins={"cpu": limits})
    assert one(compare(wanted(spec), live())).path == limits


def test_growth_beyond_what_the_guest_was_started_with_waits() -> None:
    spec = replace(SPEC, cpu=CpuSpec(sockets=8, max_sockets=8))
    found = compare(wanted(spec), live())
    assert {difference.impact for difference in found} == {Impact.RESTART}


def test_vcpus_set_by_hand_to_no_whole_socket_grow_back_live() -> None:
    by_hand = replace(SPEC, cpu=CpuSpec(sockets=1, cores=1, max_sockets=8))
    spec = replace(SPEC, cpu=CpuSpec(sockets=1, cores=2, max_sockets=4))
    impacts = {d.impact for d in compare(wanted(spec), live(stored=spec, running=by_hand)) if d.running}
    assert impacts == {Impact.LIVE}


def test_a_machine_family_is_every_version_of_it() -> None:
    for version, differs in (("pc-q35-7.2", False), ("pc-i440fx-7.2", True)):
        found = compare(wanted(), live(stored=replace(SPEC, machine=version), running=replace(SPEC, machine=version)))
        assert bool(found) is differs


def test_order_of_devices_is_no_difference() -> None:
    turned = replace(SPEC, disks=SPEC.disks[::-1])
    assert compare(wanted(), live(turned, turned)) == ()


def test_a_claim_stays_in_its_pool() -> None:
    moved = change_disk("root", source=replace(ROOT, pool="fast", format="raw"))
    assert compare(wanted(moved), live()) == ()


def test_a_hand_added_nic_goes_and_a_hand_added_disk_is_held() -> None:
    nic = InterfaceSpec(name="foreign:52:54:00:00:00:01", network="PodNetwork/pod", mac="52:54:00:00:00:01")
    disk = DiskSpec(name="foreign:vdz", source=ForeignSource(text="file /x.img"))
    by_hand = replace(SPEC, interfaces=(*SPEC.interfaces, nic), disks=(*SPEC.disks, disk))
    held, gone = compare(wanted(), live(running=by_hand))
    assert (held.path, held.after) == (f"{DEVICES}.disks[foreign:vdz]", None)
    assert "never pulled from a running guest" in held.refused
    assert (gone.path, gone.after, gone.impact, gone.refused) == (
        f"{DEVICES}.interfaces[foreign:52:54:00:00:00:01]", None, Impact.LIVE, "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("backing", "refused"),
    [
        (("file /pool/default_root.qcow2",), True),
        (("unknown",), True),
        (("file /pool/else.qcow2",), False),
        ((), False),
    ],
)
def test_an_overlay_is_never_re_pointed(backing: tuple[str, ...], refused: bool) -> None:
    off = change_disk("root", source=ForeignSource(text="file /snap.qcow2"), backing=backing)
    difference = one(compare(wanted(), live(stored=off, running=off)))
    assert bool(difference.refused) is refused


def test_a_disk_under_a_block_job_is_left_alone() -> None:
    off = change_disk("root", source=CLAIM_B)
    difference = one(compare(wanted(), live(stored=off, running=off, disk_jobs=("root",))))
    assert "block job" in difference.refused


def test_what_no_manifest_can_say_is_taken_out() -> None:
    device = ("devices/hostdev", "a hand-made <hostdev>")
    stored = one(compare(wanted(), live(foreign_stored=(device,))))
    assert (stored.path, stored.after, stored.impact) == ("xml:devices/hostdev", None, Impact.NONE)
    running = one(compare(wanted(), live(foreign_running=(device,))))
    assert (running.impact, running.stored) == (Impact.RESTART, False)


def test_a_balloon_blown_up_by_hand_is_let_out_live() -> None:
    difference = one(compare(wanted(), live(foreign_running=(("currentMemory", str(2 << 20)),))))
    assert (difference.path, difference.before, difference.after, difference.impact) == (
        "spec.template.spec.domain.memory.guest", "2Gi", "4Gi", Impact.LIVE,
    )  # fmt: skip


def test_a_domain_without_stored_configuration_is_written_again() -> None:
    difference = one(compare(wanted(), live(stored=None)))
    assert (difference.stored, difference.running, difference.impact) == (True, False, Impact.NONE)


def _applied(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}}


def _remembering(applied: dict[str, Any] | None, **more: Any) -> LiveVm:
    return live(marks=Marks(owner="gitvirt", host="h", revision="r", applied=applied), **more)


def test_a_leaf_that_nothing_depends_on_is_recorded_only() -> None:
    difference = one(compare(wanted(applied=_applied(hostname="b")), _remembering(_applied(hostname="a"))))
    assert (difference.path, difference.before, difference.after, difference.impact, difference.running) == (
        "spec.template.spec.hostname", "a", "b", Impact.NONE, False,
    )  # fmt: skip
    removed = one(compare(wanted(applied=_applied(a="1")), _remembering(_applied(a="1", hostname="a"))))
    assert (removed.path, removed.after) == ("spec.template.spec.hostname", None)


def test_a_leaf_that_a_field_explains_is_said_once() -> None:
    before, after = _applied(domain={"memory": {"guest": "4Gi"}}), _applied(domain={"memory": {"guest": "8Gi"}})
    bigger = replace(SPEC, memory_mib=8192)
    assert one(compare(wanted(bigger, after), _remembering(before))).impact is Impact.RESTART
    listed = {"networks": [{"name": "b", "pod": {}}], "domain": {"devices": {"interfaces": [{"name": "b"}]}}}
    more = replace(
        SPEC, interfaces=(*SPEC.interfaces, InterfaceSpec(name="b", network="lab/b", mac="02:00:00:00:00:09"))
    )
    assert one(compare(wanted(more, _applied(**listed)), _remembering(_applied()))).path == f"{DEVICES}.interfaces[b]"


def test_an_unknown_applied_document_is_no_drift() -> None:
    assert compare(wanted(applied=_applied(hostname="b")), _remembering(None)) == ()


CLAIM = ObjectKey("PersistentVolumeClaim", "default", "data")
GIB = 1 << 30


def volume(**changes: Any) -> ResolvedVolume:
    plain = ResolvedVolume(
        key=CLAIM,
        document=document(CLAIM),
        applied={},
        pool="default",
        storage_class="",
        format="qcow2",
        size_bytes=4 * GIB,
        size_path="spec.resources.requests.storage",
        source=VolumeSource(kind=SourceKind.BLANK),
    )
    return replace(plain, **changes)


def live_volume(**changes: Any) -> LiveVolume:
    plain = LiveVolume(
        key=CLAIM,
        fingerprint="f",
        marks=Marks(owner="gitvirt", host="h", revision="r", applied={}),
        pool="default",
        volume="default_data.qcow2",
        format="qcow2",
        size_bytes=4 * GIB,
        source=VolumeSource(kind=SourceKind.BLANK),
    )
    return replace(plain, **changes)


def test_a_volume_grows_live_and_never_shrinks() -> None:
    grown = one(compare(volume(size_bytes=40 * GIB), live_volume()))
    assert (grown.path, grown.before, grown.after, grown.impact) == (
        "spec.resources.requests.storage", "4Gi", "40Gi", Impact.LIVE,
    )  # fmt: skip
    assert compare(volume(size_bytes=1 * GIB), live_volume()) == ()
    assert compare(volume(size_bytes=40 * GIB), live_volume(phase="ImportInProgress")) == ()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"storage_class": "fast", "pool": "fast"}, "spec.storageClassName"),
        ({"pool": "fast"}, "spec.storageClassName"),
        ({"format": "raw"}, "spec.volumeMode"),
        ({"source": VolumeSource(kind=SourceKind.HTTP, url="http://x/y")}, "spec.dataSource"),
    ],
)
def test_what_was_settled_at_creation_is_refused(changes: dict[str, Any], path: str) -> None:
    difference = one(compare(volume(**changes), live_volume()))
    assert difference.path == path
    assert difference.refused
    assert difference.impact is Impact.NONE


def test_a_smaller_request_is_recorded() -> None:
    def applied(size: str) -> dict[str, Any]:
        return {"spec": {"resources": {"requests": {"storage": size}}}}

    marks = Marks(owner="gitvirt", host="h", revision="r", applied=applied("4Gi"))
    difference = one(compare(volume(size_bytes=GIB, applied=applied("1Gi")), live_volume(marks=marks)))
    assert (difference.impact, difference.before, difference.after) == (Impact.NONE, "4Gi", "1Gi")


NAD = ObjectKey("NetworkAttachmentDefinition", "default", "lab")


def networks(key: ObjectKey, spec: NetworkSpec, **changes: Any) -> tuple[ResolvedNetwork, LiveNetwork]:
    marks = Marks(owner="gitvirt", host="h", revision="r", applied={})
    found = LiveNetwork(key=key, fingerprint="f", marks=marks, network=NetworkSpec(), active=True)
    return ResolvedNetwork(key=key, document=None, applied={}, network=spec), replace(found, **changes)


def test_a_network_is_made_anew_and_costs_what_is_plugged_in() -> None:
    spec = NetworkSpec(address="10.0.0.1/24")
    free = one(compare(*networks(NAD, spec)))
    assert (free.path, free.impact) == ("spec.config.ipam.subnet", Impact.LIVE)
    assert one(compare(*networks(NAD, spec, used_by=(VM,)))).impact is Impact.REPLACE
    assert one(compare(*networks(POD_NETWORK, spec))).path == "settings.podNetwork.address"


def test_a_stopped_network_is_started() -> None:
    difference = one(compare(*networks(NAD, NetworkSpec(), active=False)))
    assert (difference.path, difference.after, difference.impact) == ("status.active", True, Impact.LIVE)


def test_a_bridge_of_the_host_is_only_named() -> None:
    spec = NetworkSpec(bridge="br0", host_bridge=True, mtu=9000)
    assert compare(*networks(NAD, spec, network=NetworkSpec(bridge="br0", host_bridge=True))) == ()


@pytest.mark.parametrize("make", [live_volume, lambda: networks(NAD, NetworkSpec())[1]])
def test_two_kinds_are_not_compared(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        compare(wanted(), make())
