"""An existing domain, whoever made it, in gitvirt's terms: `Engine.survey`. Looks only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import libvirt

from nodeexec.libvirt import domain_xml
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.domains import DomainReading, Domains
from nodeexec.libvirt.errors import Fault, fault_of
from nodeexec.libvirt.fields_disks import generated_source, text_of
from nodeexec.libvirt.fields_interfaces import place_of
from nodeexec.libvirt.guest_agent import SILENT
from nodeexec.libvirt.image_chain import backing_of
from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks
from nodeexec.libvirt.naming import domain_name
from nodeexec.libvirt.observe_vms import VmReader
from nodeexec.libvirt.pools import Pool, Pools, PoolUnreadableError
from nodeexec.libvirt.safe_xml import Element, parse_xml
from nodeexec.libvirt.volume_files import VolumeError, read_volume
from nodeexec.libvirt.volume_marks import marked_vm
from nodeexec.libvirt.xml_place import find, find_all, read
from nodeexec.spec_verdicts import FOREIGN_NAME
from reconciler.model.adoption import Adoption, FoundDisk, FoundInterface, FoundVm
from reconciler.model.domain import DiskSpec, InterfaceSpec, NoMedia
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.policy import Policy

_MEDIA = ("disk", "cdrom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Reads domains by their own names."""

    connection: Connection
    domains: Domains
    pools: Pools
    vms: VmReader
    policy: Policy

    def of(self, name: str) -> FoundVm | None:
        """All about one domain; None when there is none of the name.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
            ValueError: its XML cannot be understood.
        """
        reading = self._read(name)
        if reading is None:
            return None
        xml = reading.stored_xml or reading.running_xml or ""
        root, parsed = parse_xml(xml), domain_xml.parse(xml)
        marks = reading.marks
        transient = (
            f"{name} has no stored configuration (it is transient): `virsh dumpxml {name}`, then `virsh define` it"
        )
        disks = zip(find_all(root, "devices/disk"), parsed.spec.disks, strict=True)
        nics = zip(find_all(root, "devices/interface"), parsed.spec.interfaces, strict=True)
        return FoundVm(
            name=name,
            uuid=parsed.spec.uuid,
            live=self._live(ObjectKey("VirtualMachine", "", name), reading, None),
            owner=marks.marks.owner if isinstance(marks, DomainMarks) else _owner_of(marks),
            autostart=bool(reading.stored_xml is not None and reading.handle.autostart()),
            disks=tuple(self._disk(element, spec) for element, spec in disks),
            interfaces=tuple(self._interface(element, spec) for element, spec in nics),
            obstacles=() if reading.stored_xml is not None else (transient,),
        )

    def adopted(self, adoption: Adoption) -> LiveVm | None:
        """A domain read as if it had been adopted so; None when it is gone.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
            ValueError: its XML cannot be understood.
        """
        reading = self._read(adoption.domain)
        return self._live(adoption.key, reading, adoption) if reading is not None else None

    def _read(self, name: str) -> DomainReading | None:
        handle = self.domains.find(name)
        return self.domains.read(handle) if handle is not None else None

    def _live(self, key: ObjectKey, reading: DomainReading, adoption: Adoption | None) -> LiveVm:
        live = self.vms.live(
            key, reading, addresses=lambda _: {}, agent=lambda _name, _connected: SILENT, adopted=adoption
        )
        return replace(live, kept=adoption.kept if adoption is not None else live.kept)

    def _disk(self, element: Element, spec: DiskSpec) -> FoundDisk:
        source = find(element, "source")
        target = read(element, "target@dev") or ""
        text = "" if isinstance(spec.source, NoMedia) or source is None else text_of(source)
        found = FoundDisk(target=target, spec=spec, text=text, format=read(element, "driver@type") or "raw")
        if (device := element.get("device", "disk")) not in _MEDIA:
            return replace(found, obstacle=f"it is a {device}, which gitvirt does not have")
        if source is None or not text:
            return found
        if next(element.iter("encryption"), None) is not None:
            return replace(found, obstacle="it is encrypted with a key that gitvirt does not have")
        try:
            return self._placed(found, source)
        except (PoolUnreadableError, VolumeError, OSError, ValueError) as error:
            return replace(found, obstacle=str(error))

    def _placed(self, found: FoundDisk, source: Element) -> FoundDisk:
        """The same with the pool and the volume that the source leads to.

        Raises:
            PoolUnreadableError, VolumeError, OSError, ValueError: it cannot be told.
        """
        pool, volume = self._pool_of(source)
        if pool is None:
            where = source.get("file")
            hint = (
                f"; a pool of its directory would do: `virsh pool-define-as NAME dir --target {Path(where).parent}`, "
                "`virsh pool-autostart NAME`, `virsh pool-start NAME`"
                if where
                else "; gitvirt works with files in directory pools"
            )
            return replace(found, obstacle=f"{found.text} lies in no storage pool{hint}")
        file = read_volume(pool, volume)
        if file is None:
            return replace(found, obstacle=f"{pool.target / volume} is not there")
        found = replace(found, pool=pool.name, volume=volume, size_bytes=file.size_bytes)
        if found.format == "qcow2":
            # The header is believed for its size only: the domain says that the file is a qcow2.
            found = replace(found, size_bytes=_virtual_size(file.path))
        if found.format not in ("qcow2", "raw"):
            return replace(found, obstacle=f"its format is {found.format}; convert it to qcow2 or raw")
        below = backing_of(file.path) if found.format == "qcow2" else None
        if below is not None:
            return replace(
                found,
                obstacle=f"it stands on {below} (a snapshot or a linked clone); merge it first: `virsh blockpull`",
            )
        marks = file.marks
        if isinstance(marks, DomainMarks) and marks.marks.owner != self.policy.owner:
            return replace(found, obstacle=f"{file.path} belongs to {marks.marks.owner!r}")
        return as_generated(found, marks, self.policy) if isinstance(marks, DomainMarks) else found

    def _pool_of(self, source: Element) -> tuple[Pool | None, str]:
        """The pool and the name in it that a disk's source leads to."""
        if source.get("volume"):
            return self.pools.read(source.get("pool", "")), source.get("volume", "")
        path = Path(source.get("file") or "/")
        for _, pool in self.pools.all():
            if isinstance(pool, Pool) and path.parent in (pool.target, pool.target.resolve()):
                return pool, path.name
        return None, ""

    def _interface(self, nic: Element, spec: InterfaceSpec) -> FoundInterface:
        place = place_of(nic)
        if not spec.network.startswith(FOREIGN_NAME):
            return FoundInterface(spec=spec, place=place)
        if find(nic, "virtualport") is not None or find(nic, "vlan") is not None:
            return FoundInterface(spec=spec, place=place, obstacle="VLANs and virtual ports are not supported yet")
        match nic.get("type"):
            case "bridge":
                return FoundInterface(spec=spec, place=place, bridge=read(nic, "source@bridge") or "")
            case "network":
                return self._on_network(spec, place, read(nic, "source@network") or "")
        return FoundInterface(
            spec=spec, place=place, obstacle=f"a NIC of type {nic.get('type')!r} is none that a manifest can say"
        )

    def _on_network(self, spec: InterfaceSpec, place: str, network: str) -> FoundInterface:
        """A libvirt network of somebody else: what counts is the bridge behind it."""
        try:
            root = parse_xml(self.connection.get().networkLookupByName(network).XMLDesc(0))
        except libvirt.libvirtError as error:
            if fault_of(error) is not Fault.NOT_FOUND:
                raise
            return FoundInterface(spec=spec, place=place, obstacle=f"libvirt has no network {network!r}")
        bridge = read(root, "bridge@name") or ""
        odd = "" if bridge and find(root, "virtualport") is None else f"network {network!r} is on no plain Linux bridge"
        return FoundInterface(spec=spec, place=place, bridge=bridge, obstacle=odd)


def as_generated(found: FoundDisk, marks: DomainMarks, policy: Policy) -> FoundDisk:
    """The same as what this owner generated for a VM, where the file's marks, its name and its pool all say that it is; anything
    else stays as it is.
    """
    vm = marked_vm(marks) if marks.marks.owner == policy.owner and found.pool == policy.default_pool else None
    source = generated_source(found.volume, domain_name(vm), {}) if vm is not None else None
    return replace(found, generated_for=vm, spec=replace(found.spec, source=source)) if source is not None else found


def _owner_of(marks: UnreadableMarks | None) -> str:
    return "" if marks is None else marks.owner or "somebody whose marks cannot be read"


def _virtual_size(path: Path) -> int:
    """What a qcow2 file says of its size, at byte 24 of its header."""
    with path.open("rb") as file:
        head = file.read(32)
    return int.from_bytes(head[24:32], "big") if head[:4] == b"QFI\xfb" else path.stat().st_size
