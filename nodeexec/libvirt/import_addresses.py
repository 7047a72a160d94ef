"""Which addresses images may come from. Whoever may push names the URL, and gitvirt, as root on the host, goes there: without
a rule that is a way to the host's own services and to the credentials that clouds hand out on link-local addresses.

Private networks are allowed, because image servers of a data centre stand there.

*Source*: IANA's special-purpose address registries; the clouds' documentation of their metadata services.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), words)
    for words, texts in (
        ("a metadata service of a cloud", ("169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32",
                                           "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::254/128")),
        ("a loopback address", ("127.0.0.0/8", "::1/128")),
        ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
        ("an unspecified address", ("0.0.0.0/8", "::/128")),
        ("a multicast or broadcast address", ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")),
        ("a reserved address", ("240.0.0.0/4", "fec0::/10")),
    )
    for text in texts
)  # fmt: skip
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ip_network("::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAddresses:
    """``allowed`` and ``allowed_hosts`` (names; ``*`` stands for any characters) outrank ``denied``, which comes on top of what is
    never asked for: loopback, link-local, metadata, unspecified, multicast and reserved addresses, and those of this host.
    A host that is allowed is allowed wherever its name leads.
    """

    allowed: tuple[Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    denied: tuple[Network, ...] = ()

    def trusts(self, host: str) -> bool:
        """Whether the settings allow the host by its name."""
        name = host.rstrip(".").lower()
        return any(fnmatchcase(name, pattern.rstrip(".").lower()) for pattern in self.allowed_hosts)

    def why_not(self, address: Address) -> str:
        """What the address is that nothing may be fetched from; empty when it may."""
        if _within(address, self.allowed):
            return ""
        for meant in (address, *_embedded(address)):
            found = next((words for network, words in _DENIED if meant in network), "")
            if not found and _within(meant, self.denied):
                found = "in imports.deniedAddresses"
            if found:
                return found
        return ""


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to: mapped, compatible, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _COMPATIBLE or any(address in network for network in _NAT64):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
