"""Networks of one host must not overlap: the host would have two ways to one address, and libvirt starts only one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_interface

from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.resolved import NetworkSpec, Resolved, ResolvedNetwork

Range = IPv4Network | IPv6Network


def overlaps(
    objects: Mapping[ObjectKey, Resolved], pod: NetworkSpec, live: Collection[ObjectKey]
) -> Iterator[tuple[ResolvedNetwork, str]]:
    """Each network that cannot be had, and why. The one that is there keeps its addresses, and so does the pod network, which is the
    settings' own; of two that are new neither is had.
    """
    ranges = [(POD_NETWORK, found) for found in _range(pod)]
    made = {key: thing for key, thing in objects.items() if isinstance(thing, ResolvedNetwork) and key != POD_NETWORK}
    ranges += [(key, found) for key, thing in sorted(made.items()) for found in _range(thing.network)]
    lost: dict[ObjectKey, str] = {}
    for (one, its), (other, others) in _touching(ranges):
        for key, keeper in ((one, other), (other, one)):
            if key in made and key not in live:
                theirs = others if keeper == other else its
                lost.setdefault(key, f"its addresses overlap {theirs} of {_name(keeper)}")
    for key, reason in sorted(lost.items()):
        yield made[key], reason


def _range(network: NetworkSpec) -> Iterator[Range]:
    """The addresses that a network of gitvirt's own takes."""
    if network.address and not network.host_bridge:
        yield ip_interface(network.address).network


def _touching(
    ranges: list[tuple[ObjectKey, Range]],
) -> Iterator[tuple[tuple[ObjectKey, Range], tuple[ObjectKey, Range]]]:
    """Pairs that overlap. CIDR ranges overlap only when one holds the other, so in order of addresses it is enough to keep those
    that hold the present one.
    """
    holding: list[tuple[ObjectKey, Range]] = []
    for entry in sorted(ranges, key=lambda one: (one[1].version, int(one[1].network_address), one[1].prefixlen)):
        first = entry[1]
        holding = [
            one
            for one in holding
            if one[1].version == first.version and int(one[1].broadcast_address) >= int(first.network_address)
        ]
        yield from ((one, entry) for one in holding)
        holding.append(entry)


def _name(key: ObjectKey) -> str:
    return "the pod network (settings.podNetwork)" if key == POD_NETWORK else str(key)
