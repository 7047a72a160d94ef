"""Rules for a VM's interfaces and networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_interface_name
from reconciler.manifests.kinds.vm_disks import check_one_type, check_partners, check_unique_names, types_of
from reconciler.manifests.kinds.vm_paths import DEVICES, INTERFACES, NETWORKS
from reconciler.model.document import FieldPath

BINDINGS = ("bridge", "masquerade", "sriov", "binding", "slirp", "macvtap", "passt", "passtBinding")

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}", re.ASCII)


def check_interfaces(findings: Findings, vmi: Mapping[str, Any]) -> None:
    """Interfaces and networks: names, one type each, matching both ways, one pod network, MAC addresses."""
    interfaces = vmi["domain"]["devices"].get("interfaces", ())
    networks = vmi.get("networks", ())
    check_unique_names(findings, interfaces, INTERFACES, "interface", fault_of_interface_name)
    check_unique_names(findings, networks, NETWORKS, "network", fault_of_interface_name)
    network_names = {network["name"] for network in networks}
    interface_names = {interface["name"] for interface in interfaces}
    numbered = enumerate(interfaces)
    check_partners(findings, "vm-interface-no-network", numbered, INTERFACES, network_names, "interface network")
    check_partners(
        findings, "vm-network-no-interface", enumerate(networks), NETWORKS, interface_names, "network interface"
    )
    pods = [index for index, network in enumerate(networks) if "pod" in network]
    for index in pods[1:]:
        text = f"{networks[pods[0]]['name']!r} is the pod network already"
        findings.add("vm-pod-network-twice", (*NETWORKS, index, "pod"), text, at_key=True)
    for index, network in enumerate(networks):
        check_one_type(findings, network, types_of("Network"), (*NETWORKS, index), "network")
    for index, interface in enumerate(interfaces):
        check_one_type(findings, interface, BINDINGS, (*INTERFACES, index), "interface")
    _check_addresses(findings, interfaces)


def normal_mac(text: str) -> str:
    """A MAC address in lower case with colons; empty when the text is none."""
    return text.lower().replace("-", ":") if _MAC.fullmatch(text) else ""


def _check_addresses(findings: Findings, interfaces: Any) -> None:
    seen: dict[str, str] = {}
    for index, interface in enumerate(interfaces):
        written = interface.get("macAddress")
        if written is None:
            continue
        path: FieldPath = (*INTERFACES, index, "macAddress")
        address = normal_mac(written)
        if not address:
            text = f"{written[:40]!r} is not a MAC address"
            findings.add(
                "vm-mac-invalid", path, text, "write six pairs of hexadecimal digits, such as 02:00:00:12:34:56"
            )
        elif int(address[:2], 16) & 1 or address == "00:00:00:00:00:00":
            text = f"{written} is not the address of one card"
            findings.add("vm-mac-invalid", path, text, "the first pair must be an even number, and not all pairs zero")
        elif address in seen:
            text = f"the interfaces {seen[address]!r} and {interface['name']!r} both have {written}"
            findings.add("vm-mac-twice", path, text)
        else:
            seen[address] = interface["name"]


def check_boot_order(findings: Findings, vmi: Mapping[str, Any]) -> None:
    """``bootOrder`` counts from 1 and is unique among disks and interfaces."""
    seen: dict[int, str] = {}
    devices = vmi["domain"]["devices"]
    for part in ("disks", "interfaces"):
        for index, device in enumerate(devices.get(part, ())):
            order = device.get("bootOrder")
            if order is None:
                continue
            path = (*DEVICES, part, index, "bootOrder")
            if order < 1:
                findings.add("vm-boot-order", path, f"bootOrder {order} is below 1")
            elif order in seen:
                findings.add("vm-boot-order", path, f"bootOrder {order} is also that of {seen[order]!r}")
            seen.setdefault(order, device["name"])
