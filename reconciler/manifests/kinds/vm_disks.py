"""Rules for a VM's disks and volumes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_dns_label
from reconciler.manifests.kinds.vm_paths import DISKS, FILESYSTEMS, VOLUMES
from reconciler.manifests.schema_fields import similar
from reconciler.model.document import FieldPath
from schemas import read_schema

DISK_TYPES = ("disk", "cdrom", "lun")
DISKLESS_VOLUMES = frozenset({"memoryDump"})
"""Volume types that no device shows to the guest."""


@cache
def types_of(definition: str) -> frozenset[str]:
    """The mutually exclusive fields of ``Volume`` or ``Network``: all but the name."""
    return frozenset(read_schema("virtualmachine.json")["$defs"][definition]["properties"]) - {"name"}


def check_unique_names(
    findings: Findings,
    entries: Sequence[Mapping[str, Any]],
    path: FieldPath,
    what: str,
    fault_of: Callable[[str], str] = fault_of_dns_label,
) -> None:
    """No two entries of a list, which stands at ``path``, have one name, and each name is well formed."""
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        name = entry["name"]
        if name in first:
            text = f"the {what} {name!r} is already number {first[name] + 1} of this list"
            findings.add("vm-name-twice", (*path, index, "name"), text, "rename one of them")
        elif fault := fault_of(name):
            findings.add("name-invalid", (*path, index, "name"), f"the name of the {what} {name[:80]!r} {fault}")
        first.setdefault(name, index)


def check_partners(
    findings: Findings,
    code: str,
    entries: Iterable[tuple[int, Mapping[str, Any]]],
    path: FieldPath,
    names: Collection[str],
    what: str,
) -> None:
    """Each numbered entry has a partner among ``names``; ``what`` is "this that", such as ``disk volume``."""
    this, that = what.split()
    for index, entry in entries:
        name = entry["name"]
        if name not in names:
            near = similar(name, tuple(names))
            hint = f"did you mean {near}?" if near else f"add a {that} named {name}, or remove the {this}"
            findings.add(code, (*path, index, "name"), f"the {this} {name!r} has no {that} of its name", hint)


def check_one_type(
    findings: Findings, entry: Mapping[str, Any], types: Collection[str], path: FieldPath, what: str
) -> None:
    """An entry has exactly one of ``types``."""
    given = [name for name in entry if name in types]
    if not given:
        findings.add(
            "vm-one-type", path, f"the {what} {entry['name']!r} has no type", f"a type is one of {_listed(types)}"
        )
    elif len(given) > 1:
        text = f"the {what} {entry['name']!r} is {' and '.join(given)} at once"
        findings.add("vm-one-type", (*path, given[1]), text, "keep one", at_key=True)


def _listed(types: Collection[str]) -> str:
    return ", ".join(sorted(types))


def check_disks(findings: Findings, vmi: Mapping[str, Any]) -> None:
    """Disks: names, at most one type each, and a volume for each of them and of the filesystems."""
    devices = vmi["domain"]["devices"]
    disks, filesystems = devices.get("disks", ()), devices.get("filesystems", ())
    volumes = {volume["name"] for volume in vmi.get("volumes", ())}
    check_unique_names(findings, disks, DISKS, "disk")
    check_unique_names(findings, filesystems, FILESYSTEMS, "filesystem")
    # A CD-ROM drive may be empty until a medium is put in.
    full = [(index, disk) for index, disk in enumerate(disks) if "cdrom" not in disk]
    check_partners(findings, "vm-disk-no-volume", full, DISKS, volumes, "disk volume")
    check_partners(findings, "vm-disk-no-volume", enumerate(filesystems), FILESYSTEMS, volumes, "filesystem volume")
    for index, disk in enumerate(disks):
        # A disk without a type is an ordinary disk, as on a cluster.
        if sum(name in disk for name in DISK_TYPES) > 1:
            check_one_type(findings, disk, DISK_TYPES, (*DISKS, index), "disk")


def check_volumes(findings: Findings, vmi: Mapping[str, Any]) -> None:
    """Volumes: names, one type each, a device for each, no claim twice."""
    devices, volumes = vmi["domain"]["devices"], vmi.get("volumes", ())
    shown = {device["name"] for part in ("disks", "filesystems") for device in devices.get(part, ())}
    check_unique_names(findings, volumes, VOLUMES, "volume")
    used = [(index, volume) for index, volume in enumerate(volumes) if not DISKLESS_VOLUMES & volume.keys()]
    check_partners(findings, "vm-volume-no-disk", used, VOLUMES, shown, "volume disk")
    claims: dict[str, str] = {}
    for index, volume in enumerate(volumes):
        path = (*VOLUMES, index)
        check_one_type(findings, volume, types_of("Volume"), path, "volume")
        claim = claim_of(volume)
        if claim in claims:
            text = f"the volumes {claims[claim]!r} and {volume['name']!r} both use {claim!r}"
            findings.add("vm-claim-twice", path, text)
        elif claim:
            claims[claim] = volume["name"]


def claim_of(volume: Mapping[str, Any]) -> str:
    """The claim or DataVolume behind a volume (they share their names); empty for other volumes."""
    claim = volume.get("persistentVolumeClaim", {}).get("claimName", "") or volume.get("dataVolume", {}).get("name", "")
    return str(claim)
