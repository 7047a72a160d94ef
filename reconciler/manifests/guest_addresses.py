"""The fixed addresses in cloud-init's network data.

*Source*: cloud-init's documentation of network configuration, versions 1 and 2, and OpenStack's network_data.json.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from ipaddress import ip_interface
from typing import Any

from reconciler.manifests.strict_yaml import parse_stream

Fixed = tuple[str, str]
"""An address, and the MAC of the card that gets it, empty where none is said."""

_STATIC = ("static", "static6", "ipv4", "ipv6")


def static_addresses(written: str, *, is_base64: bool = False) -> tuple[Fixed, ...]:
    """What network data fixes; nothing for what cannot be read, which is the guest's business."""
    if not written:
        return ()
    try:
        data = b64decode(written) if is_base64 else written.encode()
    except (binascii.Error, ValueError):
        return ()
    documents = parse_stream(data, "networkData").documents
    body = documents[0].body if documents else None
    if not isinstance(body, Mapping):
        return ()
    inner = body.get("network", body)
    inner = inner if isinstance(inner, Mapping) else {}
    found = (*_version_2(inner), *_version_1(inner), *_openstack(body))
    return tuple(dict.fromkeys((address, mac) for text, mac in found if (address := _address(text))))


def _address(text: Any) -> str:
    try:
        return str(ip_interface(text).ip) if isinstance(text, str) else ""
    except ValueError:
        return ""


def _version_2(network: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    cards = network.get("ethernets")
    for card in cards.values() if isinstance(cards, Mapping) else ():
        if not isinstance(card, Mapping):
            continue
        match = card.get("match")
        mac = match.get("macaddress") if isinstance(match, Mapping) else None
        for entry in _list(card.get("addresses")):
            # An address with options is a mapping of one entry.
            text = next(iter(entry), "") if isinstance(entry, Mapping) else entry
            yield text, _text(mac)


def _version_1(network: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    for card in _mappings(network.get("config")):
        for subnet in _mappings(card.get("subnets")):
            if subnet.get("type") in _STATIC:
                yield subnet.get("address"), _text(card.get("mac_address"))


def _openstack(body: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    links = {_text(link.get("id")): _text(link.get("ethernet_mac_address")) for link in _mappings(body.get("links"))}
    for network in _mappings(body.get("networks")):
        if network.get("type") in _STATIC:
            yield network.get("ip_address"), links.get(_text(network.get("link")), "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (entry for entry in _list(value) if isinstance(entry, Mapping))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
