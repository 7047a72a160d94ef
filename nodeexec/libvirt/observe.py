"""`Engine.observe` of the libvirt engine: everything owned, or what stands under the keys that are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import libvirt

from nodeexec.kernel_times import with_told_deletion
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.domain_xml import ParsedDomain
from nodeexec.libvirt.domains import DomainReading, Domains
from nodeexec.libvirt.errors import Fault, fault_of, translate
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.guest_agent import GuestAgents
from nodeexec.libvirt.host import Host
from nodeexec.libvirt.left_behind import LeftBehind
from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks
from nodeexec.libvirt.naming import CLAIM_KINDS, key_of_network, network_name, network_of_interface
from nodeexec.libvirt.observe_networks import Leases, NetworkReading, find_network, live_network, read_network
from nodeexec.libvirt.observe_vms import VmReader
from nodeexec.libvirt.observe_volumes import VolumeReader
from nodeexec.libvirt.pools import PRIVATE, Pool, Pools, PoolUnreadableError
from nodeexec.libvirt.trash import list_items
from nodeexec.trash_age import age_at
from reconciler.model.errors import EngineError
from reconciler.model.keys import ATTACHED_VOLUME, POD_NETWORK, ObjectKey
from reconciler.model.live import LOST, LiveObject, LiveVm, LiveVolume, Observation, TrashItem, Unreadable
from reconciler.model.moment import Moment
from reconciler.model.policy import Policy
from reconciler.ports import Clock

VM = "VirtualMachine"
NETWORK_KINDS = frozenset({"NetworkAttachmentDefinition", POD_NETWORK.kind})
VOLUME_KINDS = frozenset(CLAIM_KINDS)
STORAGE_KINDS = VOLUME_KINDS | {ATTACHED_VOLUME}


class Observer:
    """Reads the host. Every question it cannot answer becomes an `Unreadable`, except that libvirt itself is gone."""

    def __init__(
        self,
        *,
        connection: Connection,
        events: EventStream,
        policy: Policy,
        clock: Clock,
        domains: Domains,
        index: DomainIndex,
        vms: VmReader,
        volumes: VolumeReader,
        left_behind: LeftBehind,
        pools: Pools,
        host: Host,
        agents: GuestAgents,
        boot_id: str,
    ) -> None:
        self._connection = connection
        self._events = events
        self._policy = policy
        self._clock = clock
        self._domains = domains
        self._index = index
        self._vms = vms
        self._volumes = volumes
        self._left_behind = left_behind
        self._pools = pools
        self._host = host
        self._agents = agents
        self._boot_id = boot_id

    def moment(self) -> Moment:
        """Now, by both clocks."""
        return Moment(boot_id=self._boot_id, monotonic_s=self._clock.monotonic(), at=self._clock.now())

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        """One reading; see the port.

        Raises:
            EngineError: libvirt cannot be reached.
        """
        try:
            return _Look(self, keys).observation()
        except libvirt.libvirtError as error:
            self._connection.mark_lost()
            raise EngineError(f"libvirt stopped answering: {translate(error, 'observing the host').message}") from error

    def vm(self, key: ObjectKey) -> LiveVm | Unreadable | None:
        """One VM as it is now, without addresses and what its agent says: what an apply compares with.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        handle = self._domains.find_vm(key)
        reading = self._domains.read(handle) if handle is not None else None
        return self.live_vm(key, reading, Leases(self._connection)) if reading is not None else None

    def live_vm(self, key: ObjectKey, reading: DomainReading, leases: Leases) -> LiveVm | Unreadable:
        """A reading as a live VM, or why it is none."""
        if isinstance(reading.marks, UnreadableMarks) and reading.marks.owner in ("", self._policy.owner):
            return Unreadable(reason=f"domain {reading.name}: {reading.marks.reason}", key=key)

        owner = self._policy.owner

        def addresses(running: ParsedDomain) -> Mapping[str, tuple[str, ...]]:
            return leases.by_mac(sorted({network_of_interface(nic.network, owner) for nic in running.spec.interfaces}))

        try:
            return self._vms.live(
                key,
                reading,
                addresses=addresses,
                agent=lambda name, connected: self._agents.facts(name, connected=connected),
            )
        except ValueError as error:
            return Unreadable(reason=f"domain {reading.name}: {error}", key=key)

    def volume(self, key: ObjectKey, pool_name: str | None) -> LiveVolume | Unreadable | None:
        """What stands under a claim's name, in one pool or (None) in any.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        otherwise: LiveVolume | Unreadable | None = None
        for name, pool in self.pools() if pool_name is None else ((pool_name, self._pool(pool_name)),):
            if isinstance(pool, PoolUnreadableError):
                otherwise = otherwise or Unreadable(reason=str(pool), key=key)
            elif pool is not None:
                found = self._named_volume(pool, key, name)
                if isinstance(found, LiveVolume) and found.phase == LOST:
                    # It may have been moved to another pool.
                    otherwise = found
                elif found is not None:
                    return found
        return otherwise

    def _named_volume(self, pool: Pool, key: ObjectKey, name: str) -> LiveVolume | Unreadable | None:
        try:
            return self._volumes.named(pool, key, self._index.users_of_volume)
        except (OSError, ValueError) as error:
            return Unreadable(reason=f"storage pool {name!r}: {error}", key=key)

    def left_behind(self, key: ObjectKey) -> LiveVolume | None:
        """A generated volume that no domain names; the index of domains is as it was last brought up to date.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        found = (self._left_behind.named(pool, key.name) for pool in readable_pools(self.pools()))
        return next((live for live in found if live is not None), None)

    def adopted_volume(self, pool: Pool, key: ObjectKey) -> str | None:
        """The volume of a pool that was adopted as this claim, by its own name.

        Raises:
            OSError: the pool cannot be listed.
        """
        return self._volumes.adopted_name(pool, key)

    def watch(self, pools: Iterable[Pool]) -> None:
        """Whoever listens to events hears of volumes that go from these pools."""
        known = tuple(pools)
        adopted = {name for pool in known for name in self._volumes.adopted_names(pool)}
        self._events.watch_pools([pool.target for pool in known], adopted)

    def _pool(self, name: str) -> Pool | PoolUnreadableError | None:
        try:
            return self._pools.read(name)
        except PoolUnreadableError as error:
            return error

    def pools(self) -> tuple[tuple[str, Pool | PoolUnreadableError], ...]:
        """The pools gitvirt works with: those the settings name, and others that hold something of gitvirt's."""
        wanted = {self._policy.default_pool, *(entry.pool for entry in self._policy.storage_classes.values())}
        found: dict[str, Pool | PoolUnreadableError] = {}
        for name in wanted:
            pool = self._pool(name)
            if pool is not None:
                found[name] = pool
        for name, other in self._pools.all():
            ours = (other.target / PRIVATE).is_dir() if isinstance(other, Pool) else self._index.names_volumes_of(name)
            if name not in found and ours:
                found[name] = other
        return tuple(sorted(found.items()))


