"""What each field of `DomainSpec` is in a manifest: its paths, how its value is shown, and what a change of it costs.

One source for every engine that can change a running guest in place; the verdicts are in `spec_verdicts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nodeexec.spec_verdicts import (
    DEFAULT_VIDEO,
    LiveMeans,
    VerdictOf,
    at_restart,
    ceiling_verdict,
    cpu_verdict,
    in_place,
    same_machine,
    same_source,
    show_source,
    source_verdict,
)
from reconciler.model.domain import Binding, SeedSource
from reconciler.model.quantity import KIB, MIB, format_bytes

_SPINLOCK_RETRIES = "4096"
_OFF_IS_ABSENT = frozenset(
    {("acpi", "off"), ("apic", "off"), ("kvm.hidden", "off"), ("apic.eoi", "on"), ("apic.eoi", "off")}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """One field. ``name`` is dotted (``cpu.cores``). ``paths`` are the manifest paths that feed it, below
    ``spec.template.spec``; the first is where a difference is shown unless `DomainSpec.origins` knows better. In paths of
    a device ``[]`` stands for the item of that name. ``leaves`` are the leaves of a manifest that the field honours,
    where those are not just ``paths`` (a final ``.*`` is a whole subtree).
    """

    name: str
    paths: tuple[str, ...]
    verdict: VerdictOf
    show: Callable[[Any], Any] = lambda value: value
    same: Callable[[Any, Any], bool] = lambda before, after: bool(before == after)
    leaves: tuple[str, ...] | None = None
    means: Callable[[Any], Any] | None = None
    """What the owner means by it, where that is more than the value it holds."""

    @property
    def honours(self) -> tuple[str, ...]:
        """The leaves of a manifest, below ``spec.template.spec``, that this field takes in."""
        return self.paths if self.leaves is None else self.leaves

    def value(self, owner: Any) -> Any:
        """This field's value in a `DomainSpec`, `DiskSpec` or `InterfaceSpec`, in its one normal form."""
        if self.means is not None:
            return self.means(owner)
        for part in self.name.split("."):
            owner = getattr(owner, part)
        return owner


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


_HYPERV = (
    "evmcs",
    "frequencies",
    "ipi",
    "reenlightenment",
    "relaxed",
    "reset",
    "runtime",
    "spinlocks",
    "synic",
    "synictimer",
    "tlbflush",
    "vapic",
    "vendorid",
    "vpindex",
)
_SOURCES = (
    "volumes[].name",
    "volumes[].persistentVolumeClaim.claimName",
    "volumes[].persistentVolumeClaim.hotpluggable",
    "volumes[].persistentVolumeClaim.readOnly",
    "volumes[].dataVolume.name",
    "volumes[].dataVolume.hotpluggable",
    "volumes[].cloudInitNoCloud.*",
    "volumes[].cloudInitConfigDrive.*",
    "volumes[].configMap.*",
    "volumes[].secret.*",
    "volumes[].emptyDisk.capacity",
)


def _leaves(parent: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{parent}.{name}" for name in names)


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
        verdict=ceiling_verdict,
        means=lambda spec: spec.cpu.max_sockets if spec.cpu.max_sockets > spec.cpu.sockets else 0,
        show=lambda sockets: sockets or None,
    ),
    _at("cpu.model", "domain.cpu.model", verdict=at_restart("the CPU model " + _POWER_ON)),
    _at(
        "cpu.features",
        "domain.cpu.features",
        verdict=at_restart("CPU features are set at power-on"),
        leaves=("domain.cpu.features[].name", "domain.cpu.features[].policy"),
        show=pairs,
    ),
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
    _at(
        "bootloader",
        "domain.firmware.bootloader",
        leaves=_leaves("domain.firmware.bootloader", "bios", "efi"),
        verdict=_FIRMWARE,
    ),
    _at("secure_boot", "domain.firmware.bootloader.efi.secureBoot", verdict=_FIRMWARE),
    _at(
        "features",
        "domain.features",
        leaves=_leaves(
            "domain.features",
            "acpi.enabled",
            "apic.enabled",
            "apic.endOfInterrupt",
            "kvm.hidden",
            "pvspinlock.enabled",
            "smm.enabled",
        ),
        verdict=at_restart("the machine's features are set at power-on"),
        means=lambda spec: _said(spec.features, _OFF_IS_ABSENT),
        show=pairs,
    ),
    _at(
        "hyperv",
        "domain.features.hyperv",
        leaves=_leaves(
            "domain.features.hyperv",
            *(f"{name}.enabled" for name in _HYPERV),
            "spinlocks.spinlocks",
            "vendorid.vendorid",
        ),
        verdict=at_restart("Hyper-V features are set at power-on"),
        means=lambda spec: _said(spec.hyperv, frozenset({("vendorid", "on"), ("vendorid", "off")})),
        show=pairs,
    ),
    _at(
        "clock.offset",
        "domain.clock",
        leaves=_leaves("domain.clock", "utc", "utc.offsetSeconds", "timezone"),
        verdict=at_restart("the clock " + _POWER_ON),
    ),
    _at(
        "clock.timers",
        "domain.clock.timer",
        leaves=("domain.clock.timer.*",),
        verdict=at_restart("timers are set when the guest starts"),
        show=pairs,
    ),
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
    _at(
        "agent_channel",
        "xml:devices/channel",
        leaves=(),
        verdict=at_restart("the agent's channel is plugged in at power-on"),
    ),
    _at(
        "inputs",
        "domain.devices.inputs",
        leaves=_leaves("domain.devices.inputs[]", "name", "type", "bus"),
        verdict=at_restart("input devices are plugged in when the guest starts"),
        show=lambda inputs: [{"name": name, "type": kind, "bus": bus} for name, kind, bus in inputs],
    ),
    _at(
        "watchdog",
        "domain.devices.watchdog.i6300esb.action",
        leaves=_leaves("domain.devices.watchdog", "name", "i6300esb", "i6300esb.action"),
        verdict=at_restart("the watchdog is plugged in when the guest starts"),
    ),
    _at(
        "io_threads",
        "domain.ioThreads",
        leaves=(),
        verdict=at_restart("I/O threads are made when the guest starts"),
    ),
)
"""Fields of the VM itself, in the order in which differences are looked for. ``name`` is identity, never compared."""

DISK_FIELDS: tuple[FieldFacts, ...] = (
    _at("source", "volumes[]", leaves=_SOURCES, verdict=source_verdict, show=show_source, same=same_source),
    _at("binding", _DISK, leaves=_leaves(_DISK, "name", "disk", "cdrom"), verdict=_DRIVE, show=str),
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
    _at(
        "block_size",
        f"{_DISK}.blockSize",
        leaves=_leaves(f"{_DISK}.blockSize.custom", "logical", "physical"),
        verdict=_DRIVE,
        show=lambda size: size or None,
    ),
    _at("dedicated_io_thread", f"{_DISK}.dedicatedIOThread", verdict=_DRIVE),
)

INTERFACE_FIELDS: tuple[FieldFacts, ...] = (
    _at(
        "network",
        "networks[]",
        leaves=(
            *_leaves("networks[]", "name", "pod", "multus.networkName", "multus.default"),
            *_leaves(_NIC, "name", "bridge", "masquerade"),
        ),
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
        leaves=(),
        verdict=at_restart("the guest reads the MTU when it starts"),
        show=lambda mtu: mtu or None,
        same=lambda before, after: after in (0, before),
    ),
)
