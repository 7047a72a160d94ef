"""Is an existing domain the VM of a manifest? Matched device by device, before anything is written on it.

Disks are matched by the volume they stand on, NICs by their MAC: what the manifest does not have would be unplugged from a
running guest, and what stands elsewhere would be re-pointed, so either is an obstacle that nobody can accept away. A file that
gitvirt once generated for this very VM (it was released since) is told by its name instead; what is in it is a field. What is
left are fields. Those that the manifest says nothing of stay as they were found; those that it says otherwise are
differences, which a person has to have seen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconciler.model.adoption import Adoption, FoundDisk, FoundInterface, FoundVm
from reconciler.model.domain import ClaimSource, DiskSpec, NoMedia, ScratchSource, SeedSource
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import KeptField, LiveVm
from reconciler.model.plan import Difference, Impact
from reconciler.model.power import PowerStep
from reconciler.model.quantity import format_bytes
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedVm, ResolvedVolume, RestartPolicy
from reconciler.planning.adoption_cluster import match_documents
from reconciler.planning.matching import Matching
from reconciler.planning.power import decide_power

_NEVER_KEPT = ("spec.template.spec.volumes", "spec.template.spec.networks")
_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_DISK_OBSTACLE = "disk {target} ({text}): {why}"


def match(
    wanted: ResolvedVm, objects: Mapping[ObjectKey, Resolved], found: FoundVm, owned: Sequence[ObjectKey]
) -> Matching:
    """Map a domain to a VM. ``objects`` are the resolved claims and networks that the VM names, ``owned`` those of them
    that are gitvirt's already.
    """
    if found.documents:
        return match_documents(wanted, objects, found, owned)
    obstacles = [*found.obstacles]
    if found.owner:
        obstacles.append(f"it is owned by {found.owner!r} already")
    if wanted.domain.uuid != found.uuid and _says(wanted, "spec.template.spec.domain.firmware.uuid"):
        obstacles.append(
            f"the manifest's firmware.uuid is {wanted.domain.uuid}, the domain's {found.uuid}: they are not the same VM"
        )
    disks, claims, disk_obstacles = _match_disks(wanted, objects, found)
    interfaces, networks, nic_obstacles = _match_interfaces(wanted, objects, found)
    new = tuple(
        claim
        for claim in (objects.get(key) for key in wanted.claims)
        if isinstance(claim, ResolvedVolume) and claim.key not in owned and _is_among(claim.key, claims)
    )
    return Matching(
        adoption=Adoption(
            key=wanted.key,
            domain=found.name,
            uuid=found.uuid,
            disks=disks,
            interfaces=interfaces,
            claims=claims,
            networks=networks,
        ),
        claims=new,
        obstacles=(*obstacles, *disk_obstacles, *nic_obstacles),
    )


def _is_among(key: ObjectKey, claims: Mapping[str, ClaimSource]) -> bool:
    return any((claim.namespace, claim.claim) == (key.namespace, key.name) for claim in claims.values())


def _match_disks(
    wanted: ResolvedVm, objects: Mapping[ObjectKey, Resolved], found: FoundVm
) -> tuple[dict[str, str], dict[str, ClaimSource], list[str]]:
    """(target → name, source in words → claim, obstacles)."""
    volumes = {(v.key.namespace, v.key.name): v for v in objects.values() if isinstance(v, ResolvedVolume)}
    free = {disk.name: disk for disk in wanted.domain.disks}
    names: dict[str, str] = {}
    claims: dict[str, ClaimSource] = {}
    obstacles: list[str] = []
    for disk in found.disks:
        if disk.obstacle:
            obstacles.append(
                _DISK_OBSTACLE.format(target=disk.target, text=disk.text or "no source", why=disk.obstacle)
            )
            continue
        name = next((name for name, spec in free.items() if _is_disk(spec, disk, volumes, wanted.key)), None)
        if name is None:
            obstacles.append(_undeclared(disk, wanted))
            continue
        source = free.pop(name).source
        names[disk.target] = name
        if isinstance(source, ClaimSource):
            claims[disk.text] = source
            if volumes[source.namespace, source.claim].encrypted:
                obstacles.append(
                    f"disk {disk.target} ({disk.text}) is not encrypted, and the storage class of claim {source.claim} is"
                )
            if source.format != disk.format:
                obstacles.append(
                    f"disk {disk.target} ({disk.text}) is {disk.format}, claim {source.claim} would be {source.format}; "
                    "volumeMode Block means raw, Filesystem qcow2, unless the storage class says so"
                )
    for name, spec in free.items():
        volume = (
            volumes.get((spec.source.namespace, spec.source.claim)) if isinstance(spec.source, ClaimSource) else None
        )
        if volume is not None and volume.adopt:
            obstacles.append(
                f"disk {name} of the manifest is volume {volume.adopt} of pool {volume.pool}, which the domain does not have"
            )
    return names, claims, obstacles


def _is_disk(spec: DiskSpec, disk: FoundDisk, volumes: Mapping[tuple[str, str], ResolvedVolume], vm: ObjectKey) -> bool:
    """Whether a disk of the manifest is the one that was found. Empty drives are all alike."""
    if isinstance(spec.source, SeedSource | ScratchSource):
        is_same_kind = type(disk.spec.source) is type(spec.source)
        return disk.generated_for == vm and is_same_kind and disk.spec.name == spec.name
    if not isinstance(spec.source, ClaimSource):
        return isinstance(spec.source, NoMedia) and not disk.text and spec.binding is disk.spec.binding
    volume = volumes.get((spec.source.namespace, spec.source.claim))
    name = volume.adopt if volume is not None and volume.adopt else _usual_name(spec.source)
    return (disk.pool, disk.volume) == (spec.source.pool, name)


def _usual_name(source: ClaimSource) -> str:
    return f"{source.namespace}_{source.claim}.{source.format}"


def _undeclared(disk: FoundDisk, wanted: ResolvedVm) -> str:
    if not disk.text:
        return f"the empty drive {disk.target} is in no disk of the manifest"
    if disk.generated_for is not None:
        return (
            f"disk {disk.target} ({disk.text}) was generated for disk {disk.spec.name} of {disk.generated_for}, and the "
            f"manifest of {wanted.key} has no such disk"
        )
    return (
        f"disk {disk.target} ({disk.text}) is in no claim of {wanted.key}: one says gitvirt.io/adopt: {disk.volume} and "
        f"leads to pool {disk.pool}"
    )


def _match_interfaces(
    wanted: ResolvedVm, objects: Mapping[ObjectKey, Resolved], found: FoundVm
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """(MAC → name, place → network, obstacles)."""
    by_mac = {interface.mac: interface for interface in wanted.domain.interfaces}
    names: dict[str, str] = {}
    places: dict[str, str] = {}
    obstacles: list[str] = []
    for nic in found.interfaces:
        mac, said = nic.spec.mac, f"NIC {nic.spec.mac} ({nic.place})"
        declared = by_mac.get(mac)
        if nic.obstacle:
            obstacles.append(f"{said}: {nic.obstacle}")
        elif declared is None:
            obstacles.append(f"{said} has no interface with that macAddress in the manifest, and would be unplugged")
        elif declared.network == nic.spec.network or _same_bridge(declared.network, nic, objects):
            names[mac] = declared.name
            if declared.network != nic.spec.network:
                places[nic.place] = declared.network
        else:
            obstacles.append(
                f"{said} would be plugged into {declared.network} instead; declare a NetworkAttachmentDefinition with "
                f'"bridge": "{nic.bridge}" for it'
            )
    return names, places, obstacles


def _same_bridge(network: str, nic: FoundInterface, objects: Mapping[ObjectKey, Resolved]) -> bool:
    key = (
        POD_NETWORK if network == str(POD_NETWORK) else ObjectKey("NetworkAttachmentDefinition", *network.split("/", 1))
    )
    resolved = objects.get(key)
    bridge = resolved.network.bridge if isinstance(resolved, ResolvedNetwork) else ""
    return bool(bridge) and bridge == nic.bridge


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is between a domain and its manifest. ``kept`` the manifest says nothing of, and stays as it was found;
    ``differences`` come about once it is adopted; ``obstacles`` stand in the way. ``digest`` names exactly these
    differences: who accepts them has seen them.
    """

    kept: tuple[Difference, ...]
    differences: tuple[Difference, ...]
    obstacles: tuple[str, ...]
    digest: str


