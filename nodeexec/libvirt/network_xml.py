"""`NetworkSpec` to libvirt network XML and back.

*Source*: libvirt's "Network XML format".
"""

from __future__ import annotations

import ipaddress

from lxml import etree

from nodeexec.libvirt.marks import MARKS_PREFIX, MARKS_URI
from nodeexec.libvirt.naming import bridge_mac, bridge_name, network_uuid
from nodeexec.libvirt.safe_xml import Element, parse_xml, to_text
from nodeexec.libvirt.xml_place import add, ensure, find, read
from reconciler.model.resolved import NetworkSpec

_FORWARD = {"bridge": "bridge", "private": "private", "vepa": "vepa", "passthru": "passthrough"}
"""CNI's macvlan mode → libvirt's forward mode."""

_CNI_MODES = {forward: mode for mode, forward in _FORWARD.items()}


def build(spec: NetworkSpec, name: str, *, metadata: str = "") -> str:
    """The network XML to define. ``name`` is `naming.network_name`, ``metadata`` the element of `marks.to_metadata`.
    UUID, bridge name and the bridge's MAC follow from the name. A bridge or an interface of the host is named and nothing else.
    """
    root = etree.Element("network")
    add(root, "name", name)
    add(root, "uuid", network_uuid(name))
    if metadata:
        given = parse_xml(metadata)
        marks = etree.SubElement(ensure(root, "metadata"), f"{{{MARKS_URI}}}marks", None, {MARKS_PREFIX: MARKS_URI})
        for attribute, value in given.attrib.items():
            marks.set(attribute, value)
        marks.text = given.text
    if spec.master:
        add(add(root, "forward", mode=_FORWARD[spec.mode]), "interface", dev=spec.master)
        return to_text(root)
    bridge = spec.bridge or bridge_name(name)
    if spec.host_bridge:
        add(root, "forward", mode="bridge")
        add(root, "bridge", name=bridge)
        return to_text(root)
    if spec.nat:
        add(root, "forward", mode="nat")
    # Only guests' taps are on this bridge, so it has no loop to find; spanning tree would keep a new NIC deaf for seconds.
    add(root, "bridge", name=bridge, stp="off", delay="0")
    if spec.mtu:
        add(root, "mtu", size=str(spec.mtu))
    add(root, "mac", address=bridge_mac(name))
    if spec.domain:
        add(root, "domain", name=spec.domain, localOnly="yes")
    if spec.address:
        _write_address(root, spec)
    return to_text(root)


def _write_address(root: Element, spec: NetworkSpec) -> None:
    host = ipaddress.ip_interface(spec.address)
    element = add(root, "ip", address=str(host.ip), prefix=str(host.network.prefixlen))
    if host.version == 6:
        element.set("family", "ipv6")
    if spec.dhcp_range:
        add(add(element, "dhcp"), "range", start=spec.dhcp_range[0], end=spec.dhcp_range[1])


def parse(xml: str) -> NetworkSpec:
    """Read a network's XML. A bridge that is named as `build` would name it reads as empty.

    Raises:
        ValueError: it is no network's XML.
    """
    root = parse_xml(xml)
    if root.tag != "network":
        raise ValueError(f"<{root.tag}> is no network")
    name, bridge = read(root, "name") or "", read(root, "bridge@name") or ""
    mode = read(root, "forward@mode") or ""
    if master := read(root, "forward/interface@dev"):
        return NetworkSpec(master=master, mode=_CNI_MODES.get(mode, mode))
    if mode == "bridge":
        return NetworkSpec(bridge=bridge, host_bridge=True)
    return NetworkSpec(
        bridge="" if bridge == bridge_name(name) else bridge,
        address=_read_address(root),
        dhcp_range=_read_range(root),
        nat=mode == "nat",
        mtu=int(read(root, "mtu@size") or 0),
        domain=read(root, "domain@name") or "",
    )


def _read_address(root: Element) -> str:
    element = find(root, "ip")
    if element is None:
        return ""
    length = element.get("prefix") or element.get("netmask") or ""
    address = element.get("address", "")
    return str(ipaddress.ip_interface(f"{address}/{length}" if length else address))


def _read_range(root: Element) -> tuple[str, str] | tuple[()]:
    start, end = read(root, "ip/dhcp/range@start"), read(root, "ip/dhcp/range@end")
    return (start, end) if start and end else ()
