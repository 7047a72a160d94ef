"""What a VirtualMachine's document names: claims and networks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def template_of(document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """``spec.template.spec``, or an empty mapping."""
    spec = (document or {}).get("spec") or {}
    found: Mapping[str, Any] = (spec.get("template") or {}).get("spec") or {}
    return found


def claim_names(template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(volume, claim) of each volume that stands on a claim."""
    for volume in template.get("volumes") or ():
        claim = volume.get("persistentVolumeClaim") or {}
        name = claim.get("claimName") or (volume.get("dataVolume") or {}).get("name")
        if name:
            yield str(volume.get("name", "")), str(name)


def claims_of(document: Mapping[str, Any] | None, namespace: str) -> frozenset[tuple[str, str]]:
    """(namespace, name) of the claims that a VM stands on, those of its templates among them."""
    templates = ((document or {}).get("spec") or {}).get("dataVolumeTemplates") or ()
    made = ((one.get("metadata") or {}).get("name") for one in templates)
    named = (claim for _, claim in claim_names(template_of(document)))
    return frozenset((namespace, str(name)) for name in (*named, *made) if name)


def networks_of(document: Mapping[str, Any] | None, namespace: str) -> frozenset[tuple[str, str]]:
    """(namespace, name) of the NetworkAttachmentDefinitions that a VM is plugged into."""
    found = set()
    for network in template_of(document).get("networks") or ():
        said = str((network.get("multus") or {}).get("networkName", ""))
        if said:
            where, _, name = said.rpartition("/")
            found.add((where or namespace, name))
    return frozenset(found)