def findings(
    wanted: ResolvedVm,
    matching: Matching,
    found: FoundVm,
    live: LiveVm,
    compare: Callable[[Resolved, LiveVm], tuple[Difference, ...]],
    now: datetime,
) -> Findings:
    """Sort all that `Engine.compare` finds between the manifest and the domain as it would be once adopted."""
    compared = compare(wanted, live)
    obstacles = [*matching.obstacles, *dict.fromkeys(f"{d.path}: {d.refused}" for d in compared if d.refused)]
    open_ones = [d for d in compared if not d.refused]
    kept = tuple(d for d in open_ones if _stays(wanted, d))
    differences = [d for d in open_ones if d not in kept]
    differences += _growing(matching, found)
    power = decide_power(wanted.run_strategy, live, now)
    if power.step in (PowerStep.STOP, PowerStep.RESTART):
        obstacles.append(f"the guest runs and would be stopped ({power.reason}); adoption never stops one")
    elif power.step is not None and not found.documents:
        differences.append(
            Difference(path=wanted.run_strategy_path, before="Stopped", after="Running", impact=Impact.LIVE,
                       reason=f"{power.reason}: the guest is off and would be started")
        )  # fmt: skip
    restarts = [d for d in differences if d.running and d.impact.rank >= Impact.RESTART.rank]
    if restarts and live.running is not None and wanted.restart_policy is not RestartPolicy.MANUAL:
        names, policy = ", ".join(d.path for d in restarts), wanted.restart_policy
        when = "at once" if policy is RestartPolicy.IMMEDIATE else "in its window"
        obstacles.append(f"restart policy {policy} would restart the guest {when} for {names}; adopt it with Manual")
    return Findings(
        kept=kept,
        differences=tuple(differences),
        obstacles=tuple(obstacles),
        digest=digest_of(f"{wanted.key} {found.uuid}", differences),
    )


