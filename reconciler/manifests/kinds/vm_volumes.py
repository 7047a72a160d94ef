"""Rules for what stands behind a VM's volumes, a type each.

*Source*: KubeVirt's admission of volumes.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_dns_subdomain, fault_of_file_path, is_base64
from reconciler.manifests.kinds.vm_paths import TEMPLATE, VOLUMES, EntryRule, Section, check_entry
from reconciler.model.document import FieldPath

MAX_INLINE_BYTES = 2048
"""Cloud-init data within a manifest. *Source*: KubeVirt's admission."""

ONCE_ONLY = ("serviceAccount", "downwardMetrics", "memoryDump")
RESERVED_PREFIXES = ("/var/run/kubevirt", "/var/run/libvirt")

_USER = ("userData", "userDataBase64", "secretRef")
_NETWORK = ("networkData", "networkDataBase64", "networkDataSecretRef")


def check_volume_sources(findings: Findings, vmi: Section) -> None:
    """Every volume's source, and how often some types may stand."""
    volumes = vmi["volumes"]
    for index, volume in enumerate(volumes):
        check_entry(findings, volume, (*VOLUMES, index), _RULES, vmi)
    kinds = Counter(kind for volume in volumes for kind in ONCE_ONLY if kind in volume)
    for kind, count in kinds.items():
        if count > 1:
            index = max(index for index, volume in enumerate(volumes) if kind in volume)
            text = f"{count} volumes are {kind}; a VM has at most one"
            findings.add("vm-volume-once", (*VOLUMES, index, kind), text, at_key=True)


def check_service_account(findings: Findings, vmi: Section) -> None:
    """A well-formed name, and the same in a volume of that type."""
    name = vmi["serviceAccountName"]
    path = (*TEMPLATE, "serviceAccountName")
    if not name:
        return
    if fault := fault_of_dns_subdomain(name):
        findings.add("vm-service-account", path, f"the service account {name[:80]!r} {fault}")
    for volume in vmi.get("volumes", ()):
        other = volume.get("serviceAccount", {}).get("serviceAccountName", name)
        if other != name:
            text = f"the volume {volume['name']!r} is of the service account {other[:80]!r}, not of this one"
            findings.add("vm-service-account", path, text, "name the same in both places")


