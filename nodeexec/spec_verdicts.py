"""What a change of a VM costs: verdicts (impact, reason, means), and when two values mean the same.

Pure functions of the owner before and after: a `DomainSpec` for fields of the VM, a `DiskSpec` or `InterfaceSpec` for
those of a device. They hold for every engine that can change a running guest in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.model.domain import (
    Binding,
    ClaimSource,
    DiskSource,
    DiskSpec,
    DomainSpec,
    ForeignSource,
    InterfaceSpec,
    NoMedia,
    ScratchSource,
    SeedSource,
)
from reconciler.model.plan import Impact
from reconciler.model.quantity import format_bytes

FOREIGN_NAME = "foreign:"
"""Begins the name of a device that gitvirt did not put there, and the network of a NIC plugged in elsewhere."""

UNKNOWN_CHAIN = "unknown"
"""In `DiskSpec.backing` of a foreign source: what lies below it cannot be told from here."""

DEFAULT_VIDEO = "vga"
"""The video card of a VM that has a display and says no more."""


HOT_BUSES = frozenset({"virtio", "scsi"})


class LiveMeans(StrEnum):
    """How a change can be made on the running guest."""

    NONE = "none"
    ATTACH = "attach"
    DETACH = "detach"
    UPDATE_DEVICE = "update-device"
    CHANGE_MEDIA = "change-media"
    SET_VCPUS = "set-vcpus"
    SET_MEMORY = "set-memory"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one change costs, why, and how it is made live. ``refused`` is why gitvirt will not make it at all."""

    impact: Impact
    reason: str
    means: LiveMeans = LiveMeans.NONE
    refused: str = ""


VerdictOf = Callable[[Any, Any], Verdict]


def at_restart(reason: str) -> VerdictOf:
    """A change that needs the guest to be started anew, always."""
    verdict = Verdict(Impact.RESTART, reason)
    return lambda _before, _after: verdict


def in_place(reason: str, means: LiveMeans) -> VerdictOf:
    """A change that the running guest takes, always."""
    verdict = Verdict(Impact.LIVE, reason, means)
    return lambda _before, _after: verdict


def max_vcpus(spec: DomainSpec) -> int:
    """vCPUs the guest can have at most without a restart."""
    return spec.cpu.max_sockets * spec.cpu.cores * spec.cpu.threads


def cpu_verdict(before: DomainSpec, after: DomainSpec) -> Verdict:
    """Growth within what the guest was started with is live; everything else waits for a restart."""
    if after.cpu.count < before.cpu.count:
        return Verdict(Impact.RESTART, "vCPUs are only taken away at a restart")
    if after.cpu.count == before.cpu.count:
        return Verdict(Impact.RESTART, "the guest reads its CPU topology when it starts")
    if after.cpu.count > max_vcpus(before):
        return Verdict(Impact.RESTART, f"the guest was started with room for {max_vcpus(before)} vCPUs")
    odd = before.cpu.cores == before.cpu.threads == 1
    if not odd and (before.cpu.cores, before.cpu.threads) != (after.cpu.cores, after.cpu.threads):
        return Verdict(Impact.RESTART, "the guest reads its CPU topology when it starts")
    return Verdict(Impact.LIVE, "vCPUs are added to the running guest", LiveMeans.SET_VCPUS)


def ceiling_verdict(before: DomainSpec, after: DomainSpec) -> Verdict:
    """Room for later growth is made at the next start; only growth that needs it now waits for a restart."""
    if after.cpu.count <= max_vcpus(before):
        return Verdict(Impact.NONE, "the ceiling for later growth takes effect when the guest next starts")
    return Verdict(Impact.RESTART, f"the guest was started with room for {max_vcpus(before)} vCPUs")


_FAMILY = {"q35": r"pc-q35-.+", "pc": r"pc-i440fx-.+", "virt": r"virt-.+", "microvm": r"microvm"}


def same_machine(before: str, after: str) -> bool:
    """Whether two machine types are one, where either may be a family: ``q35`` and ``pc-q35-7.2``."""
    if before == after:
        return True
    return any(
        family in _FAMILY and re.fullmatch(_FAMILY[family], version) is not None
        for family, version in ((before, after), (after, before))
    )


def same_source(before: DiskSource, after: DiskSource) -> bool:
    """Whether a disk's bytes are the same. A claim is one volume wherever it lies: its pool and format are the volume's.
    A scratch disk whose size nobody wrote down (0) is as it should be.
    """
    if isinstance(before, ClaimSource) and isinstance(after, ClaimSource):
        names = [(source.namespace, source.claim, source.passphrase) for source in (before, after)]
        return names[0] == names[1]
    if isinstance(before, ScratchSource) and isinstance(after, ScratchSource):
        return before.capacity_bytes in (0, after.capacity_bytes)
    return before == after