def digest_of(what: str, differences: Sequence[Difference]) -> str:
    """The id by which a person accepts exactly these differences of exactly that."""
    text = json.dumps([[d.path, d.before, d.after, str(d.impact)] for d in differences], sort_keys=True, default=str)
    return hashlib.sha256(f"{what} {text}".encode()).hexdigest()[:12]


def with_kept(adoption: Adoption, kept: Sequence[Difference]) -> Adoption:
    """The adoption that remembers what stays as it was found."""
    return replace(
        adoption, kept=tuple(KeptField.of(difference.path, difference.before, difference.after) for difference in kept)
    )


def _growing(matching: Matching, found: FoundVm) -> list[Difference]:
    sizes = {disk.text: disk.size_bytes for disk in found.disks}
    claims = {(claim.key.namespace, claim.key.name): claim for claim in matching.claims}
    grown = []
    for text, source in matching.adoption.claims.items():
        claim = claims.get((source.namespace, source.claim))
        if claim is not None and claim.size_bytes > sizes.get(text, 0):
            grown.append(
                Difference(path=f"{claim.key} {claim.size_path}", before=format_bytes(sizes.get(text, 0)),
                           after=format_bytes(claim.size_bytes), impact=Impact.LIVE, reason="the volume grows")
            )  # fmt: skip
    return grown


def _stays(wanted: ResolvedVm, difference: Difference) -> bool:
    """Whether the manifest says nothing of it: neither the field itself, nor anything below it, nor a part that holds it."""
    if difference.path.startswith("xml:"):
        return True
    return not difference.path.startswith(_NEVER_KEPT) and not _says(wanted, difference.path)


def _says(wanted: ResolvedVm, path: str) -> bool:
    """Whether the manifest has a value at a path (list items by name)."""
    node: Any = wanted.document.body
    for item, name in _PART.findall(path):
        if item:
            node = next((one for one in node or () if isinstance(one, Mapping) and one.get("name") == item), None)
        else:
            node = node.get(name) if isinstance(node, Mapping) else None
        if node is None:
            return False
    return True
