"""Domains as libvirt has them: reading both halves at little cost, and the marks on them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

import libvirt

from nodeexec.libvirt.adopted import adoption_of
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.domain_names import DomainNames
from nodeexec.libvirt.domain_xml import KEPT_PREFIX, KEPT_URI
from nodeexec.libvirt.errors import Fault, fault_of
from nodeexec.libvirt.marks import (
    MARKS_PREFIX,
    MARKS_URI,
    DomainMarks,
    UnreadableMarks,
    from_metadata,
    to_metadata,
)
from nodeexec.libvirt.naming import domain_name
from nodeexec.libvirt.safe_xml import Element, parse_xml
from reconciler.model.keys import ObjectKey
from reconciler.model.power import PowerState, StopReason
from reconciler.ports import Clock

_POWER = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.STOPPING,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.OFF,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
}
_ENDED = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: StopReason.GUEST,
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: StopReason.DESTROYED,
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: StopReason.FAILED,
    libvirt.VIR_DOMAIN_SHUTOFF_SAVED: StopReason.DESTROYED,
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED: StopReason.FAILED,
    libvirt.VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT: StopReason.DESTROYED,
}


_SAME_END = timedelta(seconds=10)
"""An end that is told twice (by the one who pulled the plug and by the event) is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainReading:
    """One domain at one moment. ``stored_xml`` None is a transient domain, ``running_xml`` None one that is off.
    ``ended`` is libvirt's own word on why it is off, None when it does not know. ``handle`` is the ``virDomain``.
    """

    name: str
    handle: Any
    stored_xml: str | None
    running_xml: str | None
    power: PowerState
    ended: StopReason | None
    marks: DomainMarks | UnreadableMarks | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainUses:
    """What a domain stands on. ``volumes`` are (pool, volume), ``paths`` files and devices, both with all backing files;
    ``networks`` are libvirt networks. ``running`` says the same of the running half alone.
    """

    volumes: frozenset[tuple[str, str]] = frozenset()
    paths: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()

    def has_volume(self, pool: str, target: PurePosixPath, volume: str) -> bool:
        """Whether a file of a pool is among them, by either way of naming it."""
        return (pool, volume) in self.volumes or str(target / volume) in self.paths


