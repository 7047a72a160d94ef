"""libvirt's events as keys: where to look, never what to do.

A callback runs in the event loop's thread and must not wait, so it only queues. The end of a guest goes through a second
thread that first writes down on the domain why and when it ended (libvirt forgets that when it restarts), then emits.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import libvirt
import structlog

from nodeexec.libvirt import stored_watch
from nodeexec.libvirt.domain_names import DomainNames
from nodeexec.libvirt.errors import Fault, fault_of
from nodeexec.libvirt.naming import CLAIM_KINDS, claim_of_volume, key_of_network
from nodeexec.libvirt.pool_watch import PoolWatch
from nodeexec.libvirt.stored_watch import SYSTEM_DIRECTORY, StoredWatch, session_directory
from reconciler.model.errors import EngineError
from reconciler.model.keys import ObjectKey
from reconciler.model.power import StopReason
from reconciler.ports import EVERYTHING

_log = structlog.get_logger("gitvirt.libvirt")

_STOPPED = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: StopReason.GUEST,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: StopReason.DESTROYED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: StopReason.FAILED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: StopReason.DESTROYED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: StopReason.FAILED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT: StopReason.DESTROYED,
}
"""Why a guest ended, as libvirt's lifecycle event tells it; a migrated one ended for no reason we know."""

_DOMAIN_EVENTS = (
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
    libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
    libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE,
)

EndRecorder = Callable[[str, StopReason], None]
"""Writes on the domain of that name why it ended; must not raise for a domain that is gone."""


