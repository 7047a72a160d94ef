"""``DomainSpec``: one virtual machine with every reference joined and every default filled in.

It is what a VM manifest means on one host, whoever makes it true. Planning resolves it from manifests; an engine reads
it back from what really runs. Equal specs mean that nothing needs doing, so every field here has one normal form:
lower-case MACs, MiB, tuples ordered as declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

HYPERV_NEEDS: Mapping[str, str] = {
    "evmcs": "vapic",
    "ipi": "vpindex",
    "tlbflush": "vpindex",
    "synictimer": "synic",
    "synic": "vpindex",
}
"""Hyper-V enlightenment → the one it needs, which comes on with it unless the manifest says otherwise; what needs others
stands before them. *Source*: KubeVirt's API; QEMU's documentation of Hyper-V enlightenments."""


class Binding(StrEnum):
    """How a volume is shown to the guest (``disk``, ``cdrom`` or ``lun`` of a KubeVirt disk)."""

    DISK = "disk"
    CDROM = "cdrom"
    LUN = "lun"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSource:
    """A disk's bytes are a claim's volume. ``pool`` and ``format`` (``qcow2`` or ``raw``) are those of the volume.
    ``passphrase`` is the UUID of an encrypted volume's passphrase (`passphrase_id`), empty for a plain one.
    """

    namespace: str
    claim: str
    pool: str
    format: str
    passphrase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSource:
    """A disk is a generated read-only ISO. ``digest`` (12 hex digits, keyed) names its content; see `Seed`."""

    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchSource:
    """A disk that begins empty and ends with the VM (``emptyDisk``)."""

    capacity_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMedia:
    """A CD-ROM drive without a disc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSource:
    """Something that gitvirt did not put there; only ever read from a live domain. ``text`` is for people."""

    text: str


DiskSource = ClaimSource | SeedSource | ScratchSource | NoMedia | ForeignSource


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """One disk, keyed by ``name``. ``boot_order`` 0 means none. ``cache`` and ``io`` empty mean the engine's default.

    ``backing`` names the files below the disk's own that gitvirt did not declare (a snapshot or backup overlay), nearest
    first; only ever read from a live domain. Such a disk is reported and never re-pointed.
    """

    name: str
    source: DiskSource
    binding: Binding = Binding.DISK
    bus: str = "virtio"
    boot_order: int = 0
    read_only: bool = False
    shareable: bool = False
    serial: str = ""
    cache: str = ""
    io: str = ""
    error_policy: str = ""
    block_size: int = 0
    dedicated_io_thread: bool = False
    backing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceSpec:
    """One NIC, keyed by ``name``. ``network`` is the object it is plugged into: ``PodNetwork/pod`` or a
    NetworkAttachmentDefinition as ``namespace/name``. A NIC that is plugged in elsewhere carries ``foreign:…``.
    """

    name: str
    network: str
    mac: str
    model: str = "virtio"
    boot_order: int = 0
    link_up: bool = True
    mtu: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSpec:
    """``model`` empty means the engine's default. ``features`` is (name, policy), sorted by name."""

    sockets: int = 1
    cores: int = 1
    threads: int = 1
    max_sockets: int = 1
    model: str = ""
    features: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        """vCPUs the guest has now."""
        return self.sockets * self.cores * self.threads


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpec:
    """``offset`` is ``utc``, ``utc:SECONDS`` or ``timezone:NAME``; ``timers`` is (name, setting), sorted by name, where
    a setting reads ``present=yes,tickpolicy=delay,track=guest`` with only what was said.
    """

    offset: str = "utc"
    timers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSpec:
    """One VM on one host. Sizes in MiB. ``machine`` is the family or version asked for (``q35``, ``pc-q35-7.2``).

    ``name`` is the VM's name on a host, ``<namespace>_<name>``.
    ``features`` and ``hyperv`` are (name, setting), sorted by name; a setting is ``on``, ``off`` or a value. Names are
    those of the manifest: ``acpi``, ``apic``, ``apic.eoi``, ``kvm.hidden``, ``pvspinlock``, ``smm``;
    ``relaxed``, ``spinlocks`` (``on``, ``off`` or the number of retries), ``vendorid`` (the id), ….
    ``inputs`` is (name, type, bus), in the order declared: ``("tablet0", "tablet", "usb")``. ``watchdog`` is the action
    (``reset``, ``poweroff``, ``shutdown``), empty for no watchdog. ``video`` empty means the engine's default.
    ``hostname`` and the other guest-side facts reach the guest through the seed ISO only.
    ``origins`` maps a field of this class (``memory_mib``) to the manifest path that it was read from, where several
    could say it; it never takes part in a comparison.
    """

    name: str
    uuid: str
    serial: str
    cpu: CpuSpec
    memory_mib: int
    hugepages_kib: int = 0
    machine: str = "q35"
    architecture: str = "x86_64"
    bootloader: str = "bios"
    secure_boot: bool = False
    features: tuple[tuple[str, str], ...] = (("acpi", "on"),)
    hyperv: tuple[tuple[str, str], ...] = ()
    clock: ClockSpec = ClockSpec()
    disks: tuple[DiskSpec, ...] = ()
    interfaces: tuple[InterfaceSpec, ...] = ()
    serial_console: bool = True
    graphics: bool = False
    video: str = ""
    rng: bool = False
    balloon: bool = True
    agent_channel: bool = True
    inputs: tuple[tuple[str, str, str], ...] = ()
    watchdog: str = ""
    io_threads: int = 0
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