class Domains:
    """Looks domains up and keeps what is dear: marks by text, one lock a domain for changes of its marks."""

    def __init__(self, connection: Connection, clock: Clock, owner: str, names: DomainNames) -> None:
        self._connection = connection
        self._names = names
        self._clock = clock
        self._owner = owner
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._locks_lock = threading.Lock()
        self._marks: dict[str, tuple[str, DomainMarks | UnreadableMarks | None]] = {}

    def lock(self, name: str) -> threading.RLock:
        """Held while a domain's marks or power are changed."""
        with self._locks_lock:
            return self._locks[name]

    def find(self, name: str) -> Any:
        """The ``virDomain``, None when there is none of the name.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        try:
            return self._connection.get().lookupByName(name)
        except libvirt.libvirtError as error:
            if fault_of(error) is Fault.NOT_FOUND:
                return None
            raise

    def name(self, key: ObjectKey) -> str:
        """The domain of a VM: an adopted one's own name, else the one that gitvirt gives.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        if not self._names.complete:
            for handle in self.all():
                self.read(handle)
            self._names.complete = True
        return self._names.name(key)

    def key(self, name: str) -> ObjectKey | None:
        """The VM that a domain of that name is."""
        return self._names.key(name)

    def find_vm(self, key: ObjectKey) -> Any:
        """The ``virDomain`` of a VM, None when there is none.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        name, own = self.name(key), domain_name(key)
        handle = self.find(name)
        if handle is None and name != own:
            # The adopted domain is gone; one that was made since has the usual name.
            self._names.note(name, None)
            name, handle = own, self.find(own)
        return handle if self.key(name) == key else None

    def all_are_known(self) -> None:
        """Every domain was read just now."""
        self._names.complete = True

    def all(self) -> list[Any]:
        """Every ``virDomain`` of the host."""
        return list(self._connection.get().listAllDomains(0))

    def read(self, handle: Any) -> DomainReading | None:
        """Both halves of a domain; None when it went away meanwhile.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        try:
            name = handle.name()
            state, reason = handle.state(0)
            power = _POWER.get(state, PowerState.UNKNOWN)
            off = power is PowerState.OFF
            persistent = off or bool(handle.isPersistent())
            stored = handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if persistent else None
            running = None if off else self._running_xml(handle)
        except libvirt.libvirtError as error:
            if fault_of(error) is Fault.NOT_FOUND:
                return None
            raise
        if running is None and not off:
            return self.read(handle)
        return DomainReading(
            name=name,
            handle=handle,
            stored_xml=stored,
            running_xml=running,
            power=power,
            ended=_ENDED.get(reason) if off else None,
            marks=self.marks_in(name, stored or running or ""),
        )

    def marks_in(self, name: str, xml: str) -> DomainMarks | UnreadableMarks | None:
        """The marks in a domain's XML; parsed again only when they changed."""
        start = xml.find("<metadata>")
        text = xml[start : xml.find("</metadata>") + len("</metadata>")] if start >= 0 else ""
        known = self._marks.get(name)
        if known is None or known[0] != text:
            known = (text, from_metadata(text) if text else None)
            self._marks[name] = known
            self._note(name, known[1])
        return known[1]

    def _note(self, name: str, marks: DomainMarks | UnreadableMarks | None) -> None:
        """Marks of another owner name no VM of ours."""
        ours = isinstance(marks, DomainMarks) and marks.marks.owner == self._owner
        adoption = adoption_of(marks) if ours else None
        self._names.note(name, adoption.key if adoption is not None else None)

    def owned(self, reading: DomainReading) -> DomainMarks | None:
        """The marks when they are ours and readable."""
        marks = reading.marks
        return marks if isinstance(marks, DomainMarks) and marks.marks.owner == self._owner else None

    def write_marks(self, handle: Any, marks: DomainMarks | None) -> None:
        """Put marks on a domain, in both halves; None takes them off.

        Raises:
            libvirt.libvirtError: libvirt refuses or did not answer.
        """
        flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG if handle.isPersistent() else 0
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE if handle.isActive() else 0
        text = to_metadata(marks) if marks is not None else None
        handle.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, MARKS_PREFIX, MARKS_URI, flags)
        if marks is None:
            handle.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, KEPT_PREFIX, KEPT_URI, flags)

    def change_marks(self, handle: Any, change: Callable[[DomainMarks], DomainMarks]) -> DomainMarks | None:
        """Read, change and write our marks as one act; None when the domain is not ours (any more).

        Raises:
            libvirt.libvirtError: libvirt refuses or did not answer.
        """
        with self.lock(handle.name()):
            reading = self.read(handle)
            marks = self.owned(reading) if reading is not None else None
            if marks is None:
                return None
            after = change(marks)
            if after != marks:
                self.write_marks(handle, after)
            return after

    def record_end(self, name: str, reason: StopReason) -> None:
        """Write down why and when a guest of ours ended, unless it is known, or the guest runs again.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        with self.lock(name):
            handle = self.find(name)
            if handle is not None and not handle.isActive():
                self.change_marks(handle, lambda marks: self.ended(marks, reason))

    def ended(self, marks: DomainMarks, reason: StopReason) -> DomainMarks:
        """The marks of a guest that has just ended. One that we asked to stop ended because of us."""
        now, known_since = self._clock.now(), marks.history.ended_at
        if marks.end_reason is not None and known_since is not None and abs(now - known_since) < _SAME_END:
            return marks
        by_us = marks.end_reason is None and marks.history.stop_requested_at is not None
        return replace(
            marks,
            history=replace(marks.history, ended_at=now),
            end_reason=StopReason.GITVIRT if by_us else reason,
            extra={name: value for name, value in marks.extra.items() if name != "starting"},
        )

    @staticmethod
    def _running_xml(handle: Any) -> str | None:
        """None when the guest ended between two questions."""
        xml: str = handle.XMLDesc(0)
        return xml if handle.isActive() else None


def uses_of(*halves: str | None) -> DomainUses:
    """What the given halves of a domain stand on.

    Raises:
        ValueError: a half is no XML.
    """
    volumes: set[tuple[str, str]] = set()
    paths: set[str] = set()
    networks: set[str] = set()
    for half in halves:
        if half is None:
            continue
        root = parse_xml(half)
        for disk in root.iterfind("devices/disk"):
            _disk_uses(disk, volumes, paths)
        for loader in ("os/nvram", "os/loader", "os/kernel", "os/initrd"):
            if text := root.findtext(loader):
                paths.add(text)
        networks.update(s.get("network", "") for s in root.iterfind("devices/interface/source") if s.get("network"))
    return DomainUses(volumes=frozenset(volumes), paths=frozenset(paths), networks=frozenset(networks))


def _disk_uses(disk: Element, volumes: set[tuple[str, str]], paths: set[str]) -> None:
    """The disk's own source, all that stand below it, and the target of a copy under way."""
    for source in disk.iter("source"):
        pool, volume = source.get("pool"), source.get("volume")
        if pool and volume:
            volumes.add((pool, volume))
        for attribute in ("file", "dev"):
            if path := source.get(attribute):
                paths.add(path)
