"""Rules for the options of single interfaces and networks: bindings, ports, DHCP.

*Source*: KubeVirt's admission of networks.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, ip_network
from itertools import pairwise
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_dns_label, fault_of_dns_subdomain
from reconciler.manifests.kinds.vm_disk_options import check_pci_address
from reconciler.manifests.kinds.vm_paths import INTERFACES, NETWORKS, EntryRule, Section, check_entry
from reconciler.model.document import FieldPath

RESERVED_MAC = "02:00:00:00:00:00"
"""KubeVirt's own bridge has it behind a masquerade binding."""

MAX_PORT = 65535
MAX_PORT_RANGES = 10
PRIVATE_OPTIONS = range(224, 255)
LEAST_POD_ADDRESSES = 4

_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9]|-(?!-))*", re.ASCII)
_MAX_PORT_NAME = 15


def check_network_options(findings: Findings, vmi: Section) -> None:
    """Every interface's options, with its network, and every network's source."""
    for index, interface in enumerate(vmi["domain"]["devices"].get("interfaces", ())):
        check_entry(findings, interface, (*INTERFACES, index), _RULES, vmi)
    if "networks" in vmi:
        _check_networks(findings, vmi["networks"])


def _check_networks(findings: Findings, networks: Sequence[Section]) -> None:
    """One default network at most, and sources that name something."""
    default = ""
    pod = any("pod" in network for network in networks)
    for index, network in enumerate(networks):
        path = (*NETWORKS, index)
        if "multus" in network:
            _check_multus(findings, network["multus"], path)
            if network["multus"].get("default"):
                if default or pod:
                    other = f"{default!r} is" if default else "the pod network is"
                    text = f"{other} the default network already"
                    findings.add("vm-default-network", (*path, "multus", "default"), text, "keep one")
                default = default or network["name"]
        for field in ("vmNetworkCIDR", "vmIPv6NetworkCIDR"):
            if network.get("pod", {}).get(field):
                _check_cidr(findings, network["pod"][field], (*path, "pod", field))


def _check_multus(findings: Findings, multus: Section, path: FieldPath) -> None:
    namespace, slash, name = multus["networkName"].rpartition("/")
    if fault_of_dns_subdomain(name) or (slash and fault_of_dns_label(namespace)):
        text = f"{multus['networkName'][:80]!r} names no NetworkAttachmentDefinition"
        findings.add("vm-multus-name", (*path, "multus", "networkName"), text, "write NAME or NAMESPACE/NAME")


def _check_cidr(findings: Findings, written: str, path: FieldPath) -> None:
    try:
        network = ip_network(written, strict=False)
        large = network.num_addresses >= LEAST_POD_ADDRESSES
    except ValueError:
        large = False
    if not large or (network.version == 6) != ("IPv6" in str(path[-1])):
        text = f"{written[:40]!r} is not a network of at least {LEAST_POD_ADDRESSES} addresses"
        findings.add("vm-pod-cidr", path, text, "write it as 10.0.2.0/24")


def _network_of(interface: Section, vmi: Section) -> Section:
    return next((one for one in vmi.get("networks", ()) if one["name"] == interface["name"]), {})


def _check_masquerade(findings: Findings, interface: Section, path: FieldPath, vmi: Section) -> None:
    network = _network_of(interface, vmi)
    if network and "pod" not in network:
        text = "masquerade is a way out of the pod network only"
        findings.add("vm-binding-network", (*path, "masquerade"), text, "write bridge: {}", at_key=True)
    if interface.get("macAddress", "").lower().replace("-", ":") == RESERVED_MAC:
        text = f"{RESERVED_MAC} is the address of the network itself"
        findings.add("vm-mac-reserved", (*path, "macAddress"), text, "take another, or leave it out")


def _check_passt(findings: Findings, interface: Section, path: FieldPath, vmi: Section) -> None:
    network = _network_of(interface, vmi)
    if network and "pod" not in network:
        text = "passtBinding is a way out of the pod network only"
        findings.add("vm-binding-network", (*path, "passtBinding"), text, "write bridge: {}", at_key=True)


