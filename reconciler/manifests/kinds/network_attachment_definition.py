"""Rules for a NetworkAttachmentDefinition and the CNI configuration in it.

*Source*: the CNI specification and the documentation of the bridge and macvlan plugins and of host-local.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.schema_fields import similar
from reconciler.model.document import FieldPath

CONFIG: FieldPath = ("spec", "config")
BRIDGE_PLUGINS = frozenset({"bridge", "cnv-bridge"})
MAX_VLAN = 4094
MTU_RANGE = (68, 65535)
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", re.ASCII)

_WORDS = {str: "text", bool: "true or false", int: "a whole number", dict: "a mapping", list: "a list"}
_ANY_PLUGIN: dict[str, type] = {
    "cniVersion": str,
    "name": str,
    "type": str,
    "ipam": dict,
    "dns": dict,
    "args": dict,
    "capabilities": dict,
    "runtimeConfig": dict,
    "ipMasq": bool,
    "prevResult": dict,
}
_BRIDGE: dict[str, type] = {
    **_ANY_PLUGIN,
    "bridge": str,
    "isGateway": bool,
    "isDefaultGateway": bool,
    "forceAddress": bool,
    "ipMasqBackend": str,
    "mtu": int,
    "hairpinMode": bool,
    "promiscMode": bool,
    "vlan": int,
    "vlanTrunk": list,
    "preserveDefaultVlan": bool,
    "macspoofchk": bool,
    "enabledad": bool,
    "disableContainerInterface": bool,
    "portIsolation": bool,
}

_MACVLAN: dict[str, type] = {
    **_ANY_PLUGIN,
    "master": str,
    "mode": str,
    "mtu": int,
    "linkInContainer": bool,
    "bcqueuelen": int,
}
MACVLAN_MODES = ("bridge", "private", "vepa", "passthru")


def check_network_attachment(findings: Findings) -> None:
    """The configuration is there, is JSON, names a plugin, and has a bridge plugin's settings right."""
    config = findings.document.spec.get("config")
    if not config:
        hint = 'add spec.config, such as {"cniVersion": "1.0.0", "type": "bridge", "bridge": "br0"}'
        findings.add("nad-no-config", CONFIG, "there is no CNI configuration", hint)
        return
    try:
        parsed = json.loads(config)
    except (ValueError, RecursionError) as error:
        findings.add("nad-config-json", CONFIG, f"the CNI configuration is not JSON{_why_not_json(error)}")
        return
    if not isinstance(parsed, dict):
        findings.add("nad-config-json", CONFIG, "the CNI configuration is not a JSON object")
        return
    if "plugins" not in parsed:
        _check_plugin(findings, parsed, "")
        return
    plugins = parsed["plugins"]
    if not isinstance(plugins, list) or not plugins or not all(isinstance(one, dict) for one in plugins):
        findings.add("nad-config-value", CONFIG, "plugins must be a list of at least one plugin")
        return
    for index, plugin in enumerate(plugins):
        _check_plugin(findings, plugin, f"plugins[{index}].")


def _why_not_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f" in line {error.lineno}, column {error.colno} of it: {error.msg}"
    return ": it is nested too deeply" if isinstance(error, RecursionError) else ": a number has too many digits"


def _check_plugin(findings: Findings, plugin: Mapping[str, Any], prefix: str) -> None:
    """One plugin's settings; ``prefix`` says where in the configuration it stands."""
    kind = plugin.get("type")
    if not isinstance(kind, str) or not kind:
        findings.add("nad-config-type", CONFIG, f"{prefix}type is missing", 'add "type": "bridge"')
        return
    known = _BRIDGE if kind in BRIDGE_PLUGINS else _MACVLAN if kind == "macvlan" else _ANY_PLUGIN
    for name, wanted in known.items():
        value = plugin.get(name)
        if value is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
            findings.add("nad-config-value", CONFIG, f"{prefix}{name} must be {_WORDS[wanted]}")
    if known is _ANY_PLUGIN:
        return
    for name in plugin:
        if name not in known:
            near = similar(name, tuple(known))
            hint = f"did you mean {near}?" if near else ""
            findings.add("nad-config-unknown", CONFIG, f"the {kind} plugin has no setting {prefix}{name[:80]}", hint)
    if kind == "macvlan":
        _check_macvlan(findings, plugin, prefix)
    _check_interface_name(findings, plugin.get("bridge"), f"{prefix}bridge")
    _check_range(findings, plugin.get("vlan"), 0, MAX_VLAN, f"{prefix}vlan")
    _check_range(findings, plugin.get("mtu"), *MTU_RANGE, f"{prefix}mtu")
    if isinstance(plugin.get("ipam"), dict):
        _check_ipam(findings, plugin["ipam"], f"{prefix}ipam.")


def _check_macvlan(findings: Findings, plugin: Mapping[str, Any], prefix: str) -> None:
    """The master is named: on a host that VMs share, "whatever has the default route" is no answer."""
    if not plugin.get("master"):
        hint = 'add "master": "eth1", an interface that settings.allowedInterfaces lists'
        findings.add("nad-config-value", CONFIG, f"{prefix}master is missing", hint)
    _check_interface_name(findings, plugin.get("master"), f"{prefix}master")
    mode = plugin.get("mode", MACVLAN_MODES[0])
    if isinstance(mode, str) and mode not in MACVLAN_MODES:
        findings.add("nad-config-value", CONFIG, f"{prefix}mode {mode[:40]!r} is not one of {', '.join(MACVLAN_MODES)}")


def _check_interface_name(findings: Findings, value: Any, what: str) -> None:
    """A name that Linux takes for an interface and that means nothing to a path or a command line."""
    if isinstance(value, str) and value and not _INTERFACE_NAME.fullmatch(value):
        text = f"{what} {value[:40]!r} is not the name of an interface"
        findings.add("nad-config-value", CONFIG, text, "write at most 15 letters, digits, ., - and _")


def _check_ipam(findings: Findings, ipam: Mapping[str, Any], prefix: str) -> None:
    _check_addresses(findings, ipam, prefix)
    if not isinstance(ipam.get("type", ""), str):
        findings.add("nad-config-value", CONFIG, f"{prefix}type must be text")
    ranges = ipam.get("ranges") or []
    if not isinstance(ranges, list) or not all(
        isinstance(one, list) and all(isinstance(entry, dict) for entry in one) for one in ranges
    ):
        findings.add("nad-config-value", CONFIG, f"{prefix}ranges must be a list of lists of ranges")
        return
    for index, entry in enumerate(entry for one in ranges for entry in one):
        _check_addresses(findings, entry, f"{prefix}ranges[{index}].")


def _check_range(findings: Findings, value: Any, least: int, most: int, what: str) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and value != 0 and not least <= value <= most:
        findings.add("nad-config-value", CONFIG, f"{what} {value} is not between {least} and {most}")


def _check_addresses(findings: Findings, ipam: Mapping[str, Any], prefix: str) -> None:
    readers: dict[str, Callable[[Any], object]] = {
        "subnet": ip_network,
        "rangeStart": ip_address,
        "rangeEnd": ip_address,
        "gateway": ip_address,
    }
    for name, read in readers.items():
        if name not in ipam:
            continue
        try:
            if not isinstance(ipam[name], str):
                raise ValueError("not text")
            read(ipam[name])
        except ValueError:
            what = "a network such as 10.1.0.0/24" if name == "subnet" else "an IP address"
            findings.add("nad-config-value", CONFIG, f"{prefix}{name} must be {what}")
