"""What a simulated host holds: dictionaries of frozen values, so that a step can be compared with the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nodeexec.trash_age import TrashAge
from reconciler.model.domain import ClaimSource, DiskSpec, DomainSpec, SeedSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField, Marks, TrashItem
from reconciler.model.moment import KernelTime
from reconciler.model.power import PowerState, RunHistory, StopReason
from reconciler.model.resolved import NetworkSpec, VolumeSource

VolumePlace = tuple[str, str]
"""(pool, volume name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestBehaviour:
    """How a guest behaves. It listens to the power button ``boot_s`` seconds after power-on, and is off ``shutdown_s``
    seconds after it heard it; ``honours_acpi`` False never listens. A guest with ``lives_s`` shuts itself down that long
    after power-on.
    """

    honours_acpi: bool = True
    boot_s: float = 5.0
    shutdown_s: float = 1.0
    lives_s: float | None = None
    agent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDomain:
    """A domain. ``history`` is what gitvirt's marks remember; ``last_stop`` and ``ended_at`` are what the hypervisor
    knows of its last end (None: it never ended since the host booted). ``started_on_boot`` is the host's boot id of the
    start mark. ``boots`` counts power-ons in the domain's life, ``powered_at`` and ``off_at`` are monotonic seconds.
    ``boots_at_mark`` and ``boots_at_stop`` are what ``boots`` was when the start mark and the stop mark were written: a
    start mark whose guest never came, and a stop mark whose guest is long gone, are known by them.
    ``guest_access`` is the digest of the credentials set in the guest, and ``boots`` at that time.
    ``ends`` is when what an operator did ends, ``restarted`` when it was last restarted, by the kernel's clock. ``foreign_stored`` and ``foreign_running`` are (path, text) of what no spec can say.
    """

    name: str
    stored: DomainSpec | None
    running: DomainSpec | None = None
    power: PowerState = PowerState.OFF
    marks: Marks | None = None
    ends: Mapping[str, Any] = field(default_factory=dict)
    restarted: KernelTime | None = None
    history: RunHistory = RunHistory()
    history_before_mark: RunHistory = RunHistory()
    boots_at_mark: int = -1
    boots_at_stop: int = -1
    started_on_boot: str = ""
    last_stop: StopReason | None = None
    ended_at: datetime | None = None
    boots: int = 0
    guest_access: tuple[str, int] = ("", 0)
    powered_at: float = 0.0
    off_at: float | None = None
    behaviour: GuestBehaviour = GuestBehaviour()
    foreign_stored: tuple[tuple[str, str], ...] = ()
    foreign_running: tuple[tuple[str, str], ...] = ()
    kept: tuple[KeptField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostVolume:
    """A volume under its final name. ``content`` identifies its bytes: they may move, and only `Host.destroy` of a trash
    item may end them. ``written`` stands for what guests wrote into them. ``kind`` is the kind of object that declares
    it, empty for a seed ISO, which was generated for the VM ``attached_to``.
    """

    pool: str
    name: str
    kind: str
    format: str
    size_bytes: int
    content: str
    written: str = ""
    marks: Marks | None = None
    source: VolumeSource | None = None
    storage_class: str = ""
    encrypted: bool = False
    attached_to: ObjectKey | None = None

    @property
    def place(self) -> VolumePlace:
        """Where it is."""
        return self.pool, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIncoming:
    """A volume in the making, not yet under its final name. ``done`` is 0 to 1; ``reason`` says why it failed last, and
    ``retry_at`` when it is tried again.
    """

    volume: HostVolume
    done: float = 0.0
    failures: int = 0
    reason: str = ""
    retry_at: datetime | None = None

    def phase(self, under_way: bool) -> str:
        """CDI's phase; ``under_way`` is whether somebody is at work on it."""
        what = "Clone" if self.volume.source is not None and self.volume.source.claim is not None else "Import"
        if under_way:
            return f"{what}InProgress"
        return "Failed" if self.reason else f"{what}Scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetwork:
    """A network. ``running`` is what it does now, None when it is not active."""

    name: str
    kind: str
    stored: NetworkSpec
    running: NetworkSpec | None = None
    autostart: bool = True
    marks: Marks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTrash:
    """A trash item and what is in it: ``volume`` of a claim, ``domain`` of a VM. ``age`` is what was noted of how long it was
    seen to lie there, ``trashed`` when it was deleted, by the kernel's clock.
    """

    item: TrashItem
    volume: HostVolume | None = None
    domain: HostDomain | None = None
    age: TrashAge | None = None
    trashed: KernelTime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPool:
    """A storage pool. An unreadable one answers nothing about its volumes; a ``full`` one takes nothing more."""

    name: str
    capacity_bytes: int = 1 << 42
    readable: bool = True
    full: bool = False


@dataclass(slots=True, kw_only=True)
class HostState:
    """Everything on the host that outlives gitvirt's process."""

    boot_id: str = "boot-1"
    domains: dict[str, HostDomain] = field(default_factory=dict)
    volumes: dict[VolumePlace, HostVolume] = field(default_factory=dict)
    incoming: dict[VolumePlace, HostIncoming] = field(default_factory=dict)
    lost: dict[VolumePlace, HostVolume] = field(default_factory=dict)
    """Volumes that somebody removed by hand: their pool still knows that they were there."""
    networks: dict[str, HostNetwork] = field(default_factory=dict)
    trash: dict[str, HostTrash] = field(default_factory=dict)
    pools: dict[str, HostPool] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    contents: int = 0

    def copy(self) -> HostState:
        """Another state with the same frozen values."""
        return HostState(
            boot_id=self.boot_id,
            domains=dict(self.domains),
            volumes=dict(self.volumes),
            incoming=dict(self.incoming),
            lost=dict(self.lost),
            networks=dict(self.networks),
            trash=dict(self.trash),
            pools=dict(self.pools),
            unreadable=dict(self.unreadable),
            contents=self.contents,
        )

    def new_content(self, what: str) -> str:
        """An identity for bytes that did not exist before."""
        self.contents += 1
        return f"{what}#{self.contents}"

    def users_of(self, place: VolumePlace) -> tuple[str, ...]:
        """Names of the domains that name a volume in either half, sorted."""
        return self.users().get(place, ())

    def users(self) -> dict[VolumePlace, tuple[str, ...]]:
        """For every volume that a domain names in either half, the names of those that do, sorted."""
        found: dict[VolumePlace, tuple[str, ...]] = {}
        for name in sorted(self.domains):
            domain = self.domains[name]
            halves = (places_of(name, half) for half in (domain.stored, domain.running) if half)
            for place in frozenset[VolumePlace]().union(*halves):
                found[place] = (*found.get(place, ()), name)
        return found


def domain_name(key: ObjectKey) -> str:
    """The name a VM, claim or network has on the host, without a suffix."""
    return f"{key.namespace}_{key.name}"


def vm_key(name: str) -> ObjectKey:
    """The VM that a domain's name stands for; a name that gitvirt would not give is foreign and has no namespace."""
    namespace, underscore, rest = name.partition("_")
    return ObjectKey("VirtualMachine", namespace if underscore else "", rest if underscore else name)


def claim_place(source: ClaimSource) -> VolumePlace:
    """Where a claim's bytes are."""
    suffix = "qcow2" if source.format == "qcow2" else "raw"
    return source.pool, f"{source.namespace}_{source.claim}.{suffix}"


def seed_place(domain: str, disk: DiskSpec, pool: str) -> VolumePlace | None:
    """Where the ISO of a seed disk is, None for another disk."""
    if not isinstance(disk.source, SeedSource):
        return None
    return pool, f"{domain}.{disk.name}.{disk.source.digest}.iso"


def places_of(domain: str, spec: DomainSpec, default_pool: str = "default") -> frozenset[VolumePlace]:
    """Every volume that one half of a domain names."""
    places: set[VolumePlace] = set()
    for disk in spec.disks:
        if isinstance(disk.source, ClaimSource):
            places.add(claim_place(disk.source))
        seed = seed_place(domain, disk, default_pool)
        if seed is not None:
            places.add(seed)
    return frozenset(places)
