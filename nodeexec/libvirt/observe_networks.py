"""libvirt networks as live objects, and their leases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import libvirt

from nodeexec.libvirt import network_xml
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.errors import Fault, fault_of
from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks, from_metadata
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Lease, LiveNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReading:
    """One network at one moment. ``xml`` is its stored configuration."""

    name: str
    handle: Any
    xml: str
    active: bool
    autostart: bool
    marks: DomainMarks | UnreadableMarks | None


def find_network(connection: Connection, name: str) -> NetworkReading | None:
    """A network by name; None when there is none.

    Raises:
        libvirt.libvirtError: libvirt did not answer.
    """
    try:
        return read_network(connection.get().networkLookupByName(name))
    except libvirt.libvirtError as error:
        if fault_of(error) is Fault.NOT_FOUND:
            return None
        raise


def read_network(handle: Any) -> NetworkReading:
    """One network.

    Raises:
        libvirt.libvirtError: it went away, or libvirt did not answer.
    """
    persistent = bool(handle.isPersistent())
    xml = handle.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE if persistent else 0)
    return NetworkReading(
        name=handle.name(),
        handle=handle,
        xml=xml,
        active=bool(handle.isActive()),
        autostart=persistent and bool(handle.autostart()),
        marks=from_metadata(xml),
    )


def live_network(key: ObjectKey, reading: NetworkReading, users: Iterable[ObjectKey]) -> LiveNetwork:
    """The live object, leases included.

    Raises:
        ValueError: its XML cannot be understood.
        libvirt.libvirtError: libvirt did not answer.
    """
    marks = reading.marks if isinstance(reading.marks, DomainMarks) else None
    live = LiveNetwork(
        key=key,
        fingerprint="",
        marks=marks.marks if marks is not None else None,
        network=network_xml.parse(reading.xml),
        active=reading.active,
        autostart=reading.autostart,
    )
    return replace(
        live,
        fingerprint=hashlib.sha256(repr(live).encode()).hexdigest()[:24],
        leases=leases_of(reading.handle) if reading.active else (),
        used_by=tuple(sorted(users)),
    )


def leases_of(handle: Any) -> tuple[Lease, ...]:
    """What the network's DHCP server gave out; nothing where it has none.

    Raises:
        libvirt.libvirtError: libvirt did not answer.
    """
    try:
        found: list[Mapping[str, Any]] = handle.DHCPLeases()
    except libvirt.libvirtError as error:
        if fault_of(error) is Fault.LOST:
            raise
        return ()
    leases = (
        Lease(
            mac=str(entry.get("mac") or "").lower(),
            ip=str(entry.get("ipaddr") or ""),
            hostname=str(entry.get("hostname") or ""),
        )
        for entry in found
    )
    return tuple(sorted((lease for lease in leases if lease.mac and lease.ip), key=lambda lease: (lease.mac, lease.ip)))


class Leases:
    """Leases by MAC, asked once a network within one observation."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asked: dict[str, Mapping[str, tuple[str, ...]]] = {}

    def by_mac(self, networks: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Addresses by MAC on the libvirt networks of these names; one that is gone has none."""
        merged: dict[str, tuple[str, ...]] = {}
        for name in networks:
            if name not in self._asked:
                self._asked[name] = self._ask(name)
            merged.update(self._asked[name])
        return merged

    def _ask(self, name: str) -> Mapping[str, tuple[str, ...]]:
        try:
            handle = self._connection.get().networkLookupByName(name)
            leases = leases_of(handle) if handle.isActive() else ()
        except libvirt.libvirtError as error:
            if fault_of(error) is Fault.LOST:
                raise
            return {}
        by_mac: dict[str, tuple[str, ...]] = {}
        for lease in leases:
            by_mac[lease.mac] = (*by_mac.get(lease.mac, ()), lease.ip)
        return by_mac