def show_source(source: DiskSource) -> str | None:
    """A disk's source in a few words."""
    match source:
        case ClaimSource(namespace=namespace, claim=claim, passphrase=passphrase):
            return f"claim {namespace}/{claim}{', encrypted' if passphrase else ''}"
        case SeedSource(digest=digest):
            return f"digest:{digest}"
        case ScratchSource(capacity_bytes=size):
            return f"emptyDisk {format_bytes(size)}"
        case ForeignSource(text=text):
            return text
        case NoMedia():
            return None


def source_verdict(before: DiskSpec, after: DiskSpec) -> Verdict:
    """A disc is changed live, a seed is read at boot, a disk is exchanged at a restart."""
    if isinstance(before.source, ForeignSource) and isinstance(after.source, ClaimSource):
        volume = f"{after.source.namespace}_{after.source.claim}."
        if any(volume in below for below in before.backing):
            chain = "the disk runs through an overlay (a snapshot or a backup)"
            return Verdict(Impact.NONE, chain, refused=f"{chain}: it is reported and never re-pointed; merge it first")
        if UNKNOWN_CHAIN in before.backing:
            elsewhere = "the disk was pointed at another file, which may be an overlay with newer data"
            return Verdict(Impact.NONE, elsewhere, refused=f"{elsewhere}: merge it or point the disk back by hand")
    if isinstance(after.source, SeedSource) and isinstance(before.source, SeedSource):
        return Verdict(Impact.RESTART, "the guest reads this data when it boots (cloud-init)")
    if isinstance(after.source, ScratchSource) and isinstance(before.source, ScratchSource):
        reason = "an emptyDisk has its size from its creation"
        return Verdict(Impact.NONE, reason, refused=f"{reason}: give the disk another name to have a new one")
    if after.binding is Binding.CDROM and before.binding is Binding.CDROM:
        return Verdict(Impact.LIVE, "the disc in the drive is changed", LiveMeans.CHANGE_MEDIA)
    return Verdict(Impact.RESTART, "another disk in the same place is put in at a restart")


def disk_added(disk: DiskSpec) -> Verdict:
    """A whole disk is missing."""
    if disk.dedicated_io_thread:
        return Verdict(Impact.RESTART, "a disk with an I/O thread of its own is plugged in when the guest starts")
    if disk.bus in HOT_BUSES and disk.binding is Binding.DISK:
        return Verdict(Impact.LIVE, "the disk is plugged into the running guest", LiveMeans.ATTACH)
    what = "a CD-ROM drive" if disk.binding is Binding.CDROM else f"a disk on the {disk.bus} bus"
    return Verdict(Impact.RESTART, f"{what} cannot be plugged into a running guest")


def disk_removed(disk: DiskSpec) -> Verdict:
    """A whole disk is there that is not declared."""
    if disk.name.startswith(FOREIGN_NAME):
        reason = "a disk somebody added is never pulled from a running guest"
        return Verdict(Impact.LIVE, reason, LiveMeans.DETACH, refused=f"{reason}: declare it or detach it by hand")
    if disk.bus in HOT_BUSES and disk.binding is Binding.DISK:
        return Verdict(Impact.LIVE, "the disk is unplugged from the running guest; its volume stays", LiveMeans.DETACH)
    what = "a CD-ROM drive" if disk.binding is Binding.CDROM else f"a disk on the {disk.bus} bus"
    return Verdict(Impact.RESTART, f"{what} cannot be unplugged from a running guest")


def interface_added(_interface: InterfaceSpec) -> Verdict:
    """A whole NIC is missing."""
    return Verdict(Impact.LIVE, "the NIC is plugged into the running guest", LiveMeans.ATTACH)


def interface_removed(interface: InterfaceSpec) -> Verdict:
    """A whole NIC is there that is not declared."""
    if interface.name.startswith(FOREIGN_NAME):
        return Verdict(Impact.LIVE, "a NIC that no manifest declares is unplugged", LiveMeans.DETACH)
    return Verdict(Impact.LIVE, "the NIC is unplugged from the running guest", LiveMeans.DETACH)


def summary_of(item: DiskSpec | InterfaceSpec) -> Mapping[str, Any]:
    """A whole device as a small mapping, as a manifest would say it."""
    if isinstance(item, InterfaceSpec):
        return {"network": item.network, "macAddress": item.mac, "model": item.model}
    return {"source": show_source(item.source), str(item.binding): {"bus": item.bus}}