class EventStream:
    """Keys from libvirt and from the engine's own background work, in the order in which they came.

    Nothing is registered before `listen`: a command that only plans neither listens nor writes.
    """

    generation: int
    """Counts lost connections: what was kept up to date by events of an earlier one may be stale."""

    def __init__(self, names: DomainNames | None = None) -> None:
        self._names = names or DomainNames()
        self._record_end: EndRecorder = _nobody
        self._agent_changed: Callable[[str], None] = _nobody
        self._keys: queue.SimpleQueue[ObjectKey | None] = queue.SimpleQueue()
        self._ends: queue.SimpleQueue[tuple[str, StopReason] | None] = queue.SimpleQueue()
        self._own_refreshes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._listening = False
        self._handed_out = False
        self._lost = False
        self._recorder: threading.Thread | None = None
        self._touched: set[str] = set()
        self._registered: list[tuple[Any, Callable[[int], object], int]] = []
        everything = partial(self.emit, EVERYTHING)
        self._stored = StoredWatch(domain=self._emit_domain, network=self._emit_network, overflowed=everything)
        self._pool_files = PoolWatch(changed=self._emit_volume, unsure=everything)
        self._adopted: Collection[str] = ()
        self.generation = 0

    def serve(self, *, record_end: EndRecorder, agent_changed: Callable[[str], None]) -> None:
        """Who is told of a guest's end, and of an agent that came or went, before the key goes out."""
        self._record_end = record_end
        self._agent_changed = agent_changed

    @property
    def listening(self) -> bool:
        """Whether events are taken note of."""
        return self._listening

    def listen(self, connection: Any) -> None:
        """Take note of events on ``connection`` and every later one, from the first call on.

        Raises:
            libvirt.libvirtError: the connection refuses.
        """
        with self._lock:
            if self._listening:
                return
            self._listening = True
            self._recorder = threading.Thread(target=self._record_ends, name="libvirt-ends", daemon=True)
            self._recorder.start()
        self.register(connection)
        self._pool_files.begin()
        match connection.getURI():
            case stored_watch.SYSTEM_URI:
                self._stored.begin(SYSTEM_DIRECTORY)
            case stored_watch.SESSION_URI:
                self._stored.begin(session_directory(), networks=False)

    def start(self, connection: Any) -> Iterator[ObjectKey]:
        """Listen, and hand the keys out. The iterator blocks between events and ends with `close`.

        Raises:
            libvirt.libvirtError: the connection refuses.
        """
        self._handed_out = True
        self.listen(connection)
        return iter(self._keys.get, None)

    def opened(self, connection: Any) -> None:
        """A new connection: listen there, and look everywhere when an earlier one was lost."""
        if not self._listening:
            return
        self.register(connection)
        if self._lost:
            self._lost = False
            self.emit(EVERYTHING)

    def lost(self) -> None:
        """The connection broke: events may have been missed. Whoever looks now finds out, and says so."""
        self._lost = True
        self.generation += 1
        with self._lock:
            self._own_refreshes.clear()
        self.emit(EVERYTHING)

    def emit(self, key: ObjectKey) -> None:
        """Say that there is something to see at ``key``."""
        if self._handed_out:
            self._keys.put(key)

    def watch_pools(self, directories: Collection[Path], adopted: Collection[str]) -> None:
        """Take note of volumes that go from these directories. ``adopted`` are all that bear no name of gitvirt's."""
        self._adopted = adopted
        self._pool_files.keep(directories)

    def expect_back(self, path: Path) -> None:
        """A volume is lost: take note of its file's return."""
        self._pool_files.expect_back(path)

    def expect_refresh(self, pool: str) -> None:
        """We refresh a pool ourselves now: its event is no news."""
        if self._listening:
            with self._lock:
                self._own_refreshes[pool] += 1

    def refresh_failed(self, pool: str) -> None:
        """That refresh did not happen, so no event of it will come."""
        with self._lock:
            self._own_refreshes[pool] = max(0, self._own_refreshes[pool] - 1)

    def close(self) -> None:
        """End the iterator and the recorder."""
        self._stored.end()
        self._pool_files.end()
        self._ends.put(None)
        self._keys.put(None)

    def register(self, connection: Any) -> None:
        """Ask for events; a driver that has no such kind (the test driver) is left without."""
        domain, network, pool = (
            connection.domainEventRegisterAny,
            connection.networkEventRegisterAny,
            connection.storagePoolEventRegisterAny,
        )
        wanted: tuple[tuple[Callable[..., Any], int, Callable[..., None]], ...] = (
            (domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
            (domain, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, self._on_agent),
            *((domain, event, self._on_domain) for event in _DOMAIN_EVENTS),
            (network, libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, self._on_network),
            (pool, libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, self._on_pool),
            (pool, libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, self._on_pool_refresh),
        )
        undo = {
            domain: connection.domainEventDeregisterAny,
            network: connection.networkEventDeregisterAny,
            pool: connection.storagePoolEventDeregisterAny,
        }
        for register, event, callback in wanted:
            number = _ask(register, event, callback)
            if number is not None:
                self._registered.append((connection, undo[register], number))

    def deregister(self, connection: Any) -> None:
        """Take back what was registered on a connection, so that nothing keeps it alive. It may be dead already."""
        mine = [entry for entry in self._registered if entry[0] is connection]
        self._registered = [entry for entry in self._registered if entry[0] is not connection]
        for _, undo, number in mine:
            try:
                undo(number)
            except libvirt.libvirtError as error:
                _log.debug("event.not_deregistered", error=str(error))

    def take_touched(self) -> frozenset[str]:
        """Names of the domains that events named since the last time."""
        with self._lock:
            touched, self._touched = frozenset(self._touched), set()
        return touched

    def _emit_domain(self, name: str) -> None:
        with self._lock:
            self._touched.add(name)
        key = self._names.key(name)
        if key is not None:
            self.emit(key)

    def _on_lifecycle(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            self._ends.put((domain.name(), _STOPPED.get(detail, StopReason.UNKNOWN)))
        else:
            self._emit_domain(domain.name())

    def _on_agent(self, _connection: Any, domain: Any, _state: int, _reason: int, _opaque: object) -> None:
        self._agent_changed(domain.name())
        self._emit_domain(domain.name())

    def _on_domain(self, _connection: Any, domain: Any, *_details: object) -> None:
        self._emit_domain(domain.name())

    def _on_network(self, _connection: Any, network: Any, _event: int, _detail: int, _opaque: object) -> None:
        self._emit_network(network.name())

    def _emit_network(self, name: str) -> None:
        key = key_of_network(name)
        if key is not None:
            self.emit(key)

    def _emit_volume(self, name: str) -> None:
        claim = claim_of_volume(name)
        if claim is not None:
            # Which kind of claim it was is for the look to say.
            for kind in CLAIM_KINDS:
                self.emit(ObjectKey(kind, claim[0], claim[1]))
        elif name in self._adopted:
            self.emit(EVERYTHING)

    def _on_pool(self, _connection: Any, _pool: Any, _event: int, _detail: int, _opaque: object) -> None:
        self.emit(EVERYTHING)

    def _on_pool_refresh(self, _connection: Any, pool: Any, _opaque: object) -> None:
        with self._lock:
            if self._own_refreshes[pool.name()] > 0:
                self._own_refreshes[pool.name()] -= 1
                return
        self.emit(EVERYTHING)

    def _record_ends(self) -> None:
        while (end := self._ends.get()) is not None:
            name, reason = end
            try:
                self._record_end(name, reason)
            except libvirt.libvirtError as error:
                if fault_of(error) is Fault.NOT_FOUND:
                    continue  # undefined meanwhile: nothing is left to write it on
                _log.warning("end.not_recorded", domain=name, reason=str(reason), error=str(error))
            except EngineError as error:  # libvirtd is away: the next end has to be heard all the same
                _log.warning("end.not_recorded", domain=name, reason=str(reason), error=str(error))
            finally:
                self._emit_domain(name)


def _nobody(*_facts: object) -> None:
    """Until `EventStream.serve` nobody is told."""


def _ask(register: Callable[..., Any], event: int, callback: Callable[..., None]) -> int | None:
    """The callback's number; None where the driver has no such event."""
    try:
        return int(register(None, event, callback, None))
    except libvirt.libvirtError as error:
        if fault_of(error) is not Fault.PERMANENT:
            raise
        _log.debug("event.unsupported", event=event)
        return None