class _Look:
    """One observation under way."""

    def __init__(self, observer: Observer, keys: Collection[ObjectKey] | None) -> None:
        self._by = observer
        self._asked = None if keys is None else frozenset(keys)
        self._leases = Leases(observer._connection)
        self._objects: dict[ObjectKey, LiveObject] = {}
        self._gaps: list[Unreadable] = []
        self._foreign: list[str] = []
        self._knows_domains = False

    def observation(self) -> Observation:
        by = self._by
        connection = by._connection.get()
        trash: tuple[TrashItem, ...] = ()
        if self._asked is None:
            self._all_vms()
            self._all_networks()
            trash = self._pools(None)
        else:
            self._named(self._asked)
            if any(key.kind in STORAGE_KINDS or key.kind == VM for key in self._asked):
                trash = self._pools(self._asked)
        return Observation(
            taken_at=by._clock.now(),
            host=by._host.facts(connection, by._pools),
            objects=dict(sorted(self._objects.items())),
            asked=self._asked,
            trash=trash,
            unreadable=tuple(self._gaps),
            foreign_vms=tuple(sorted(self._foreign)),
        )

    def _all_vms(self) -> None:
        by = self._by
        by._index.begin()
        readings = [reading for handle in by._domains.all() if (reading := by._domains.read(handle)) is not None]
        by._domains.all_are_known()
        try:
            by._index.put(readings, complete=True)
            self._knows_domains = True
        except ValueError as error:
            self._gaps.append(Unreadable(reason=str(error), kinds=STORAGE_KINDS | NETWORK_KINDS))
        for reading in readings:
            key = by._domains.key(reading.name)
            if key is None or not self._may_be_ours(reading):
                self._foreign.append(reading.name)
            else:
                self._add(by.live_vm(key, reading, self._leases))

    def _may_be_ours(self, reading: DomainReading) -> bool:
        marks, owner = reading.marks, self._by._policy.owner
        if isinstance(marks, UnreadableMarks):
            return marks.owner in ("", owner)
        return isinstance(marks, DomainMarks) and marks.marks.owner == owner

    def _all_networks(self) -> None:
        owner = self._by._policy.owner
        for handle in self._by._connection.get().listAllNetworks(0):
            try:
                reading = read_network(handle)
            except libvirt.libvirtError as error:
                if fault_of(error) is not Fault.NOT_FOUND:
                    raise
                continue
            key = key_of_network(reading.name)
            readable = isinstance(reading.marks, DomainMarks) and reading.marks.marks.owner == owner
            damaged = isinstance(reading.marks, UnreadableMarks) and reading.marks.owner in ("", owner)
            if key is not None and network_name(key, owner) == reading.name and (readable or damaged):
                self._add(self._network(key, reading))

    def _network(self, key: ObjectKey, reading: NetworkReading) -> LiveObject | Unreadable:
        if isinstance(reading.marks, UnreadableMarks):
            return Unreadable(reason=f"network {reading.name}: {reading.marks.reason}", key=key)
        try:
            return live_network(key, reading, self._by._index.users_of_network(reading.name))
        except ValueError as error:
            return Unreadable(reason=f"network {reading.name}: {error}", key=key)

    def _pools(self, asked: frozenset[ObjectKey] | None) -> tuple[TrashItem, ...]:
        """Volumes of all pools (only when everything is asked for), and the trash."""
        by, trash, now = self._by, list[TrashItem](), self._by.moment()
        names = None if asked is None else {(key.namespace, key.name) for key in asked}
        pools = by.pools()
        by.watch(readable_pools(pools))
        for name, pool in pools:
            if isinstance(pool, PoolUnreadableError):
                self._gaps.append(Unreadable(reason=str(pool), kinds=STORAGE_KINDS))
                continue
            try:
                if asked is None:
                    for found in by._volumes.owned(pool, by._index.users_of_volume):
                        self._add(found)
                    if self._knows_domains:
                        for left in by._left_behind.of(pool):
                            self._add(left)
                items = [
                    with_told_deletion(replace(item.facts, aged_s=age_at(item.age, now)), item.trashed, now)
                    for item in list_items(pool)
                ]
            except (OSError, ValueError) as error:
                self._gaps.append(Unreadable(reason=f"storage pool {name!r}: {error}", kinds=STORAGE_KINDS))
                continue
            trash += [
                item
                for item in items
                if item.owner == by._policy.owner and (names is None or (item.key.namespace, item.key.name) in names)
            ]
        return tuple(sorted(trash, key=lambda item: item.item))

    def _named(self, asked: frozenset[ObjectKey]) -> None:
        by = self._by
        if any(key.kind != VM for key in asked):
            try:
                by._index.refresh(fresh=False)
            except ValueError as error:
                self._gaps.append(Unreadable(reason=str(error), kinds=STORAGE_KINDS | NETWORK_KINDS))
        for key in sorted(asked):
            if key.kind == VM:
                self._add(self._one_vm(key))
            elif key.kind in VOLUME_KINDS:
                self._add(by.volume(key, None))
            elif key.kind == ATTACHED_VOLUME:
                self._add(by.left_behind(key))
            elif key.kind in NETWORK_KINDS:
                reading = find_network(by._connection, network_name(key, by._policy.owner))
                self._add(self._network(key, reading) if reading is not None else None)

    def _one_vm(self, key: ObjectKey) -> LiveVm | Unreadable | None:
        name = self._by._domains.name(key)
        handle = self._by._domains.find_vm(key)
        reading = self._by._domains.read(handle) if handle is not None else None
        if reading is None:
            self._by._vms.forget(name)
            return None
        return self._by.live_vm(key, reading, self._leases)

    def _add(self, found: LiveObject | Unreadable | None) -> None:
        if isinstance(found, Unreadable):
            self._gaps.append(found)
        elif found is not None:
            self._objects[found.key] = found


def readable_pools(pools: Iterable[tuple[str, Pool | PoolUnreadableError]]) -> Iterator[Pool]:
    """Those that can be read."""
    return (pool for _, pool in pools if isinstance(pool, Pool))
