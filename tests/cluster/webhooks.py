"""What KubeVirt's and CDI's webhooks, controllers and the API server make of objects that are written: fields filled in, and a
specification written again from Go's types.

*Source*: KubeVirt's mutating webhook of VMs and its defaults, its firmware, network and instance type controllers; CDI's webhook of
DataVolumes; Kubernetes' defaults of claims.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from reconciler.model.quantity import parse_quantity

_DROPPED_FALSE = ("hotpluggable", "readonly", "reservation", "dedicatedCpuPlacement", "isolateEmulatorThread")
_DROPPED_ZERO = ("cores", "sockets", "threads", "maxSockets")
_DROPPED_EMPTY = (
    "nodeSelector",
    "labels",
    "annotations",
    "requests",
    "limits",
    "volumes",
    "networks",
    "disks",
    "interfaces",
)
_QUANTITIES = ("guest", "maxGuest", "memory", "storage", "cpu", "capacity")
_STRINGS = ("labels", "annotations", "nodeSelector")


def through_kubevirt(vm: Mapping[str, Any]) -> dict[str, Any]:
    """A VM as the API server has it after the webhook and the controllers saw it."""
    made = copy.deepcopy(dict(vm))
    spec = made["spec"]
    spec["template"] = _written_again(spec.get("template") or {})
    template = spec["template"].setdefault("spec", {})
    spec["template"].setdefault("metadata", {}).setdefault("creationTimestamp", None)
    spec["template"]["metadata"].setdefault("annotations", {})["kubevirt.io/pci-topology-version"] = "2"
    domain = template.setdefault("domain", {})
    domain.setdefault("devices", {})
    domain.setdefault("resources", {})
    domain.setdefault("machine", {}).setdefault("type", "q35")
    firmware = domain.setdefault("firmware", {})
    firmware.setdefault("uuid", "0")
    firmware.setdefault("serial", "0")
    template.setdefault("architecture", "amd64")
    for name, one in (("instancetype", "large"), ("preference", "linux")):
        if name not in spec:
            continue
        matcher = spec[name]
        if matcher.pop("inferFromVolume", None):
            matcher.pop("inferFromVolumeFailurePolicy", None)
            matcher |= {"name": one, "kind": f"VirtualMachineCluster{name.capitalize()}"}
        matcher.setdefault("kind", f"VirtualMachineCluster{name.capitalize()}")
        matcher.setdefault("revisionName", f"web-{matcher['name']}-1")
    for data in spec.get("dataVolumeTemplates") or ():
        data["metadata"].setdefault("creationTimestamp", None)
        data["spec"].setdefault("storage", {}).setdefault("storageClassName", "preferred")
    made["metadata"].setdefault("annotations", {}).update(
        {"kubevirt.io/latest-observed-api-version": "v1", "kubevirt.io/storage-observed-api-version": "v1"}
    )
    made["metadata"]["finalizers"] = ["kubevirt.io/virtualMachineControllerFinalize"]
    return made


def through_cdi(document: Mapping[str, Any]) -> dict[str, Any]:
    """A DataVolume after CDI saw it: its source written again, a token, the rest as it was."""
    made = copy.deepcopy(dict(document))
    made["spec"]["source"] = _written_again(made["spec"]["source"])
    made["metadata"].setdefault("annotations", {}).update(
        {
            "cdi.kubevirt.io/storage.clone.token": "signed", "cdi.kubevirt.io/storage.usePopulator": "true",
            "cdi.kubevirt.io/storage.deleteAfterCompletion": "true",
        }
    )  # fmt: skip
    return made


def bound(claim: Mapping[str, Any]) -> dict[str, Any]:
    """A claim with the API server's defaults, bound."""
    made = copy.deepcopy(dict(claim))
    spec = _written_again(made["spec"])
    spec |= {"volumeMode": spec.get("volumeMode", "Filesystem"), "volumeName": "pvc-1"}
    spec.setdefault("storageClassName", "standard")
    source = spec.get("dataSourceRef") or spec.get("dataSource")
    if source:
        spec |= {"dataSource": source, "dataSourceRef": source}
    made["spec"] = spec
    made["metadata"].setdefault("annotations", {}).update(
        {"pv.kubernetes.io/bind-completed": "yes", "volume.kubernetes.io/storage-provisioner": "csi.example.org"}
    )
    made["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection"]
    return made


def _written_again(value: Any, name: str = "") -> Any:
    """As Go's encoder writes it: empty fields that are no pointers go, quantities take their shortest form."""
    if isinstance(value, list):
        return [_written_again(item) for item in value]
    if isinstance(value, Mapping):
        if name in _STRINGS:
            return dict(value)
        made = {one: _written_again(item, one) for one, item in value.items()}
        return {one: item for one, item in made.items() if not _is_dropped(one, item)}
    if name in _QUANTITIES and isinstance(value, str | int):
        return _canonical(parse_quantity(value))
    return value


def _is_dropped(name: str, value: Any) -> bool:
    if value is False:
        return name in _DROPPED_FALSE
    if isinstance(value, int):
        return value == 0 and name in _DROPPED_ZERO
    return value == "" or (value in ({}, []) and name in _DROPPED_EMPTY)


def _canonical(value: Fraction) -> str:
    for suffix, factor in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if value >= factor and value % factor == 0:
            return f"{value // factor}{suffix}"
    return str(value) if value.denominator == 1 else f"{value * 1000}m"
