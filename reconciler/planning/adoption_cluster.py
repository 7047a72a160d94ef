"""Is an existing VirtualMachine of a cluster the one of a manifest? It has its name, and its documents say what it stands on.

What the VM has and the manifest does not (a disk, a NIC) comes out of the comparison of the two. Here is what no comparison may bring about:
a volume or NIC that stands elsewhere than the manifest says, and claims that are somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.model.adoption import Adoption, FoundVm
from reconciler.model.domain import ClaimSource
from reconciler.model.keys import ObjectKey
from reconciler.model.resolved import Resolved, ResolvedVm, ResolvedVolume
from reconciler.planning.matching import Matching

_CLAIM = "PersistentVolumeClaim"
_DATA_VOLUME = "DataVolume"


def match_documents(
    wanted: ResolvedVm, objects: Mapping[ObjectKey, Resolved], found: FoundVm, owned: Sequence[ObjectKey]
) -> Matching:
    """A VM of a cluster and a manifest; see `adoption.match`."""
    obstacles = [*found.obstacles]
    if found.owner:
        obstacles.append(f"it is owned by {found.owner!r} already")
    if found.name != f"{wanted.key.namespace}/{wanted.key.name}":
        obstacles.append(f"a VM of a cluster keeps its name: the manifest has to be {found.name}, not {wanted.key}")
    document = next((one for key, one in found.documents.items() if key.kind == wanted.key.kind), {})
    obstacles += _elsewhere(_template(wanted.document.body), _template(document))
    obstacles += [f"disk {disk.target} ({disk.text}): {disk.obstacle}" for disk in found.disks if disk.obstacle]
    obstacles += _other_kinds(wanted, objects, found)
    claims = tuple(
        claim
        for key in wanted.claims
        if key not in owned and key in found.documents and isinstance(claim := objects.get(key), ResolvedVolume)
    )
    places = {
        disk.text: ClaimSource(namespace=wanted.key.namespace, claim=disk.volume, pool="", format="")
        for disk in found.disks
    }
    adoption = Adoption(key=wanted.key, domain=found.name, uuid=found.uuid, claims=places)
    return Matching(adoption=adoption, claims=claims, obstacles=tuple(dict.fromkeys(obstacles)))


def _template(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = ((document.get("spec") or {}).get("template") or {}).get("spec") or {}
    return found


def _elsewhere(want: Mapping[str, Any], have: Mapping[str, Any]) -> Iterator[str]:
    """Volumes and NICs that the manifest puts on something else."""
    there = _claims(have)
    for volume, claim in _claims(want).items():
        if there.get(volume, claim) != claim:
            yield f"disk {volume} stands on claim {there[volume]}, and would be re-pointed to {claim}"
    plugged = _networks(have)
    for nic, network in _networks(want).items():
        if plugged.get(nic, network) != network:
            yield f"NIC {nic} is plugged into {plugged[nic]}, and would be plugged into {network} instead"
    macs = _macs(have)
    for nic, mac in _macs(want).items():
        if macs.get(nic, mac) != mac:
            yield f"NIC {nic} has the MAC {macs[nic]}, and the manifest says {mac}: it would be another NIC"


def _claims(template: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for volume in template.get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName") or (volume.get("dataVolume") or {}).get(
            "name"
        )
        if claim:
            found[str(volume.get("name"))] = str(claim)
    return found


def _networks(template: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(network.get("name")): str((network.get("multus") or {}).get("networkName", "the pod network"))
        for network in template.get("networks") or ()
    }


def _macs(template: Mapping[str, Any]) -> dict[str, str]:
    nics = ((template.get("domain") or {}).get("devices") or {}).get("interfaces") or ()
    return {str(nic.get("name")): str(nic["macAddress"]).lower() for nic in nics if nic.get("macAddress")}


def _other_kinds(wanted: ResolvedVm, objects: Mapping[ObjectKey, Resolved], found: FoundVm) -> Iterator[str]:
    """A claim that is declared as a DataVolume, or the other way round: the one would be made beside the other."""
    for key in wanted.claims:
        other = ObjectKey(_CLAIM if key.kind == _DATA_VOLUME else _DATA_VOLUME, key.namespace, key.name)
        if key in objects and key not in found.documents and other in found.documents:
            yield f"{key} is declared, and on the cluster it is {other}: declare that"
