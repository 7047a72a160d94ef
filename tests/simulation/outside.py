"""What is on the host besides gitvirt's own: strangers' things with tempting names, and hands that meddle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from nodeexec.simulated.host import Host
from nodeexec.simulated.state import HostDomain, HostNetwork, HostTrash, HostVolume, claim_place
from reconciler.model.domain import ClaimSource, CpuSpec, DiskSpec, DomainSpec, InterfaceSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks, TrashItem
from reconciler.model.power import PowerState
from reconciler.model.resolved import NetworkSpec, SourceKind, VolumeSource
from tests.simulation.fleet import CLAIM, NAMESPACE, VM, key

OTHER = "other"
"""Another owner on the same host."""
MIB = 1 << 20
_NIC = InterfaceSpec(name="foreign:52:54:00:00:00:99", network="foreign:network default", mac="52:54:00:00:00:99")


def populate(host: Host, owner: str) -> None:
    """Put strangers' things on the host: some stand where histories want to put theirs, some look like what they left."""
    others = Marks(owner=OTHER, host=host.name, revision="r", applied={})
    elsewhere = Marks(owner=owner, host="elsewhere", revision="r", applied={})
    for number, (name, marks) in enumerate(
        (
            ("billing", None),
            (f"{NAMESPACE}_new3", None),
            (f"{NAMESPACE}_vm1x", others),
            (f"{NAMESPACE}_vm2x", elsewhere),
        )
    ):
        host.put_domain(_domain(name, number, marks))
    host.power_on(ObjectKey(VM, NAMESPACE, "new3"))
    for name, marks, kind in (
        (f"{NAMESPACE}_new4-root.qcow2", None, ""),
        (f"{NAMESPACE}_vm1-data2.qcow2", others, CLAIM),
        (f"{NAMESPACE}_old.qcow2", elsewhere, CLAIM),
        ("billing.qcow2", None, ""),
    ):
        host.put_volume(_volume(name, marks, kind))
    for name, marks in (
        (f"{NAMESPACE}_vm0.seed.0123456789ab.iso", others),
        (f"{NAMESPACE}_vm9.seed.0123456789ab.iso", elsewhere),
    ):
        host.put_volume(replace(_volume(name, marks, ""), attached_to=key(VM, name.split(".")[0].split("_")[1])))
    for name in ("default", f"{NAMESPACE}_extra", f"{NAMESPACE}_back2"):
        spec = NetworkSpec(bridge=f"br-{name}")
        host.put_network(HostNetwork(name=name, kind="", stored=spec, running=spec))
    host.put_trash(_trash_of_another(host))


def _domain(name: str, number: int, marks: Marks | None) -> HostDomain:
    source = ClaimSource(namespace="", claim="billing", pool="default", format="qcow2")
    spec = DomainSpec(
        name=name,
        uuid=f"0c0ffee0-0000-4000-8000-00000000000{number}",
        serial="",
        cpu=CpuSpec(),
        memory_mib=64,
        disks=(DiskSpec(name="root", source=source),) if number == 0 else (),
    )
    return HostDomain(name=name, stored=spec, marks=marks)


def _volume(name: str, marks: Marks | None, kind: str) -> HostVolume:
    return HostVolume(
        pool="default",
        name=name,
        kind=kind,
        format="raw" if name.endswith(".iso") else "qcow2",
        size_bytes=16 * MIB,
        content="" if name.endswith(".iso") else f"foreign {name}",
        marks=marks,
    )


def _trash_of_another(host: Host) -> HostTrash:
    """A disk that would fit a claim of ours, and is newer than any."""
    item = TrashItem(
        item="20991231T000000Z_PersistentVolumeClaim_lab_vm1-root",
        key=key(CLAIM, "vm1-root"),
        owner=OTHER,
        trashed_at=host.clock.now(),
        pool="default",
        size_bytes=16 * MIB,
        source=VolumeSource(kind=SourceKind.BLANK),
    )
    return HostTrash(item=item, volume=replace(_volume(f"{NAMESPACE}_vm1-root.qcow2", None, CLAIM), content="theirs"))


def is_foreign_network(name: str) -> bool:
    """Whether a NIC is one that `meddle` put there."""
    return name == _NIC.name


def meddle(host: Host, how: str, name: str) -> None:
    """Something is done by hand, or by a guest."""
    _HANDS[how](host, key(VM, name), name)


def _edit_memory(host: Host, vm: ObjectKey, _name: str) -> None:
    host.edit_stored(vm, lambda spec: replace(spec, memory_mib=spec.memory_mib + 1))


def _add_nic(host: Host, vm: ObjectKey, _name: str) -> None:
    def edit(spec: DomainSpec) -> DomainSpec:
        others = tuple(nic for nic in spec.interfaces if nic.name != _NIC.name)
        return replace(spec, interfaces=(*others, _NIC))

    host.edit_stored(vm, edit)


def _power_on(host: Host, vm: ObjectKey, _name: str) -> None:
    """The hypervisor does not open a disk twice, whoever asks."""
    domain = host.state.domains.get(f"{vm.namespace}_{vm.name}")
    disks = domain.stored.disks if domain is not None and domain.stored is not None else ()
    wanted = {claim_place(disk.source) for disk in disks if isinstance(disk.source, ClaimSource)}
    open_ones = {
        claim_place(disk.source)
        for other in host.state.domains.values()
        for disk in (other.running.disks if other.running is not None else ())
        if isinstance(disk.source, ClaimSource)
    }
    if wanted <= host.state.volumes.keys() - open_ones:
        host.power_on(vm)


_HANDS: Mapping[str, Callable[[Host, ObjectKey, str], None]] = {
    "memory": _edit_memory,
    "nic": _add_nic,
    "undefine": lambda host, vm, _name: host.undefine_domain(vm),
    "pause": lambda host, vm, _name: host.pause_guest(vm),
    "io-error": lambda host, vm, _name: host.pause_guest(vm),
    "unpause": lambda host, vm, _name: host.resume_guest(vm),
    "panic": lambda host, vm, _name: host.panic_guest(vm),
    "power-on": _power_on,
    "stop-network": lambda host, _vm, name: host.stop_network(name),
}


def is_paused(host: Host, name: str) -> bool:
    """Whether the guest of a domain stands still."""
    domain = host.state.domains.get(name)
    return domain is not None and domain.power is PowerState.PAUSED
