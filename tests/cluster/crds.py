"""Custom resource definitions for the tests: those of ``KUBEVIRT_CRDS``, a directory of YAML files, or minimal ones of our own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

VARIABLE = "KUBEVIRT_CRDS"
_MINIMAL = (
    ("kubevirt.io", "v1", "VirtualMachine", "virtualmachines", True),
    ("kubevirt.io", "v1", "VirtualMachineInstance", "virtualmachineinstances", False),
    ("kubevirt.io", "v1", "KubeVirt", "kubevirts", True),
    ("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes", True),
    ("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition", "network-attachment-definitions", False),
    ("instancetype.kubevirt.io", "v1beta1", "VirtualMachineInstancetype", "virtualmachineinstancetypes", False),
    (
        "instancetype.kubevirt.io",
        "v1beta1",
        "VirtualMachineClusterPreference",
        "virtualmachineclusterpreferences",
        False,
    ),
)
"""(group, version, kind, plural, status is a subresource)."""


def definitions() -> tuple[dict[str, Any], ...]:
    """CustomResourceDefinitions of KubeVirt, CDI and Multus."""
    directory = os.environ.get(VARIABLE)
    if directory:
        return tuple(_of_directory(Path(directory)))
    return tuple(
        minimal(group, version, kind, plural, status=status, cluster="Cluster" in kind)
        for group, version, kind, plural, status in _MINIMAL
    )


def _of_directory(directory: Path) -> Iterator[dict[str, Any]]:
    wanted = {(group, kind) for group, _, kind, _, _ in _MINIMAL}
    for path in sorted(directory.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if not document or document.get("kind") != "CustomResourceDefinition":
                continue
            if (document["spec"]["group"], document["spec"]["names"]["kind"]) in wanted:
                document.pop("status", None)
                yield document


def minimal(group: str, version: str, kind: str, plural: str, *, status: bool, cluster: bool = False) -> dict[str, Any]:
    """A definition that takes any spec and status; ``status`` says that the latter is a subresource."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
        **({"subresources": {"status": {}}} if status else {}),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster" if cluster else "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [served],
        },
    }
