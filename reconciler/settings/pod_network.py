"""``podNetwork``: the NAT network behind every ``pod: {}``."""

from __future__ import annotations

import ipaddress
from typing import Any

from reconciler.model.errors import SettingsError
from reconciler.model.policy import Policy
from reconciler.model.resolved import NetworkSpec
from reconciler.settings.file import RawSettings

_DEFAULT = Policy().pod_network


def read_pod_network(raw: RawSettings) -> NetworkSpec:
    """The section; without ``dhcpRange`` nearly all of the network is handed out.

    Raises:
        SettingsError: values that contradict each other.
    """
    body = raw.body.get("podNetwork") or {}
    default = _DEFAULT
    address = body.get("address", default.address)
    try:
        interface = ipaddress.IPv4Interface(address)
    except ValueError as error:
        raise SettingsError(
            f"{raw.place(['podNetwork', 'address'])}: podNetwork.address {address}: {error}."
        ) from error
    network = interface.network
    if network.num_addresses < 8 or interface.ip in (network.network_address, network.broadcast_address):
        raise SettingsError(
            f"{raw.place(['podNetwork', 'address'])}: podNetwork.address {address} must be a host's address in a network of 8 or more."
        )
    first, last = body.get("dhcpRange") or _nearly_all(interface)
    try:
        low, high = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    except ValueError as error:
        raise SettingsError(f"{raw.place(['podNetwork', 'dhcpRange'])}: podNetwork.dhcpRange: {error}.") from error
    inside = network.network_address < low <= high < network.broadcast_address
    if not inside or low <= interface.ip <= high:
        raise SettingsError(
            f"{raw.place(['podNetwork', 'dhcpRange'])}: podNetwork.dhcpRange {first} to {last} must lie in {network}, "
            f"in this order, and leave out the host's own {interface.ip}."
        )
    return NetworkSpec(
        bridge=body.get("bridge", default.bridge),
        address=address,
        dhcp_range=(str(low), str(high)),
        nat=True,
        mtu=body.get("mtu", default.mtu),
        domain=body.get("domain", default.domain),
    )


def _nearly_all(interface: ipaddress.IPv4Interface) -> tuple[str, str]:
    """The larger side of the network beside the host's own address, a few addresses kept free at its ends."""
    own, first, last = int(interface), int(interface.network[0]), int(interface.network[-1])
    spare = 10 if last - first >= 63 else 1
    if own - first < last - own:
        low, high = max(first + spare, own + 1), last - max(spare // 2, 1)
    else:
        low, high = first + max(spare // 2, 1), min(last - spare, own - 1)
    return str(ipaddress.IPv4Address(low)), str(ipaddress.IPv4Address(high))


def pod_network_as_file(network: NetworkSpec) -> dict[str, Any]:
    """The section as the file would say it."""
    return {
        "bridge": network.bridge,
        "address": network.address,
        "dhcpRange": list(network.dhcp_range),
        **({"mtu": network.mtu} if network.mtu else {}),
        "domain": network.domain,
    }
