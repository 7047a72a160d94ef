"""Reading a simulated host: its state as an `Observation`, and what could not be read said so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nodeexec.kernel_times import with_told_deletion, with_told_restart
from nodeexec.operator_ends import with_told_ends
from nodeexec.simulated.fingerprints import digest_of, fingerprint
from nodeexec.simulated.host import has_booted
from nodeexec.simulated.known import Known
from nodeexec.simulated.names import (
    POD_NETWORK_NAME,
    copy_name,
    left_behind_key,
    network_name,
    reference,
    volume_key,
)
from nodeexec.simulated.reading_vms import VmSurroundings, history_of, lease_of, live_vm
from nodeexec.simulated.state import (
    HostDomain,
    HostIncoming,
    HostNetwork,
    HostState,
    HostTrash,
    HostVolume,
    VolumePlace,
    domain_name,
    vm_key,
)
from nodeexec.trash_age import age_at
from reconciler.model.keys import ATTACHED_VOLUME, POD_NETWORK, ObjectKey
from reconciler.model.live import (
    LOST,
    HostFacts,
    Lease,
    LiveNetwork,
    LiveObject,
    LiveVm,
    LiveVolume,
    Marks,
    Observation,
    PoolFacts,
    TrashItem,
    Unreadable,
)
from reconciler.model.moment import Moment

VM = "VirtualMachine"
NETWORK = "NetworkAttachmentDefinition"
VOLUME_KINDS = frozenset({"PersistentVolumeClaim", "DataVolume"})
STORAGE_KINDS = VOLUME_KINDS | {ATTACHED_VOLUME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at the host's state at one time. ``owner`` and ``host`` are whose marks count as ours."""

    state: HostState
    owner: str
    host: str
    now: datetime
    monotonic: float
    under_way: Callable[[str], bool] = lambda _name: False
    known: Known = field(default_factory=Known)
    partial: bool = False
    """Half of the objects cannot be read this time."""

    def observation(self, keys: Collection[ObjectKey] | None) -> Observation:
        """Everything owned, or what stands under ``keys``."""
        asked = None if keys is None else frozenset(keys)
        wanted = self._owned_keys() if asked is None else asked
        objects: dict[ObjectKey, LiveObject] = {}
        gaps = [Unreadable(reason=f"pool {name} cannot be read", kinds=STORAGE_KINDS) for name in self._dark_pools()]
        for key in sorted(wanted):
            if (reason := self.unreadable(key)) != "":
                gaps.append(Unreadable(reason=reason, key=key))
            elif (live := self.live(key)) is not None:
                objects[live.key] = live
        return Observation(
            taken_at=self.now,
            host=self._facts(),
            objects=objects,
            asked=asked,
            trash=self._trash(asked),
            unreadable=tuple(gaps),
            foreign_vms=tuple(sorted(d.name for d in self.state.domains.values() if not self.owns(d.marks))),
        )

    def owns(self, marks: Marks | None) -> bool:
        """Whether marks are ours: of this owner and made on this host."""
        return marks is not None and marks.owner == self.owner and marks.host == self.host

    def unreadable(self, key: ObjectKey) -> str:
        """Why an object cannot be read, empty when it can be."""
        name = network_name(key) if key.kind in (NETWORK, POD_NETWORK.kind) else domain_name(key)
        if name in self.state.unreadable:
            return self.state.unreadable[name]
        if self.partial and int(digest_of(str(key).encode())[:2], 16) % 2:
            return "the simulated host did not answer for this object"
        return ""

    def live(self, key: ObjectKey) -> LiveObject | None:
        """What stands under ``key``, None when nothing does."""
        if key.kind == VM:
            domain = self.state.domains.get(domain_name(key))
            return None if domain is None else self._vm(key, domain)
        if key.kind in VOLUME_KINDS:
            return self._volume_of(key)
        if key.kind == ATTACHED_VOLUME:
            return self._left_behind(key)
        if key.kind in (NETWORK, POD_NETWORK.kind):
            network = self.state.networks.get(network_name(key))
            return None if network is None else self._network(key, network)
        return None

    def _owned_keys(self) -> frozenset[ObjectKey]:
        keys = {vm_key(name) for name, domain in self.state.domains.items() if self.owns(domain.marks)}
        making = (entry.volume for entry in self.state.incoming.values())
        for volume in (*self.state.volumes.values(), *making, *self.state.lost.values()):
            if volume.kind and self.owns(volume.marks) and self.state.pools[volume.pool].readable:
                keys.add(volume_key(volume))
            if volume.attached_to is not None and self._left_behind(left_behind_key(volume)) is not None:
                keys.add(left_behind_key(volume))
        for name, network in self.state.networks.items():
            if self.owns(network.marks):
                keys.add(POD_NETWORK if name == POD_NETWORK_NAME else ObjectKey(NETWORK, *name.split("_", 1)))
        return frozenset(keys)

    def _dark_pools(self) -> tuple[str, ...]:
        return tuple(sorted(pool.name for pool in self.state.pools.values() if not pool.readable))

    def _facts(self) -> HostFacts:
        pools = self.state.pools.values()
        used = {
            pool.name: sum(v.size_bytes for v in self.state.volumes.values() if v.pool == pool.name) for pool in pools
        }
        return HostFacts(
            hostname=self.host,
            cpus=64,
            memory_mib=1 << 20,
            labels={"kubernetes.io/hostname": self.host},
            pools=tuple(
                PoolFacts(
                    name=pool.name,
                    capacity_bytes=pool.capacity_bytes,
                    available_bytes=0 if pool.full else max(0, pool.capacity_bytes - used[pool.name]),
                    active=pool.readable,
                )
                for pool in sorted(pools, key=lambda pool: pool.name)
            ),
            hypervisor="simulated",
        )

    def _trash(self, asked: frozenset[ObjectKey] | None) -> tuple[TrashItem, ...]:
        dark = self._dark_pools()
        items = (self._aged(entry) for entry in self.state.trash.values() if self._ours(entry.item))
        names = None if asked is None else {(key.namespace, key.name) for key in asked}
        return tuple(
            sorted(
                (
                    item
                    for item in items
                    if item.pool not in dark and (names is None or (item.key.namespace, item.key.name) in names)
                ),
                key=lambda item: item.item,
            )
        )

    def moment(self) -> Moment:
        """Now, by both clocks."""
        return Moment(boot_id=self.state.boot_id, monotonic_s=self.monotonic, at=self.now)

    def _aged(self, entry: HostTrash) -> TrashItem:
        now = self.moment()
        return with_told_deletion(replace(entry.item, aged_s=age_at(entry.age, now)), entry.trashed, now)

    def _ours(self, item: TrashItem) -> bool:
        return item.owner == self.owner

    def _vm(self, key: ObjectKey, domain: HostDomain) -> LiveVm:
        marks = with_told_ends(domain.marks, domain.ends, self.moment()) if domain.marks else None
        ends = (marks.suspended_until, marks.override) if marks is not None else ()
        history = with_told_restart(history_of(domain), domain.restarted, self.moment())
        around = VmSurroundings(
            boot_id=self.state.boot_id, up=has_booted(domain, self.monotonic), dhcp=self._gives_addresses()
        )
        facts = (key, around, ends, history.last_restart_at)
        return self.known.of(domain, facts, lambda: live_vm(key, domain, marks, history, around))

    def _gives_addresses(self) -> bool:
        network = self.state.networks.get(POD_NETWORK_NAME)
        return network is not None and network.running is not None

    def _volume_of(self, key: ObjectKey) -> LiveVolume | None:
        return self._present_volume(key) or self._lost_volume(key)

    def _lost_volume(self, key: ObjectKey) -> LiveVolume | None:
        names = (f"{domain_name(key)}.qcow2", f"{domain_name(key)}.raw")
        for place, volume in sorted(self.state.lost.items()):
            if place[1] in names and self.state.pools[place[0]].readable:
                live = replace(self._volume(key, volume, None), phase=LOST, size_bytes=0, allocated_bytes=0)
                said = f"{volume.name} is gone, and gitvirt did not take it away"
                return replace(live, fingerprint=fingerprint(live), reason=said)
        return None

    def _present_volume(self, key: ObjectKey) -> LiveVolume | None:
        for suffix in ("qcow2", "raw"):
            for pool in sorted(self.state.pools):
                place = (pool, f"{domain_name(key)}.{suffix}")
                if not self.state.pools[pool].readable:
                    continue
                if place in self.state.volumes:
                    return self._volume(key, self.state.volumes[place], None)
                if place in self.state.incoming:
                    return self._volume(key, self.state.incoming[place].volume, self.state.incoming[place])
        return None

    def _left_behind(self, key: ObjectKey) -> LiveVolume | None:
        """A generated volume of ours that no domain names; None for anything else."""
        found = (v for v in self.state.volumes.values() if v.attached_to is not None and left_behind_key(v) == key)
        volume = next(found, None)
        if volume is None or volume.attached_to is None or not self.owns(volume.marks):
            return None
        if self.state.users_of(volume.place) or not self.state.pools[volume.pool].readable:
            return None
        live = LiveVolume(
            key=key,
            fingerprint="",
            marks=volume.marks,
            pool=volume.pool,
            volume=volume.name,
            format=volume.format,
            size_bytes=volume.size_bytes,
            attached_to=volume.attached_to,
        )
        return replace(live, fingerprint=fingerprint(live))

    def _volume(self, key: ObjectKey, volume: HostVolume, incoming: HostIncoming | None) -> LiveVolume:
        under = ObjectKey(volume.kind, key.namespace, key.name) if self.owns(volume.marks) and volume.kind else key
        users = tuple(self._user(name) for name in self._users().get(volume.place, ()))
        phase = incoming.phase(self.under_way(copy_name(volume.place))) if incoming else "Succeeded"
        return self.known.of(
            incoming or volume, (under, phase, users), lambda: self._read_volume(under, volume, incoming, phase, users)
        )

    def _read_volume(
        self,
        under: ObjectKey,
        volume: HostVolume,
        incoming: HostIncoming | None,
        phase: str,
        users: tuple[ObjectKey, ...],
    ) -> LiveVolume:
        live = LiveVolume(
            key=under,
            fingerprint="",
            marks=volume.marks,
            pool=volume.pool,
            volume=volume.name,
            format=volume.format,
            size_bytes=volume.size_bytes,
            source=volume.source,
            storage_class=volume.storage_class,
            encrypted=volume.encrypted,
            phase=phase,
            reason=incoming.reason if incoming else "",
            retry_at=incoming.retry_at if incoming else None,
        )
        settled = live if incoming is None else replace(live, phase="", reason="", retry_at=None)
        return replace(
            live,
            fingerprint=fingerprint(settled),
            allocated_bytes=volume.size_bytes if incoming is None else int(volume.size_bytes * incoming.done),
            progress=incoming.done if incoming else None,
            used_by=users,
        )

    def _users(self) -> Mapping[VolumePlace, tuple[str, ...]]:
        """Names of the domains that name each volume, sorted."""
        return self.known.of(self.state, None, self.state.users)

    def _user(self, name: str) -> ObjectKey:
        return vm_key(name) if self.owns(self.state.domains[name].marks) else ObjectKey(VM, "", name)

    def _network(self, key: ObjectKey, network: HostNetwork) -> LiveNetwork:
        live = LiveNetwork(
            key=key,
            fingerprint="",
            marks=network.marks,
            network=network.stored,
            active=network.running is not None,
            autostart=network.autostart,
        )
        domains = sorted(self.state.domains.values(), key=lambda domain: domain.name)
        plugged = [(domain, nic) for domain in domains for nic in nics_of(domain) if nic.network == reference(key)]
        leases = tuple(
            Lease(mac=nic.mac, ip=lease_of(nic.mac))
            for domain, nic in plugged
            if live.active and network.stored.dhcp_range and has_booted(domain, self.monotonic)
        )
        users = tuple(dict.fromkeys(self._user(domain.name) for domain, _ in plugged))
        return self.known.of(
            network,
            (key, leases, users),
            lambda: replace(live, fingerprint=fingerprint(live), leases=leases, used_by=users),
        )


def nics_of(domain: HostDomain) -> tuple[Any, ...]:
    """The NICs of both halves, each once."""
    halves = (half for half in (domain.stored, domain.running) if half is not None)
    return tuple({nic.name: nic for half in halves for nic in half.interfaces}.values())
