"""Instancetypes and preferences: which one a VM names, and what an instancetype makes of it.

*Source*: KubeVirt's API reference (``InstancetypeMatcher``, ``VirtualMachineInstancetypeSpec``) and user guide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.quantity import mib_of

GROUP = "instancetype.kubevirt.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What an instancetype gives a VM."""

    cpus: int
    memory_mib: int


def instancetype_of(vm: Mapping[str, Any], namespace: str) -> ObjectKey | None:
    """The instancetype that a VM names, or that KubeVirt found for it by its volume."""
    return _named(vm, namespace, "instancetype", "Instancetype")


def preference_of(vm: Mapping[str, Any], namespace: str) -> ObjectKey | None:
    """The preference, in the same way."""
    return _named(vm, namespace, "preference", "Preference")


def sizing_of(instancetype: Mapping[str, Any]) -> Sizing | None:
    """CPUs and memory of an instancetype's document; None for one that says neither in words that can be read."""
    spec = _mapping(instancetype.get("spec"))
    try:
        cpus = int(_mapping(spec.get("cpu")).get("guest") or 0)
        memory_mib = math.ceil(mib_of(_mapping(spec.get("memory")).get("guest") or "0"))
    except (TypeError, ValueError):
        return None
    return Sizing(cpus=cpus, memory_mib=memory_mib) if cpus and memory_mib else None


def _mapping(value: Any) -> Mapping[str, Any]:
    """Nobody checked the shape of it."""
    return value if isinstance(value, Mapping) else {}


def _named(vm: Mapping[str, Any], namespace: str, field: str, kind: str) -> ObjectKey | None:
    said = (vm.get("spec") or {}).get(field) or {}
    if not said.get("name"):
        said = (vm.get("status") or {}).get(f"{field}Ref") or {}
    if not said.get("name"):
        return None
    # Without a kind it is one of the whole cluster.
    own = str(said.get("kind") or "").lower() == f"virtualmachine{kind.lower()}"
    name = f"VirtualMachine{'' if own else 'Cluster'}{kind}.{GROUP}"
    return ObjectKey(name, namespace if own else "", str(said["name"]))
