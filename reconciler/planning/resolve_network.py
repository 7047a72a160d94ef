"""NetworkAttachmentDefinition (its CNI configuration) → one network of the host.

Source: the CNI ``bridge`` plugin's and ``host-local`` IPAM's documented configuration.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.model.document import Document
from reconciler.model.keys import POD_NETWORK
from reconciler.model.packed import packed
from reconciler.model.policy import Policy
from reconciler.model.problem_codes import problem
from reconciler.model.resolved import NetworkSpec, ResolvedNetwork
from reconciler.planning.redact import Digest, applied_document
from reconciler.planning.unresolvable import UnresolvableError


def resolve_network(
    document: Document, *, policy: Policy, digest: Digest, host_bridges: Collection[str]
) -> ResolvedNetwork:
    """A bridge network, or a macvlan one. A bridge or an interface that the host has already (and that is allowed) is used and never
    altered; any other bridge is made by the engine.

    Raises:
        UnresolvableError: the configuration asks for something this host does not give.
    """
    if policy.user_network:
        raise UnresolvableError(
            problem(
                "network-needs-root",
                document.place(),
                "networks cannot be made here: an ordinary user's libvirt has no bridges",
                object=document.key,
                hint="plug the VMs into the pod network, or run gitvirt as root with qemu:///system",
            )
        )
    config = cni_config(document)
    if config.get("type") == "macvlan":
        return _macvlan(document, config, policy=policy, digest=digest)
    bridge = str(config.get("bridge") or "")
    on_host = bool(bridge) and (bridge in policy.allowed_bridges or bridge in host_bridges)
    if on_host and bridge not in policy.allowed_bridges:
        raise UnresolvableError(
            problem(
                "bridge-not-allowed",
                document.place(("spec", "config")),
                f"bridge {bridge!r} exists on this host and is not gitvirt's",
                object=document.key,
                path="spec.config",
                hint="add it to settings.allowedBridges to let VMs use it, or choose another name",
            )
        )
    return ResolvedNetwork(
        key=document.key,
        document=document,
        applied=packed(applied_document(document, digest)),
        network=NetworkSpec(
            bridge=bridge,
            host_bridge=on_host,
            nat=bool(config.get("ipMasq")) and not on_host,
            mtu=int(config.get("mtu") or 0),
            **({} if on_host else _addresses(document, config)),
        ),
    )


def _macvlan(document: Document, config: Mapping[str, Any], *, policy: Policy, digest: Digest) -> ResolvedNetwork:
    master = str(config["master"])
    if master not in policy.allowed_interfaces:
        raise UnresolvableError(
            problem(
                "interface-not-allowed",
                document.place(("spec", "config")),
                f"guests may not be put beside the host's interface {master!r}",
                object=document.key,
                path="spec.config",
                hint="add it to settings.allowedInterfaces if they may",
            )
        )
    return ResolvedNetwork(
        key=document.key,
        document=document,
        applied=packed(applied_document(document, digest)),
        network=NetworkSpec(master=master, mode=str(config.get("mode") or "bridge")),
    )


def pod_network(policy: Policy) -> ResolvedNetwork:
    """The network behind every ``pod: {}``."""
    return ResolvedNetwork(key=POD_NETWORK, document=None, applied={}, network=policy.pod_network)


def cni_config(document: Document) -> Mapping[str, Any]:
    """The first plugin's configuration; checked to be JSON before."""
    config: dict[str, Any] = json.loads(document.spec.get("config") or "{}")
    plugins = config.get("plugins")
    first: dict[str, Any] = plugins[0] if isinstance(plugins, list) and plugins else config
    return first


def _addresses(document: Document, config: Mapping[str, Any]) -> dict[str, Any]:
    """Host address and DHCP range: CNI's IPAM gives addresses to pods; here DHCP gives the same range to guests."""
    ipam = config.get("ipam") or {}
    subnet, ranges = ipam.get("subnet"), ipam.get("ranges") or []
    entry: Mapping[str, Any] = ranges[0][0] if ranges and ranges[0] else ipam
    subnet = entry.get("subnet") or subnet
    if ipam.get("type") != "host-local" or not subnet:
        return {}
    try:
        network = ipaddress.ip_network(subnet, strict=False)
        if network.num_addresses < 8:
            raise ValueError("it has fewer than 8 addresses")
        gateway = ipaddress.ip_address(entry.get("gateway") or network.network_address + 1)
        first = ipaddress.ip_address(entry.get("rangeStart") or max(network.network_address + 2, gateway + 1))
        last = ipaddress.ip_address(entry.get("rangeEnd") or network.broadcast_address - 1)
        if not (gateway in network and first in network and last in network and int(first) <= int(last)):
            raise ValueError(f"gateway and range must lie in {network}, the range in its order")
    except (ValueError, TypeError) as error:
        raise UnresolvableError(
            problem(
                "nad-ipam-invalid",
                document.place(("spec", "config")),
                f"ipam: {error}",
                object=document.key,
                path="spec.config",
            )
        ) from error
    return {"address": f"{gateway}/{network.prefixlen}", "dhcp_range": (str(first), str(last))}
