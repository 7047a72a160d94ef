"""What an engine observed: live objects with the marks on them, the host, the trash, and what could not be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.model.domain import DomainSpec
from reconciler.model.keys import TRASH_ITEM, ObjectKey
from reconciler.model.power import Override, PowerState, RunHistory, StopReason
from reconciler.model.resolved import NetworkSpec, VolumeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What gitvirt wrote on an object it owns. An object without marks is foreign.

    ``applied`` is the last applied document, secrets as keyed digests; None when it could not be read. ``revision`` is
    the commit that last changed it.
    """

    owner: str
    host: str
    revision: str
    applied: Mapping[str, Any] | None
    created_at: datetime | None = None
    override: Override | None = None
    suspended: str = ""
    suspended_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveInterface:
    """A NIC as the host and the guest see it."""

    name: str
    mac: str
    ips: tuple[str, ...] = ()
    guest_name: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptField:
    """A field of an adopted VM that stays as it was found: as long as the host says ``before`` and the manifest comes to
    ``after`` (both as JSON text), it is no difference. ``path`` is that of the `Difference`.
    """

    path: str
    before: str
    after: str

    @classmethod
    def of(cls, path: str, before: Any, after: Any) -> KeptField:
        """A field with its values as plain data."""
        texts = [json.dumps(value, sort_keys=True, default=str) for value in (before, after)]
        return cls(path=path, before=texts[0], after=texts[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A live object as an API server holds it, for engines that have one: its ``document``, cut to what is compared and
    shown, and of a VM the document of its ``instance``, the guest that runs now. ``settled`` are fields that the server
    keeps in another form than they were sent.
    """

    document: Mapping[str, Any]
    instance: Mapping[str, Any] | None = None
    settled: tuple[KeptField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVm:
    """A domain. ``stored`` is its next boot, ``running`` the guest that runs now (None when off).

    ``fingerprint`` changes whenever anything that planning looked at changes; `Change.expected` carries it, so that an
    engine drops a change whose object moved. ``guest_access`` is the digest of the credentials that were set in the
    guest since it started (`GuestAccess.digest`). ``foreign_fields`` names what stands in the domain and no field of
    `DomainSpec` can say (an added host device), as (path, text), for each half. ``kept`` are fields of
    an adopted VM that stay as they were found. ``reported`` is the platform's own word for its state (printableStatus), empty
    where gitvirt tells it; ``fault`` is what is wrong as far as the platform tells, ``pending`` what it is still about, ``under_way`` what it
    does with the VM at somebody's request (a migration, a snapshot). ``controller`` is what makes and unmakes the VM on a platform (a pool), None for nothing.
    """

    key: ObjectKey
    fingerprint: str
    marks: Marks | None
    stored: DomainSpec | None
    running: DomainSpec | None
    power: PowerState
    stop_reason: StopReason = StopReason.UNKNOWN
    history: RunHistory = RunHistory()
    interfaces: tuple[LiveInterface, ...] = ()
    guest_agent: bool = False
    guest_access: str = ""
    guest_os: str = ""
    guest_hostname: str = ""
    disk_jobs: tuple[str, ...] = ()
    foreign_stored: tuple[tuple[str, str], ...] = ()
    foreign_running: tuple[tuple[str, str], ...] = ()
    accelerator: str = ""
    machine: str = ""
    kept: tuple[KeptField, ...] = ()
    reported: str = ""
    fault: str = ""
    pending: str = ""
    under_way: str = ""
    controller: ObjectKey | None = None
    served: Served | None = None


LOST = "Lost"
"""Phase of a volume that was here and is not any more, though nothing of gitvirt took it away. The word is Kubernetes' own
for a claim whose volume is gone. It stands for data, so nothing is made in its place by itself.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVolume:
    """A volume. ``phase`` is CDI's (``Pending``, ``ImportScheduled``, ``ImportInProgress``, ``CloneInProgress``,
    ``Succeeded``, ``Failed``) or `LOST`; a volume is usable in ``Succeeded`` only. ``progress`` is 0 to 1, None when unknown.
    ``used_by`` are the domains (by VM key, or ``VirtualMachine//NAME`` for foreign ones) that name it. ``attached_to`` is the VM
    that a generated volume was made for, None for a claim's. ``fills_itself`` says that
    a platform fills it and makes its users wait, perhaps until one of them is there; ``fault`` and ``pending`` are then as a VM's.
    ``filled_for`` is the DataVolume that a platform's claim belongs to, or waits for.
    """

    key: ObjectKey
    fingerprint: str
    marks: Marks | None
    pool: str
    volume: str
    format: str
    size_bytes: int
    allocated_bytes: int = 0
    source: VolumeSource | None = None
    storage_class: str = ""
    encrypted: bool = False
    phase: str = "Succeeded"
    progress: float | None = None
    reason: str = ""
    retry_at: datetime | None = None
    used_by: tuple[ObjectKey, ...] = ()
    attached_to: ObjectKey | None = None
    fills_itself: bool = False
    filled_for: ObjectKey | None = None
    fault: str = ""
    pending: str = ""
    served: Served | None = None

    @property
    def is_usable(self) -> bool:
        """Whether a VM that stands on it may be made now."""
        return self.is_done or self.fills_itself

    @property
    def is_done(self) -> bool:
        """Whether its content is there."""
        return self.phase == "Succeeded"

    @property
    def loss(self) -> str:
        """The name of a loss, which a person gives to have a new, empty disk instead. It tells when the lost volume was made,
        so that it never stands for a later one.
        """
        made = self.marks.created_at if self.marks is not None else None
        return f"lost-{made.astimezone(UTC):%Y%m%dT%H%M%SZ}" if made is not None else "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A DHCP lease."""

    mac: str
    ip: str
    hostname: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNetwork:
    """A libvirt network or its like."""

    key: ObjectKey
    fingerprint: str
    marks: Marks | None
    network: NetworkSpec | None
    active: bool
    autostart: bool = True
    leases: tuple[Lease, ...] = ()
    used_by: tuple[ObjectKey, ...] = ()
    served: Served | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveResource:
    """An object of any other kind, on a platform that serves such. ``reported`` is the platform's word for its state, empty for none; ``used_by``
    are the VMs that name it, as far as that is known (of an instancetype).
    """

    key: ObjectKey
    fingerprint: str
    marks: Marks | None
    reported: str = ""
    used_by: tuple[ObjectKey, ...] = ()
    served: Served | None = None


LiveObject = LiveVm | LiveVolume | LiveNetwork | LiveResource


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashItem:
    """Something deleted that can come back. ``item`` is its name (dated, unique on the host). ``source`` and
    ``storage_class`` of a volume decide whether a wanted claim takes it back; ``applied`` is its last document. ``host`` is
    the one that deleted it. ``trashed_at`` is the date then, ``told_at`` the same moment as the clock reads now, where that is known to differ. ``aged_s`` is how long it was *seen* to lie there, by clocks that cannot be set: never more than
    is true, and 0 where nobody watched.
    """

    item: str
    key: ObjectKey
    owner: str
    trashed_at: datetime
    pool: str
    size_bytes: int = 0
    source: VolumeSource | None = None
    storage_class: str = ""
    format: str = ""
    revision: str = ""
    applied: Mapping[str, Any] | None = None
    host: str = ""
    aged_s: float = 0.0
    told_at: datetime | None = None

    @property
    def counts_from(self) -> datetime:
        """What the blast radius counts its hour from."""
        return self.told_at or self.trashed_at

    @property
    def expiry_key(self) -> ObjectKey:
        """What its destruction at the end of its time is planned and told under."""
        return ObjectKey(TRASH_ITEM, self.key.namespace, self.item)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """A storage pool. Sizes in bytes."""

    name: str
    capacity_bytes: int
    available_bytes: int
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The host as planning needs it. ``accelerator`` is ``kvm`` or ``qemu`` (emulation)."""

    hostname: str
    architecture: str = "x86_64"
    accelerator: str = "qemu"
    cpus: int = 0
    memory_mib: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    pools: tuple[PoolFacts, ...] = ()
    bridges: tuple[str, ...] = ()
    hypervisor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something that exists or may exist and could not be read: unknown, never empty.

    ``key`` is the object; None together with ``kinds`` means that nothing may be concluded about those kinds.
    """

    reason: str
    key: ObjectKey | None = None
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """An object that was deleted and left nothing in the trash, as the engine remembers it."""

    key: ObjectKey
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """What is known is older than now: why, and since when (None where nothing was ever seen)."""

    reason: str
    since: datetime | None

    def __str__(self) -> str:
        seen = f"what is known is from {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "nothing is known"
        return f"{self.reason.rstrip('.')}; {seen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One reading. ``asked`` are the keys it answers for, None for all owned and all named ones. ``deletions`` are those that the trash
    does not tell; ``deletions_unknown`` says why they are not known, empty when they are. ``unserved`` maps a kind that the platform
    does not have to what a person can do about it.
    """

    taken_at: datetime
    host: HostFacts
    objects: Mapping[ObjectKey, LiveObject]
    asked: frozenset[ObjectKey] | None = None
    trash: tuple[TrashItem, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    foreign_vms: tuple[str, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    deletions_unknown: str = ""
    unserved: Mapping[str, str] = field(default_factory=dict)

    def is_unknown(self, key: ObjectKey) -> bool:
        """Whether absence of ``key`` from ``objects`` would say nothing."""
        return bool(self.why_unknown(key))

    def why_unknown(self, key: ObjectKey) -> str:
        """Why absence of ``key`` from ``objects`` would say nothing; empty when it would."""
        gaps = (gap for gap in self.unreadable if key == gap.key or (gap.key is None and key.kind in gap.kinds))
        return next((gap.reason or "it could not be read" for gap in gaps), "")
