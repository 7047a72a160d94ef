"""What each field of `DomainSpec` is in a manifest, and what a change of it costs.

One source for every engine that can change a running guest in place: the manifest paths a field is read from, how its
value is shown, when two values mean the same, and a verdict (impact, reason, means). Verdicts are pure functions of the
owner before and after: a `DomainSpec` for fields of the VM, a `DiskSpec` or `InterfaceSpec` for those of a device.
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
from reconciler.model.quantity import KIB, MIB, format_bytes

FOREIGN_NAME = "foreign:"
"""Begins the name of a device that gitvirt did not put there, and the network of a NIC plugged in elsewhere."""

UNKNOWN_CHAIN = "unknown"
"""In `DiskSpec.backing` of a foreign source: what lies below it cannot be told from here."""

DEFAULT_VIDEO = "vga"
"""The video card of a VM that has a display and says no more."""

_SPINLOCK_RETRIES = "4096"
_OFF_IS_ABSENT = frozenset({("acpi", "off"), ("apic", "off"), ("apic.eoi", "on"), ("apic.eoi", "off")})

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """One field. ``name`` is dotted (``cpu.cores``). ``paths`` are the manifest paths that feed it, below
    ``spec.template.spec``; the first is where a difference is shown unless `DomainSpec.origins` knows better. In paths of
    a device ``[]`` stands for the item of that name.
    """

    name: str
    paths: tuple[str, ...]
    verdict: VerdictOf
    show: Callable[[Any], Any] = lambda value: value
    same: Callable[[Any, Any], bool] = lambda before, after: bool(before == after)
    means: Callable[[Any], Any] | None = None
    """What the owner means by it, where that is more than the value it holds."""

    def value(self, owner: Any) -> Any:
        """This field's value in a `DomainSpec`, `DiskSpec` or `InterfaceSpec`, in its one normal form."""
        if self.means is not None:
            return self.means(owner)
        for part in self.name.split("."):
            owner = getattr(owner, part)
        return owner


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


def _ceiling_verdict(before: DomainSpec, after: DomainSpec) -> Verdict:
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
        return (before.namespace, before.claim) == (after.namespace, after.claim)
    if isinstance(before, ScratchSource) and isinstance(after, ScratchSource):
        return before.capacity_bytes in (0, after.capacity_bytes)
    return before == after


def show_source(source: DiskSource) -> str | None:
    """A disk's source in a few words."""
    match source:
        case ClaimSource(namespace=namespace, claim=claim):
            return f"claim {namespace}/{claim}"
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