def _check_state(findings: Findings, interface: Section, path: FieldPath, vmi: Section) -> None:
    state = interface["state"]
    path = (*path, "state")
    if "sriov" in interface and state in ("up", "down"):
        findings.add("vm-interface-state", path, f"an SR-IOV interface cannot be {state}", "take absent, or remove it")
    elif state == "absent" and "bridge" not in interface:
        findings.add("vm-interface-state", path, "only an interface with a bridge binding can be absent")
    elif state == "absent":
        network = _network_of(interface, vmi)
        if "pod" in network or network.get("multus", {}).get("default"):
            findings.add("vm-interface-state", path, "the interface of the default network cannot be absent")


def _check_pci(findings: Findings, interface: Section, path: FieldPath, _vmi: Section) -> None:
    check_pci_address(findings, interface["pciAddress"], (*path, "pciAddress"))


def _check_ports(findings: Findings, interface: Section, path: FieldPath, _vmi: Section) -> None:
    names: set[str] = set()
    for index, port in enumerate(interface["ports"]):
        place = (*path, "ports", index)
        if not 0 < port["port"] <= MAX_PORT:
            findings.add("vm-port-invalid", (*place, "port"), f"{port['port']} is not a port: 1 to {MAX_PORT}")
        name = port.get("name", "")
        if name and (len(name) > _MAX_PORT_NAME or name.endswith("-") or not _PORT_NAME.fullmatch(name)):
            text = f"{name[:40]!r} is not the name of a port"
            hint = f"use at most {_MAX_PORT_NAME} of a-z, 0-9 and -, with a letter among them"
            findings.add("vm-port-invalid", (*place, "name"), text, hint)
        elif name in names:
            findings.add("vm-port-invalid", (*place, "name"), f"a port named {name} stands above", "rename one of them")
        if name:
            names.add(name)


def _check_port_ranges(findings: Findings, interface: Section, path: FieldPath, vmi: Section) -> None:
    ranges: Sequence[Section] = interface["portRanges"]
    path = (*path, "portRanges")
    if "ports" in interface:
        findings.add("vm-port-range", path, "ports and portRanges are both set", "keep one", at_key=True)
    if "pod" in _network_of(interface, vmi) and "masquerade" not in interface:
        findings.add("vm-port-range", path, "portRanges are for masquerade interfaces", "use ports", at_key=True)
    if len(ranges) > MAX_PORT_RANGES:
        findings.add("vm-port-range", path, f"{len(ranges)} ranges are more than {MAX_PORT_RANGES}", at_key=True)
        return
    sound: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for index, one in enumerate(ranges):
        if not 0 < one["start"] <= one["end"] <= MAX_PORT:
            text = f"{one['start']} to {one['end']} is not a range of ports: 1 to {MAX_PORT}, the smaller first"
            findings.add("vm-port-range", (*path, index), text)
        else:
            sound[one["protocol"]].append((one["start"], one["end"], index))
    for protocol, entries in sound.items():
        entries.sort()
        for (start, end, _), (other, last, index) in pairwise(entries):
            if other <= end:
                text = f"the {protocol} ports {other}-{last} overlap {start}-{end}"
                findings.add("vm-port-range", (*path, index), text)


def _check_dhcp(findings: Findings, interface: Section, path: FieldPath, _vmi: Section) -> None:
    options: Mapping[str, Any] = interface["dhcpOptions"]
    path = (*path, "dhcpOptions")
    for index, server in enumerate(options.get("ntpServers", ())):
        try:
            IPv4Address(server)
        except AddressValueError:
            text = f"{server[:40]!r} is not an IPv4 address"
            findings.add("vm-dhcp-options", (*path, "ntpServers", index), text)
    seen: set[int] = set()
    for index, option in enumerate(options.get("privateOptions", ())):
        number = option["option"]
        place = (*path, "privateOptions", index, "option")
        if number not in PRIVATE_OPTIONS:
            findings.add("vm-dhcp-options", place, f"{number} is not a private DHCP option: 224 to 254")
        elif number in seen:
            findings.add("vm-dhcp-options", place, f"the DHCP option {number} stands above", "keep one")
        seen.add(number)


_RULES: Mapping[str, EntryRule] = {
    "masquerade": _check_masquerade,
    "passtBinding": _check_passt,
    "state": _check_state,
    "pciAddress": _check_pci,
    "ports": _check_ports,
    "portRanges": _check_port_ranges,
    "dhcpOptions": _check_dhcp,
}
