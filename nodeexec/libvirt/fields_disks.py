"""Rows for disks: one ``<disk>`` an item.

*Source*: libvirt's "Domain XML format": Hard drives, floppy disks, CDROMs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodeexec.libvirt.codecs import NUMBER, PRESENT, TEXT, choice
from nodeexec.libvirt.naming import (
    FOREIGN,
    DeviceKind,
    alias_of,
    claim_of_volume,
    scratch_of_volume,
    scratch_volume_name,
    seed_of_volume,
    seed_volume_name,
    volume_name,
)
from nodeexec.libvirt.safe_xml import Element
from nodeexec.libvirt.table import Devices, Joint, Reading, Row, Writing
from nodeexec.libvirt.xml_place import add, ensure, find
from nodeexec.spec_verdicts import UNKNOWN_CHAIN
from reconciler.model.domain import (
    Binding,
    ClaimSource,
    DiskSource,
    DiskSpec,
    ForeignSource,
    NoMedia,
    ScratchSource,
    SeedSource,
)

TARGET_PREFIX = {"virtio": "vd", "sata": "sd", "scsi": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}


def read_source(disk: Element, reading: Reading) -> Mapping[str, Any]:
    """What the bytes are, by the volume's name; and what lies below an overlay that gitvirt did not make."""
    source, chain = _source_of(disk, reading), tuple(_below(text, reading) for text in _chain(disk))
    if isinstance(source, ForeignSource) and find(disk, "backingStore") is None:
        chain = (UNKNOWN_CHAIN,)
    return {"source": source, "backing": chain}


def _source_of(disk: Element, reading: Reading) -> DiskSource:
    source = find(disk, "source")
    if source is None or not any(source.get(name) for name in ("file", "volume", "dev", "dir", "name", "protocol")):
        return NoMedia()
    claimed = reading.adopted.claims.get(text_of(source)) if reading.adopted is not None else None
    if claimed is not None:
        return claimed
    volume, pool = source.get("volume"), source.get("pool", "")
    if disk.get("type") != "volume" or not volume:
        return ForeignSource(text=text_of(source))
    generated = generated_source(volume, reading.domain, reading.kept)
    if generated is not None:
        return generated
    claim = claim_of_volume(volume)
    if claim is not None:
        secret = find(source, "encryption/secret")
        passphrase = secret.get("uuid", "") if secret is not None else ""
        return ClaimSource(namespace=claim[0], claim=claim[1], pool=pool, format=claim[2], passphrase=passphrase)
    return ForeignSource(text=f"volume {pool}/{volume}")


def generated_source(volume: str, domain: str, kept: Mapping[str, Any]) -> SeedSource | ScratchSource | None:
    """What a volume is that was generated for the VM of a domain's usual name, by its own name; None for any other. ``kept``
    is what was kept beside the XML.
    """
    scratch = scratch_of_volume(volume)
    if scratch is not None and scratch[0] == domain:
        return ScratchSource(capacity_bytes=int((kept.get("scratch") or {}).get(scratch[1], 0)))
    seed = seed_of_volume(volume)
    return SeedSource(digest=seed[2]) if seed is not None and seed[0] == domain else None


def _below(text: str, reading: Reading) -> str:
    """What lies below an overlay, with an adopted claim under the name that any other claim's volume would have."""
    claim = reading.adopted.claims.get(text) if reading.adopted is not None else None
    return volume_name(claim.namespace, claim.claim, claim.format) if claim is not None else text


def text_of(source: Element) -> str:
    """A source in words: ``file /x.img``, ``volume pool/name``, ``dev /dev/sda``, ``nbd name``."""
    if source.get("volume"):
        return f"volume {source.get('pool', '')}/{source.get('volume')}"
    for attribute in ("file", "dev", "dir"):
        if source.get(attribute):
            return f"{attribute} {source.get(attribute)}"
    return f"{source.get('protocol', 'network')} {source.get('name', '')}".strip()


def _chain(disk: Element) -> Iterator[str]:
    """Sources below the disk's own, nearest first."""
    below = find(disk, "backingStore")
    while below is not None:
        source = find(below, "source")
        if source is not None:
            yield text_of(source)
        below = find(below, "backingStore")


def write_source(element: Element, disk: DiskSpec, writing: Writing) -> None:
    """A claim stays where its volume is, wherever new ones would go."""
    place = source_volume(disk, writing)
    element.set("type", "volume" if place else "file")
    driver = ensure(element, "driver")
    driver.set("name", "qemu")
    if place is None:
        driver.set("type", "raw")
        return
    pool, volume, format = place
    driver.set("type", format)
    if isinstance(disk.source, ClaimSource | ScratchSource) and disk.binding is Binding.DISK:
        driver.set("discard", "unmap")
    source = add(element, "source", pool=pool, volume=volume)
    if isinstance(disk.source, ClaimSource) and disk.source.passphrase:
        encryption = add(source, "encryption", format="luks")
        add(encryption, "secret", type="passphrase", uuid=disk.source.passphrase)