def _said(value: tuple[tuple[str, str], ...], nothing: frozenset[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Settings that say something, each in one form: ``nothing`` are those that mean the same as not being there."""
    settings = dict(value)
    if settings.get("apic") == "on":
        nothing -= {("apic.eoi", "on"), ("apic.eoi", "off")}
    if settings.get("spinlocks") == "on":
        settings["spinlocks"] = _SPINLOCK_RETRIES
    return tuple(pair for pair in sorted(settings.items()) if pair not in nothing)


def pairs(value: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """(name, setting) pairs as a mapping."""
    return dict(value)


_POWER_ON = "is set when the guest starts"
_DISK = "domain.devices.disks[]"
_NIC = "domain.devices.interfaces[]"
_FIRMWARE = at_restart("the firmware " + _POWER_ON)
_CONSOLE = at_restart("consoles and displays are plugged in when the guest starts")
_DRIVE = at_restart("how the disk is attached " + _POWER_ON)


def _at(name: str, *paths: str, verdict: VerdictOf, **how: Any) -> FieldFacts:
    return FieldFacts(name=name, paths=paths, verdict=verdict, **how)


VM_FIELDS: tuple[FieldFacts, ...] = (
    _at("uuid", "domain.firmware.uuid", verdict=at_restart("the guest reads its UUID when it starts")),
    _at("serial", "domain.firmware.serial", verdict=at_restart("the guest reads its serial number when it starts")),
    _at(
        "cpu.sockets",
        "domain.cpu.sockets",
        "domain.resources.requests.cpu",
        "domain.resources.limits.cpu",
        verdict=cpu_verdict,
    ),
    _at("cpu.cores", "domain.cpu.cores", verdict=cpu_verdict),
    _at("cpu.threads", "domain.cpu.threads", verdict=cpu_verdict),
    _at(
        "cpu.max_sockets",
        "domain.cpu.maxSockets",
        verdict=_ceiling_verdict,
        means=lambda spec: spec.cpu.max_sockets if spec.cpu.max_sockets > spec.cpu.sockets else 0,
        show=lambda sockets: sockets or None,
    ),
    _at("cpu.model", "domain.cpu.model", verdict=at_restart("the CPU model " + _POWER_ON)),
    _at("cpu.features", "domain.cpu.features", verdict=at_restart("CPU features are set at power-on"), show=pairs),
    _at(
        "memory_mib",
        "domain.memory.guest",
        "domain.resources.requests.memory",
        "domain.resources.limits.memory",
        verdict=at_restart("the guest's memory " + _POWER_ON),
        show=lambda mib: format_bytes(mib * MIB),
    ),
    _at(
        "hugepages_kib",
        "domain.memory.hugepages.pageSize",
        verdict=at_restart("the guest's memory is laid out when it starts"),
        show=lambda kib: format_bytes(kib * KIB) if kib else None,
    ),
    _at("machine", "domain.machine.type", verdict=at_restart("the machine type " + _POWER_ON), same=same_machine),
    _at("architecture", "architecture", verdict=at_restart("the architecture " + _POWER_ON)),
    _at("bootloader", "domain.firmware.bootloader", verdict=_FIRMWARE),
    _at("secure_boot", "domain.firmware.bootloader.efi.secureBoot", verdict=_FIRMWARE),
    _at(
        "features",
        "domain.features",
        verdict=at_restart("the machine's features are set at power-on"),
        means=lambda spec: _said(spec.features, _OFF_IS_ABSENT),
        show=pairs,
    ),
    _at(
        "hyperv",
        "domain.features.hyperv",
        verdict=at_restart("Hyper-V features are set at power-on"),
        means=lambda spec: _said(spec.hyperv, frozenset({("vendorid", "on"), ("vendorid", "off")})),
        show=pairs,
    ),
    _at(
        "clock.offset",
        "domain.clock",
        "domain.clock.utc.offsetSeconds",
        "domain.clock.timezone",
        verdict=at_restart("the clock " + _POWER_ON),
    ),
    _at("clock.timers", "domain.clock.timer", verdict=at_restart("timers are set when the guest starts"), show=pairs),
    _at("serial_console", "domain.devices.autoattachSerialConsole", verdict=_CONSOLE),
    _at("graphics", "domain.devices.autoattachGraphicsDevice", verdict=_CONSOLE),
    _at(
        "video",
        "domain.devices.video.type",
        verdict=_CONSOLE,
        means=lambda spec: spec.video or (DEFAULT_VIDEO if spec.graphics else "none"),
    ),
    _at("rng", "domain.devices.rng", verdict=at_restart("the random number device is plugged in at power-on")),
    _at("balloon", "domain.devices.autoattachMemBalloon", verdict=at_restart("the balloon is plugged in at power-on")),
    _at("agent_channel", "domain.devices", verdict=at_restart("the agent's channel is plugged in at power-on")),
    _at(
        "inputs",
        "domain.devices.inputs",
        "domain.devices.autoattachInputDevice",
        verdict=at_restart("input devices are plugged in when the guest starts"),
        show=lambda inputs: [{"name": name, "type": kind, "bus": bus} for name, kind, bus in inputs],
    ),
    _at(
        "watchdog",
        "domain.devices.watchdog.i6300esb.action",
        "domain.devices.watchdog",
        verdict=at_restart("the watchdog is plugged in when the guest starts"),
    ),
    _at(
        "io_threads",
        "domain.ioThreads.supplementalPoolThreadCount",
        "domain.ioThreadsPolicy",
        verdict=at_restart("I/O threads are made when the guest starts"),
    ),
)
"""Fields of the VM itself, in the order in which differences are looked for. ``name`` is identity, never compared."""

DISK_FIELDS: tuple[FieldFacts, ...] = (
    _at("source", "volumes[]", verdict=source_verdict, show=show_source, same=same_source),
    _at("binding", _DISK, f"{_DISK}.disk", f"{_DISK}.cdrom", f"{_DISK}.lun", verdict=_DRIVE, show=str),
    _at("bus", f"{_DISK}.disk.bus", f"{_DISK}.cdrom.bus", verdict=_DRIVE),
    _at(
        "boot_order", f"{_DISK}.bootOrder", verdict=at_restart("the boot order " + _POWER_ON), show=lambda n: n or None
    ),
    _at(
        "read_only",
        f"{_DISK}.disk.readonly",
        f"{_DISK}.cdrom.readonly",
        verdict=_DRIVE,
        means=lambda disk: disk.read_only or disk.binding is Binding.CDROM or isinstance(disk.source, SeedSource),
    ),
    _at("shareable", f"{_DISK}.shareable", verdict=_DRIVE),
    _at("serial", f"{_DISK}.serial", verdict=_DRIVE, show=lambda text: text or None),
    _at("cache", f"{_DISK}.cache", verdict=_DRIVE, show=lambda text: text or None),
    _at("io", f"{_DISK}.io", verdict=_DRIVE, show=lambda text: text or None),
    _at("error_policy", f"{_DISK}.errorPolicy", verdict=_DRIVE, show=lambda text: text or None),
    _at("block_size", f"{_DISK}.blockSize", verdict=_DRIVE, show=lambda size: size or None),
    _at("dedicated_io_thread", f"{_DISK}.dedicatedIOThread", verdict=_DRIVE),
)

INTERFACE_FIELDS: tuple[FieldFacts, ...] = (
    _at(
        "network",
        "networks[]",
        verdict=in_place("the NIC is plugged into the other network", LiveMeans.UPDATE_DEVICE),
    ),
    _at("mac", f"{_NIC}.macAddress", verdict=at_restart("a NIC keeps its address until the guest is started anew")),
    _at(
        "model", f"{_NIC}.model", verdict=at_restart("the guest would lose its NIC: another model waits for a restart")
    ),
    _at("boot_order", f"{_NIC}.bootOrder", verdict=at_restart("the boot order " + _POWER_ON), show=lambda n: n or None),
    _at(
        "link_up",
        f"{_NIC}.state",
        verdict=in_place("the link is switched on the running guest", LiveMeans.UPDATE_DEVICE),
        show=lambda up: "up" if up else "down",
    ),
    _at(
        "mtu",
        "networks[]",
        verdict=at_restart("the guest reads the MTU when it starts"),
        show=lambda mtu: mtu or None,
        same=lambda before, after: after in (0, before),
    ),
)
