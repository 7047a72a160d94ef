"""All kinds in step: their caches and watches, who uses what, and where something changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from queue import SimpleQueue
from threading import RLock
from typing import Any

from nodeexec.kubevirt.cache import Cache, Name
from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.kinds import CLAIM, CLAIM_KINDS, DATA_VOLUME, INSTANCE, UNDERSTOOD, VM, Kind, not_served
from nodeexec.kubevirt.marks import OWNER, TRACKING, annotations_of
from nodeexec.kubevirt.settings import KubevirtSettings
from nodeexec.kubevirt.vm_references import claims_of, networks_of
from nodeexec.kubevirt.watch import Watch
from reconciler.model.instancetype import instancetype_of, preference_of
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField
from reconciler.model.multimap import MultiMap
from reconciler.ports import EVERYTHING, Clock

_SYNC_WAIT_S = 30.0


class Caches:
    """What is known of the cluster. ``changes`` yields the keys of objects that are others than before."""

    def __init__(self, client: ApiClient, settings: KubevirtSettings, owner: str, clock: Clock) -> None:
        self._client, self._settings, self._owner, self._clock = client, settings, owner, clock
        self.lock = RLock()
        self._caches: dict[str, Cache] = {}
        self._watches: dict[str, tuple[Watch, ...]] = {}
        self._users: MultiMap[Name, Name] = MultiMap()
        self._plugged: MultiMap[Name, Name] = MultiMap()
        self._sized: MultiMap[ObjectKey, Name] = MultiMap()
        self._settled: dict[ObjectKey, tuple[KeptField, ...]] = {}
        self._queue: SimpleQueue[ObjectKey | None] = SimpleQueue()
        self._was_faulty = False
        self._touched: set[Name] = set()

    def start(self) -> None:
        """Watch what is understood."""
        for kind in UNDERSTOOD:
            self.ensure(kind)

    def ensure(self, kind: Kind) -> Cache:
        """The cache of a kind, watched from now on. Kinds that are not understood are watched by the owner's label: what is
        foreign among them is none of ours, and may be secret.
        """
        with self.lock:
            known = self._caches.get(kind.name)
            if known is not None:
                return known
            cache = self._caches[kind.name] = Cache(kind, self.lock, self._changed)
            selector = "" if kind in UNDERSTOOD else f"{OWNER}={self._owner}"
            namespaces = (self._settings.namespaces if kind.namespaced else ()) or ("",)
            watches = tuple(
                Watch(
                    self._client,
                    cache,
                    self._clock,
                    namespace=one,
                    selector=selector,
                    on_served=self.look_everywhere,
                )
                for one in namespaces
            )
            self._watches[kind.name] = watches
        for watch in watches:
            watch.start()
        return cache

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Every kind that is watched."""
        return tuple(cache.kind for cache in tuple(self._caches.values()))

    def wait(self) -> None:
        """Until every kind was listed once, or could not be for half a minute."""
        until = self._clock.monotonic() + _SYNC_WAIT_S
        for watch in self._all_watches():
            while not watch.synced.wait(0.05) and not watch.fault and self._clock.monotonic() < until:
                continue

    def gaps(self) -> dict[str, str]:
        """Kind → why nothing may be concluded about it: never listed, or out of step for too long."""
        found: dict[str, str] = {}
        for name, watches in tuple(self._watches.items()):
            for watch in watches:
                if watch.kind.optional and watch.is_refused:
                    continue
                if not watch.synced.is_set():
                    found[name] = watch.fault or f"{watch.kind.resource} were not listed yet"
                elif watch.fault and self._clock.monotonic() - watch.fault_at > self._settings.stale_after_s:
                    found[name] = watch.fault
        return found

    def behind(self) -> tuple[Watch, ...]:
        """The watches that were in step and are not now."""
        return tuple(watch for watch in self._all_watches() if watch.is_behind)

    def heard_at(self) -> float:
        """The monotonic time to which everything is known: every watch of a kind that is served has heard something since."""
        served = (watch for watch in self._all_watches() if watch.synced.is_set() and not watch.missing)
        return min((watch.heard_at for watch in served), default=self._clock.monotonic())

    def why_unread(self, kind: Kind) -> str:
        """Why nothing may be done to objects of a kind; empty when its cache is in step. One that nobody asked for before is listed first."""
        self.ensure(kind)
        if not all(watch.synced.is_set() for watch in self._watches.get(kind.name, ())):
            self.wait()
        return self.gaps().get(kind.name, "")

    def is_missing(self, kind: Kind) -> bool:
        """Whether the cluster does not serve a kind."""
        return any(watch.missing for watch in self._watches.get(kind.name, ()))

    def unserved(self) -> dict[str, str]:
        """Kinds that are watched for and that the cluster does not have, and what to do about each."""
        kinds = [kind for kind in self.kinds if self.is_missing(kind)]
        return {kind.name: not_served(kind.name, kind.api_version, kind.needs) for kind in kinds}

    def find(self, key: ObjectKey) -> Mapping[str, Any] | None:
        """An object as it is known."""
        cache = self._caches.get(key.kind)
        return cache.get(cache.kind.name_of(key)) if cache is not None else None

    def get(self, kind: str, name: Name) -> Mapping[str, Any] | None:
        """The same by kind and name."""
        cache = self._caches.get(kind)
        return cache.get(name) if cache is not None else None

    def items(self, kind: str) -> tuple[tuple[Name, Mapping[str, Any]], ...]:
        """All objects of a kind."""
        cache = self._caches.get(kind)
        return cache.items() if cache is not None else ()

    def put(self, kind: Kind, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take in what the server answered to a request of ours."""
        return self.ensure(kind).put(document)

    def forget(self, kind: Kind, document: Mapping[str, Any]) -> None:
        """We deleted an object."""
        self.ensure(kind).forget(document)

    def users_of(self, claim: Name) -> tuple[Name, ...]:
        """The VMs that stand on a claim."""
        with self.lock:
            return tuple(sorted(self._users.of(claim)))

    def plugged_into(self, network: Name) -> tuple[Name, ...]:
        """The VMs with a NIC on a network."""
        with self.lock:
            return tuple(sorted(self._plugged.of(network)))

    def sized_by(self, instancetype: ObjectKey) -> tuple[Name, ...]:
        """The VMs that name an instancetype or a preference."""
        with self.lock:
            return tuple(sorted(self._sized.of(instancetype)))

    def settle(self, key: ObjectKey, fields: tuple[KeptField, ...]) -> None:
        """The server keeps these fields in another form than they were sent."""
        with self.lock:
            if fields:
                self._settled[key] = fields
            else:
                self._settled.pop(key, None)

    def settled(self, key: ObjectKey) -> tuple[KeptField, ...]:
        """What `settle` was told."""
        return self._settled.get(key, ())

    def take_touched_disks(self) -> frozenset[Name]:
        """Names under which a claim or a DataVolume changed since this was asked last; whoever takes them looks after them."""
        with self.lock:
            touched, self._touched = frozenset(self._touched), set()
            return touched

    def touch_disks(self, names: Iterable[Name]) -> None:
        """Somebody has to look after these names (again)."""
        with self.lock:
            self._touched.update(names)

    def changes(self) -> Iterator[ObjectKey]:
        """Keys of what changed; ends after `close`."""
        while (key := self._queue.get()) is not None:
            yield key

    def look_everywhere(self) -> None:
        """Tell `changes` that anything may have changed."""
        self._queue.put(EVERYTHING)

    def close(self) -> None:
        """End `changes` and the watches."""
        for watch in self._all_watches():
            watch.close()
        self._queue.put(None)

    def _all_watches(self) -> Collection[Watch]:
        with self.lock:
            return [watch for watches in self._watches.values() for watch in watches]

    def _changed(
        self, kind: Kind, name: Name, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        """A cache changed; called with the lock held."""
        told = [ObjectKey(VM, *name) if kind.name == INSTANCE else key_of(kind, name, after or before or {})]
        if kind.name == VM:
            was, now = claims_of(before, name[0]), claims_of(after, name[0])
            self._users.move(name, was, now)
            told += [ObjectKey(one, *claim) for claim in was ^ now for one in CLAIM_KINDS]
            plugged, plugs = networks_of(before, name[0]), networks_of(after, name[0])
            self._plugged.move(name, plugged, plugs)
            sized, sizes = _sizing_names(before, name[0]), _sizing_names(after, name[0])
            self._sized.move(name, sized, sizes)
            told += sized ^ sizes
        told += [ObjectKey(VM, *user) for user in self._sized.of(told[0])]
        if kind.name == CLAIM:
            told.append(ObjectKey(DATA_VOLUME, *name))
        if kind.name in CLAIM_KINDS:
            self._touched.add(name)
            told += [ObjectKey(VM, *user) for user in self._users.of(name)]
        for key in told:
            self._queue.put(key)


def _sizing_names(vm: Mapping[str, Any] | None, namespace: str) -> frozenset[ObjectKey]:
    found = (instancetype_of(vm, namespace), preference_of(vm, namespace)) if vm is not None else ()
    return frozenset(key for key in found if key is not None)


def key_of(kind: Kind, name: Name, document: Mapping[str, Any]) -> ObjectKey:
    """The key of an object as it is served. One that is gitvirt's says it itself: of other kinds the namespace may be another."""
    said = str(annotations_of(document).get(TRACKING, ""))
    if not kind.namespaced and said.startswith(f"{kind.name}/") and said.endswith(f"/{name[1]}"):
        return ObjectKey.parse(said)
    return ObjectKey(kind.name, *name)