def _check_no_cloud(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
    _check_cloud_init(findings, volume["cloudInitNoCloud"], (*path, "cloudInitNoCloud"))


def _check_config_drive(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
    _check_cloud_init(findings, volume["cloudInitConfigDrive"], (*path, "cloudInitConfigDrive"))


def _check_cloud_init(findings: Findings, source: Section, path: FieldPath) -> None:
    given = 0
    for fields in (_USER, _NETWORK):
        said = [field for field in fields if field in source]
        given += len(said)
        if len(said) > 1:
            text = f"{' and '.join(said)} are both set"
            findings.add("vm-cloud-init-data", (*path, said[1]), text, "keep one", at_key=True)
        plain, encoded, _ = fields
        if encoded in source and not is_base64(source[encoded]):
            text = f"{encoded} is not base64"
            findings.add("base64-invalid", (*path, encoded), text, "plain text goes into the other field")
        for field in (plain, encoded):
            if field in source and _size(source[field], is_encoded=field == encoded) > MAX_INLINE_BYTES:
                text = f"{field} is over {MAX_INLINE_BYTES} bytes, which KubeVirt refuses within a manifest"
                findings.add(
                    "vm-cloud-init-size", (*path, field), text, f"put it into a Secret and name it in {fields[2]}"
                )
    if not given:
        hint = "add userData, userDataBase64 or secretRef"
        findings.add("vm-cloud-init-data", path, "the cloud-init volume has no data", hint)


def _size(text: str, *, is_encoded: bool) -> int:
    """Bytes of the data itself."""
    if len(text) <= MAX_INLINE_BYTES // 4:
        return len(text)
    if not is_encoded:
        return len(text.encode())
    try:
        return len(b64decode(text))
    except (binascii.Error, ValueError):
        return 0


def _named(kind: str, field: str) -> EntryRule:
    """The rule that a volume of a type names the object behind it."""

    def check(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
        if not volume[kind].get(field):
            text = f"the {kind} volume {volume['name']!r} names nothing"
            findings.add("vm-volume-source", (*path, kind, field), text, f"add {kind}.{field}")

    return check


def _check_sysprep(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
    said = [kind for kind in ("configMap", "secret") if volume["sysprep"].get(kind, {}).get("name")]
    if len(said) != 1:
        text = "sysprep names both a ConfigMap and a Secret" if said else "sysprep names neither ConfigMap nor Secret"
        findings.add("vm-volume-source", (*path, "sysprep"), text, "keep one of configMap and secret")


def _check_ephemeral(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
    if not volume["ephemeral"].get("persistentVolumeClaim", {}).get("claimName"):
        text = f"the ephemeral volume {volume['name']!r} names no claim to stand on"
        findings.add("vm-volume-source", (*path, "ephemeral"), text, "add persistentVolumeClaim.claimName")


def _check_host_disk(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
    disk = volume["hostDisk"]
    if fault := fault_of_file_path(disk["path"]):
        findings.add("vm-path-invalid", (*path, "hostDisk", "path"), f"the path {fault}")
    if disk["type"] == "Disk" and "capacity" in disk:
        text = "capacity is for disks that are made: type: DiskOrCreate"
        findings.add("vm-host-disk", (*path, "hostDisk", "capacity"), text, "remove capacity, or take that type")
    elif disk["type"] == "DiskOrCreate" and "capacity" not in disk:
        text = "nothing says how large the disk is when it is made"
        findings.add("vm-host-disk", (*path, "hostDisk"), text, "add capacity")
    findings.amount((*path, "hostDisk", "capacity"), disk.get("capacity"))


def _check_container_disk(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
    disk = volume["containerDisk"]
    if not disk["image"]:
        findings.add("vm-volume-source", (*path, "containerDisk", "image"), "containerDisk names no image")
    if disk.get("path") and (fault := fault_of_file_path(disk["path"])):
        findings.add("vm-path-invalid", (*path, "containerDisk", "path"), f"the path {fault}")


def _check_container_path(findings: Findings, volume: Section, path: FieldPath, vmi: Section) -> None:
    name, devices = volume["name"], vmi["domain"]["devices"]
    place = (*path, "containerPath", "path")
    if any(volume["containerPath"]["path"].startswith(prefix) for prefix in RESERVED_PREFIXES):
        findings.add("vm-path-invalid", place, "the path belongs to the virtualization itself")
    if any(disk["name"] == name for disk in devices.get("disks", ())):
        text = "a containerPath volume is shown as a filesystem, not as a disk"
        findings.add("vm-container-path", (*path, "name"), text, "move it to devices.filesystems")


def _check_empty_disk(findings: Findings, volume: Section, path: FieldPath, _vmi: Section) -> None:
    findings.amount((*path, "emptyDisk", "capacity"), volume["emptyDisk"]["capacity"])


def _check_downward_metrics(findings: Findings, volume: Section, path: FieldPath, vmi: Section) -> None:
    disk = next((one for one in vmi["domain"]["devices"].get("disks", ()) if one["name"] == volume["name"]), None)
    if disk is not None and ("disk" not in disk or disk["disk"].get("bus", "virtio") != "virtio"):
        text = "downwardMetrics is shown as a disk on the virtio bus"
        findings.add("vm-downward-metrics", (*path, "downwardMetrics"), text, "write disk: {bus: virtio}", at_key=True)


_RULES: Mapping[str, EntryRule] = {
    "cloudInitNoCloud": _check_no_cloud,
    "cloudInitConfigDrive": _check_config_drive,
    "configMap": _named("configMap", "name"),
    "secret": _named("secret", "secretName"),
    "serviceAccount": _named("serviceAccount", "serviceAccountName"),
    "dataVolume": _named("dataVolume", "name"),
    "persistentVolumeClaim": _named("persistentVolumeClaim", "claimName"),
    "sysprep": _check_sysprep,
    "ephemeral": _check_ephemeral,
    "hostDisk": _check_host_disk,
    "containerDisk": _check_container_disk,
    "containerPath": _check_container_path,
    "emptyDisk": _check_empty_disk,
    "downwardMetrics": _check_downward_metrics,
}
