"""What this engine makes of the CNI configuration of a NetworkAttachmentDefinition."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodeexec.libvirt.support_refusal import refusal
from nodeexec.libvirt.table import Refused
from reconciler.model.document import Document
from reconciler.model.problem import Problem


@dataclass(frozen=True, slots=True)
class Cni:
    """A key of a CNI configuration that is not honoured."""

    key: str
    refused: Refused


def _cni(key: str, reason: str, hint: str = "", *, harmless: bool = False) -> Cni:
    return Cni(key, Refused(paths=(), reason=reason, hint=hint, harmless=harmless))


_VLAN = "libvirt takes no VLAN tag on a Linux bridge (only on Open vSwitch)"
_BRIDGE_KEYS = (
    _cni("vlan", _VLAN, "name a bridge of the host that carries that VLAN (settings.allowedBridges)"),
    _cni("vlanTrunk", _VLAN, "name a bridge of the host that carries those VLANs (settings.allowedBridges)"),
    _cni("preserveDefaultVlan", _VLAN, harmless=True),
    _cni("macspoofchk", "guests may send from any MAC address on this network", harmless=True),
    _cni("hairpinMode", "ports of the bridge have the kernel's defaults", harmless=True),
    _cni("promiscMode", "the bridge has the kernel's defaults", harmless=True),
    _cni("portIsolation", "ports of the bridge reach each other", harmless=True),
)
_MACVLAN_KEYS = (
    _cni("mtu", "guests have the MTU of the master interface", harmless=True),
    _cni("bcqueuelen", "the kernel's default holds", harmless=True),
    _cni("ipam", "guests get their addresses from the network they stand on", harmless=True),
    _cni(
        "linkInContainer", "there is no container whose interface could be the master", "name an interface of the host"
    ),
)
CNI_KEYS: Mapping[str, tuple[Cni, ...]] = {"bridge": _BRIDGE_KEYS, "macvlan": _MACVLAN_KEYS}
"""What is not honoured, by the type of the plugin."""

HONOURED = {
    "bridge": (
        "bridge",
        "mtu",
        "ipMasq",
        "ipam.subnet",
        "ipam.ranges",
        "ipam.rangeStart",
        "ipam.rangeEnd",
        "ipam.gateway",
    ),
    "macvlan": ("master", "mode"),
}
_IPAM_TYPES = {"bridge": ("host-local", "static", ""), "macvlan": ("host-local", "static", "dhcp", "")}
_PLUGIN = Refused(paths=(), reason="only the first plugin is read", harmless=True)


def network_problems(document: Document) -> Iterator[Problem]:
    """The CNI configuration; that it is JSON at all is for the manifest's own checks to say."""
    path = ("spec", "config")
    try:
        config = json.loads(document.spec.get("config") or "{}")
    except (ValueError, TypeError):
        return
    plugins = config.get("plugins") if isinstance(config, Mapping) else None
    chain = [plugin for plugin in (plugins if isinstance(plugins, list) else [config]) if isinstance(plugin, Mapping)]
    if not chain:
        return
    first: Mapping[str, Any] = chain[0]
    kind = first.get("type")
    if not isinstance(kind, str) or kind not in CNI_KEYS:
        reason = f"CNI type {kind!r} is not known to this engine"
        yield refusal(document, path, Refused(paths=(), reason=reason, hint="use type bridge or macvlan"))
        return
    for entry in CNI_KEYS[kind]:
        if first.get(entry.key):
            where = f"{entry.key}: {entry.refused.reason}"
            yield refusal(
                document,
                path,
                Refused(paths=(), reason=where, hint=entry.refused.hint, harmless=entry.refused.harmless),
            )
    ipam = (first.get("ipam") or {}).get("type") or ""
    if ipam not in _IPAM_TYPES[kind]:
        reason = f"addresses of IPAM type {ipam!r} cannot be handed out here"
        yield refusal(document, path, Refused(paths=(), reason=reason, hint="use host-local, or leave ipam out"))
    for plugin in chain[1:]:
        reason = f"plugin {plugin.get('type')!r}: {_PLUGIN.reason}"
        yield refusal(document, path, Refused(paths=(), reason=reason, harmless=True))
