"""Rows for NICs: one ``<interface>`` an item.

*Source*: libvirt's "Domain XML format": Network interfaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.libvirt.codecs import LOWER, NUMBER, TEXT, Codec
from nodeexec.libvirt.naming import FOREIGN, DeviceKind, interface_network, name_of, network_of_interface
from nodeexec.libvirt.safe_xml import Element
from nodeexec.libvirt.table import Devices, Joint, Reading, Row, Writing
from nodeexec.libvirt.xml_place import add, find, read
from reconciler.model.domain import InterfaceSpec
from reconciler.model.keys import POD_NETWORK


def read_network(nic: Element, reading: Reading) -> Mapping[str, Any]:
    """A NIC that is plugged into no libvirt network is foreign, whatever it is plugged into."""
    network = _network_of(nic)
    given = reading.adopted.networks.get(place_of(nic)) if reading.adopted is not None else None
    if given is not None:
        return {"network": given}
    if network is not None:
        return {"network": interface_network(network, reading.owner)}
    if nic.get("type") == "user" and name_of(read(nic, "alias@name") or "", DeviceKind.INTERFACE) is not None:
        return {"network": str(POD_NETWORK)}
    return {"network": f"{FOREIGN}{place_of(nic)}"}


def _network_of(nic: Element) -> str | None:
    """The libvirt network of a NIC. One on a bridge of the host runs as type ``bridge``, one beside an
    interface (macvlan) as ``direct``; both still name their network."""
    source = find(nic, "source")
    if source is None:
        return None
    return source.get("network") or ("" if nic.get("type") == "network" else None)


def place_of(nic: Element) -> str:
    """What a NIC is plugged into, in words: ``bridge br0``, ``network default``, ``user``."""
    kind, source = nic.get("type", ""), find(nic, "source")
    if source is None:
        return kind
    network = _network_of(nic)
    if network is not None:
        return f"network {network}"
    said = source.get("bridge") or source.get("dev") or source.get("name") or ""
    return f"{kind} {said}".strip()


def write_network(element: Element, nic: InterfaceSpec, writing: Writing) -> None:
    """Raises ValueError for a foreign network, which is only ever read and never built."""
    if nic.network.startswith(FOREIGN):
        raise ValueError(f"interface {nic.name!r} is plugged into {nic.network} and cannot be built")
    if writing.host.user_network and nic.network == str(POD_NETWORK):
        element.set("type", "user")
        return
    element.set("type", "network")
    add(element, "source", network=network_of_interface(nic.network, writing.host.owner))


def foreign_interface_name(nic: Element) -> str:
    """``foreign:52:54:00:…`` for a NIC without gitvirt's alias."""
    return f"{FOREIGN}{(read(nic, 'mac@address') or '').lower()}"


INTERFACES = Devices(
    list_field="interfaces",
    kind=DeviceKind.INTERFACE,
    element="interface",
    item=InterfaceSpec,
    foreign_key=foreign_interface_name,
    rows=(
        Row(field="mac", places=("mac@address",), codec=LOWER),
        Joint(fields=("network",), read=read_network, write=write_network, knows=("source",)),
        Row(field="model", places=("model@type",), codec=TEXT),
        Row(field="mtu", places=("mtu@size",), codec=NUMBER),
        Row(
            field="link_up",
            places=("link@state",),
            codec=Codec(lambda up: None if up else "down", lambda text: text != "down"),
        ),
        Row(field="boot_order", places=("boot@order",), codec=NUMBER),
    ),
    knows=("alias", "address", "target", "driver", "actual", "backend"),
)
