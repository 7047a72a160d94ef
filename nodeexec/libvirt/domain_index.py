"""Which domain stands on which volumes and networks. Kept between observations; events say what to read again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nodeexec.libvirt.domains import DomainReading, Domains, DomainUses, uses_of
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.pools import Pool
from reconciler.model.keys import ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedDomain:
    """A domain's uses by both halves, and by its running half alone (None when it is off)."""

    key: ObjectKey
    name: str
    digest: str
    uses: DomainUses
    running: DomainUses | None


class DomainIndex:
    """Answers who uses what. A fresh answer reads every domain; another one only those that events named."""

    def __init__(self, domains: Domains, events: EventStream, owner: str) -> None:
        self._domains = domains
        self._events = events
        self._owner = owner
        self._lock = threading.Lock()
        self._entries: dict[str, IndexedDomain] = {}
        self._complete = False
        self._generation = events.generation

    def put(self, readings: Iterable[DomainReading], *, complete: bool) -> None:
        """Take in what was read. ``complete``: these are all domains there are.

        Raises:
            ValueError: a domain's XML cannot be read, so that nobody knows what it uses.
        """
        with self._lock:
            entries = {reading.name: self._entry(reading) for reading in readings}
            self._entries = entries if complete else {**self._entries, **entries}
            self._complete = self._complete or complete

    def begin(self) -> None:
        """Everything is read now: what events named before is in it."""
        self._events.take_touched()
        self._generation = self._events.generation

    def refresh(self, *, fresh: bool) -> None:
        """Bring the index up to date: all of it when ``fresh`` or when nobody listens to events.

        Raises:
            libvirt.libvirtError, ValueError: a domain cannot be read.
        """
        generation = self._events.generation
        stale = not self._complete or generation != self._generation
        if fresh or stale or not self._events.listening:
            self._events.take_touched()
            self._generation = generation
            readings = (self._domains.read(handle) for handle in self._domains.all())
            self.put([reading for reading in readings if reading is not None], complete=True)
            return
        touched = self._events.take_touched()
        handles = {handle.name(): handle for handle in self._domains.all()}
        with self._lock:
            known = set(self._entries)
            for name in known - set(handles):
                del self._entries[name]
        again = [self._domains.read(handle) for name, handle in handles.items() if name in touched or name not in known]
        self.put([reading for reading in again if reading is not None], complete=False)

    def users_of_volume(self, pool: Pool, volume: str, *, running: bool = False) -> tuple[ObjectKey, ...]:
        """The domains that name a file of a pool, sorted; with ``running`` only guests that have it open."""
        target = PurePosixPath(pool.target)
        return self._users(lambda uses: uses.has_volume(pool.name, target, volume), running=running)

    def users_of_path(self, path: str) -> tuple[ObjectKey, ...]:
        """The domains that name a file by its path, sorted."""
        return self._users(lambda uses: path in uses.paths, running=False)

    def volumes_in(self, pool: str, target: Path) -> frozenset[str]:
        """The volumes of a pool that domains of ours name. A domain is defined after its volumes are made, so they were there."""
        with self._lock:
            uses = [entry.uses for entry in self._entries.values() if entry.key.namespace]
        by_name = {volume for use in uses for name, volume in use.volumes if name == pool}
        paths = (PurePosixPath(path) for use in uses for path in use.paths)
        return frozenset(by_name | {path.name for path in paths if path.parent == PurePosixPath(target)})

    def names_volumes_of(self, pool: str) -> bool:
        """Whether a domain of ours names a volume of the pool."""
        with self._lock:
            return any(
                name == pool
                for entry in self._entries.values()
                if entry.key.namespace
                for name, _ in entry.uses.volumes
            )

    def users_of_network(self, network: str) -> tuple[ObjectKey, ...]:
        """The domains that are plugged into a libvirt network, sorted."""
        return self._users(lambda uses: network in uses.networks, running=False)

    def runs_on_network(self, key: ObjectKey, network: str) -> bool:
        """Whether a running domain is plugged into a libvirt network."""
        return key in self._users(lambda uses: network in uses.networks, running=True)

    def _users(self, asks: Callable[[DomainUses], bool], *, running: bool) -> tuple[ObjectKey, ...]:
        with self._lock:
            entries = tuple(self._entries.values())
        halves = ((entry.key, entry.running if running else entry.uses) for entry in entries)
        return tuple(sorted(key for key, uses in halves if uses is not None and asks(uses)))

    def _entry(self, reading: DomainReading) -> IndexedDomain:
        halves = (reading.stored_xml or "") + "\0" + (reading.running_xml or "")
        digest = hashlib.blake2b(halves.encode(), digest_size=16).hexdigest()
        known = self._entries.get(reading.name)
        if known is not None and known.digest == digest:
            return known
        own = self._domains.key(reading.name)
        marks = reading.marks
        ours = isinstance(marks, DomainMarks) and marks.marks.owner == self._owner
        return IndexedDomain(
            key=own if own is not None and ours else ObjectKey("VirtualMachine", "", reading.name),
            name=reading.name,
            digest=digest,
            uses=uses_of(reading.stored_xml, reading.running_xml),
            running=uses_of(reading.running_xml) if reading.running_xml is not None else None,
        )
