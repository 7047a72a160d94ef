"""Who else keeps an object the way it is: tools that would undo what gitvirt does, or delete what it took over. Pure.

*Source*: the tracking labels and annotations that Argo CD, Flux, Helm, Fleet and kubectl's ApplySets document; Kubernetes, "Owners and Dependents".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeexec.kubevirt.kinds import DATA_VOLUME, VM
from nodeexec.kubevirt.marks import annotations_of, labels_of, metadata_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """How a tool marks what is its own: a label or annotation, with one value or any."""

    tool: str
    name: str
    value: str = ""


_MARKS = (
    _Mark(tool="Argo CD", name="argocd.argoproj.io/tracking-id"),
    _Mark(tool="Argo CD", name="argocd.argoproj.io/instance"),
    _Mark(tool="Flux", name="kustomize.toolkit.fluxcd.io/name"),
    _Mark(tool="Flux", name="helm.toolkit.fluxcd.io/name"),
    _Mark(tool="Helm", name="meta.helm.sh/release-name"),
    _Mark(tool="Helm", name="app.kubernetes.io/managed-by", value="Helm"),
    _Mark(tool="Fleet", name="objectset.rio.cattle.io/id"),
    _Mark(tool="kubectl apply --prune", name="applyset.kubernetes.io/part-of"),
)
_OF_KUBEVIRT = (VM, DATA_VOLUME)


def other_manager(document: Mapping[str, Any]) -> str:
    """Who else manages an object, and what to do about it; empty for nobody."""
    said = {**labels_of(document), **annotations_of(document)}
    for mark in _MARKS:
        value = said.get(mark.name)
        if value and mark.value in ("", value):
            return (
                f"{mark.tool} manages it ({mark.name}: {value}), and would undo what gitvirt does, or delete it: take it out of "
                f"there without deleting it, and take {mark.name} off"
            )
    for owner in metadata_of(document).get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") not in _OF_KUBEVIRT:
            return f"it belongs to {owner.get('kind')} {owner.get('name')}, which makes it as it wants and deletes it with itself"
    return ""