def source_volume(disk: DiskSpec, writing: Writing) -> tuple[str, str, str] | None:
    """(pool, volume, format) behind a disk, None without media.

    Raises:
        ValueError: the source is foreign, which is only ever read and never built.
    """
    match disk.source:
        case ClaimSource(namespace=namespace, claim=claim, pool=pool, format=format):
            kept = writing.carried.sources.get(alias_of(DeviceKind.DISK, disk.name))
            known = claim_of_volume(kept[1]) if kept else None
            if kept and known and known[:2] == (namespace, claim):
                return kept[0], kept[1], known[2]
            return pool, volume_name(namespace, claim, format), format
        case SeedSource(digest=digest):
            return writing.host.seed_pool, seed_volume_name(writing.spec.name, disk.name, digest), "raw"
        case ScratchSource():
            return writing.host.seed_pool, scratch_volume_name(writing.spec.name, disk.name), "qcow2"
        case NoMedia():
            return None
        case ForeignSource(text=text):
            raise ValueError(f"disk {disk.name!r} has a foreign source ({text}) and cannot be built")


def read_only_state(disk: Element, _reading: Reading) -> Mapping[str, Any]:
    """A CD-ROM is read-only by nature."""
    return {"read_only": find(disk, "readonly") is not None}


def write_only_state(element: Element, disk: DiskSpec, _writing: Writing) -> None:
    """Generated ISOs are never written, however they are shown to the guest."""
    if disk.read_only or disk.binding is Binding.CDROM or isinstance(disk.source, SeedSource):
        add(element, "readonly")


def read_block_size(disk: Element, _reading: Reading) -> Mapping[str, Any]:
    """The logical size speaks."""
    element = find(disk, "blockio")
    return {"block_size": int(element.get("logical_block_size", "0")) if element is not None else 0}


def write_block_size(element: Element, disk: DiskSpec, _writing: Writing) -> None:
    """Logical and physical size are one."""
    if disk.block_size:
        size = str(disk.block_size)
        add(element, "blockio", logical_block_size=size, physical_block_size=size)


def read_thread(disk: Element, _reading: Reading) -> Mapping[str, Any]:
    """A disk with an I/O thread has one to itself, as far as there are enough."""
    driver = find(disk, "driver")
    return {"dedicated_io_thread": driver is not None and driver.get("iothread") is not None}


def write_thread(element: Element, disk: DiskSpec, writing: Writing) -> None:
    """Threads are dealt out in the order of the disks."""
    if disk.dedicated_io_thread and writing.spec.io_threads:
        dedicated = [other.name for other in writing.spec.disks if other.dedicated_io_thread]
        turn = dedicated.index(disk.name) if disk.name in dedicated else len(dedicated)
        ensure(element, "driver").set("iothread", str(turn % writing.spec.io_threads + 1))


def foreign_disk_name(disk: Element) -> str:
    """``foreign:vdb`` for a disk without gitvirt's alias."""
    target = find(disk, "target")
    return f"{FOREIGN}{target.get('dev', '') if target is not None else ''}"


DISKS = Devices(
    list_field="disks",
    kind=DeviceKind.DISK,
    element="disk",
    item=DiskSpec,
    foreign_key=foreign_disk_name,
    rows=(
        Row(
            field="binding",
            places=("@device",),
            codec=choice({Binding.DISK: "disk", Binding.CDROM: "cdrom", Binding.LUN: "lun"}, Binding.DISK),
        ),
        Joint(fields=("source", "backing"), read=read_source, write=write_source, knows=("source", "driver")),
        Row(field="cache", places=("driver@cache",), codec=TEXT),
        Row(field="io", places=("driver@io",), codec=TEXT),
        Row(field="error_policy", places=("driver@error_policy",), codec=TEXT),
        Joint(fields=("dedicated_io_thread",), read=read_thread, write=write_thread, knows=("driver",)),
        Row(field="bus", places=("target@bus",), codec=TEXT),
        Joint(fields=("block_size",), read=read_block_size, write=write_block_size, knows=("blockio",)),
        Joint(fields=("read_only",), read=read_only_state, write=write_only_state, knows=("readonly",)),
        Row(field="shareable", places=("shareable",), codec=PRESENT),
        Row(field="serial", places=("serial",), codec=TEXT),
        Row(field="boot_order", places=("boot@order",), codec=NUMBER),
    ),
    knows=("alias", "address", "backingStore", "mirror", "backenddomain"),
)
