"""What guests say of themselves through the agent, asked in the background and kept for a while.

A guest can hang; a cycle must not. So nobody ever waits for an agent: what it said last is used, and a worker asks again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import libvirt

from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.domain_names import DomainNames
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.settings import LibvirtSettings
from reconciler.model.errors import EngineError
from reconciler.ports import Clock, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFacts:
    """``interfaces`` are (MAC, name in the guest, addresses)."""

    answered: bool = False
    os: str = ""
    hostname: str = ""
    interfaces: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


SILENT = GuestFacts()


class GuestAgents:
    """The last words of every guest, by domain name."""

    def __init__(
        self,
        connection: Connection,
        settings: LibvirtSettings,
        clock: Clock,
        workers: Workers,
        events: EventStream,
        names: DomainNames,
    ) -> None:
        self._names = names
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._workers = workers
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, GuestFacts]] = {}
        self._events = events

    def facts(self, name: str, *, connected: bool) -> GuestFacts:
        """What the guest said last; asks again in the background when that is old. Never waits."""
        if not connected:
            self.forget(name)
            return SILENT
        with self._lock:
            asked_at, facts = self._known.get(name, (float("-inf"), SILENT))
        if self._clock.monotonic() - asked_at >= self._settings.agent_refresh_s:
            self._workers.background(f"agent {name}", lambda: self._ask(name))
        return facts

    def forget(self, name: str) -> None:
        """The guest is another one now."""
        with self._lock:
            self._known.pop(name, None)

    def _ask(self, name: str) -> None:
        try:
            handle = self._connection.get().lookupByName(name)
            handle.agentSetResponseTimeout(self._settings.agent_timeout_s)
            facts = _listen(handle)
        except (libvirt.libvirtError, EngineError):
            facts = SILENT
        with self._lock:
            before = self._known.get(name, (0.0, SILENT))[1]
            self._known[name] = (self._clock.monotonic(), facts)
        key = self._names.key(name)
        if facts != before and key is not None:
            self._events.emit(key)


def _listen(handle: Any) -> GuestFacts:
    info: dict[str, Any] = handle.guestInfo(
        libvirt.VIR_DOMAIN_GUEST_INFO_OS | libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME, 0
    )
    found: dict[str, Any] = handle.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, 0)
    interfaces = (
        (str(facts.get("hwaddr") or "").lower(), name, tuple(str(a["addr"]) for a in facts.get("addrs") or ()))
        for name, facts in sorted(found.items())
    )
    return GuestFacts(
        answered=True,
        os=str(info.get("os.pretty-name") or info.get("os.name") or ""),
        hostname=str(info.get("hostname") or ""),
        interfaces=tuple(entry for entry in interfaces if entry[0] and entry[0] != "00:00:00:00:00:00"),
    )
