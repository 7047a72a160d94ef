"""A VM's manifest as KubeVirt keeps it: what was asked for once is replaced by its answer, and what has gone is taken out. Pure.

*Source*: KubeVirt's mutating webhook of VMs (``inferFromVolume``), its network controller (a NIC with ``state: absent`` is removed once it is
unplugged).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.impacts_devices import GONE
from nodeexec.kubevirt.vm_references import template_of

_MATCHERS = ("instancetype", "preference")
_ASKED_ONCE = ("inferFromVolume", "inferFromVolumeFailurePolicy")


def as_served(declared: Mapping[str, Any], last: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """A VM's declared part beside the object that is there: without NICs that have gone, and with the answers to what was asked once."""
    return _answered(_without_gone_nics(dict(declared), served), last, served)


def renamed(declared: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """Of two specifications of a VM: instance types and preferences of another name, without the revision that KubeVirt pinned for the old one (it
    refuses a new name with it).
    """
    found: dict[str, Any] = {}
    for name in _MATCHERS:
        said, have = _at(declared, name), _at(served, name)
        is_other = said.get("name") and have.get("name") and said["name"] != have["name"]
        if is_other and have.get("revisionName") and "revisionName" not in said:
            found[name] = {"name": said["name"], "kind": said.get("kind"), "revisionName": None}
    return found


def _without_gone_nics(made: dict[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """A NIC with ``state: absent`` leaves the VM's document once it is unplugged: KubeVirt takes it and its network out."""
    template = template_of(made)
    devices = (template.get("domain") or {}).get("devices") or {}
    nics, networks = devices.get("interfaces") or [], template.get("networks") or []
    there = {nic.get("name") for nic in _at(template_of(served), "domain", "devices").get("interfaces") or ()}
    gone = {nic.get("name") for nic in nics if nic.get("state") == GONE and nic.get("name") not in there}
    if not gone:
        return made
    left = {
        **template,
        "domain": {
            **template["domain"],
            "devices": {**devices, "interfaces": [nic for nic in nics if nic.get("name") not in gone]},
        },
        "networks": [network for network in networks if network.get("name") not in gone],
    }
    return {**made, "spec": {**made["spec"], "template": {**made["spec"]["template"], "spec": left}}}


def _answered(made: dict[str, Any], last: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """``inferFromVolume`` is replaced by the name that the volume gave; it is asked again only when the manifest asks otherwise."""
    spec = dict(made.get("spec") or {})
    for name in _MATCHERS:
        said, have = spec.get(name) or {}, _at(served, "spec", name)
        asked = {one: said[one] for one in _ASKED_ONCE if one in said}
        before = _at(last, "spec", name)
        if asked and have.get("name") and all(before.get(one) == value for one, value in asked.items()):
            answer = {one: have[one] for one in ("name", "kind") if one in have}
            spec[name] = {**{one: value for one, value in said.items() if one not in asked}, **answer}
    return {**made, "spec": spec} if spec else made


def _at(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    found: Any = document
    for name in path:
        found = (found or {}).get(name)
    return found if isinstance(found, Mapping) else {}
