"""Rules for the options of single disks: buses, caches, block sizes, I/O threads.

*Source*: KubeVirt's admission of disks; libvirt's "Domain XML format" for what hypervisors refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_firmware import check_serial
from reconciler.manifests.kinds.vm_paths import DISKS, EntryRule, Section, check_entry
from reconciler.model.document import FieldPath

LEAST_BLOCK, LARGEST_BLOCK = 512, 2 << 20
CLAIM_VOLUMES = ("persistentVolumeClaim", "dataVolume")

_DEFAULT_BUS = {"disk": "sata", "cdrom": "sata", "lun": "scsi"}
_PCI_ADDRESS = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]", re.ASCII)


def check_disk_options(findings: Findings, vmi: Section) -> None:
    """Every disk's options."""
    for index, disk in enumerate(vmi["domain"]["devices"]["disks"]):
        check_entry(findings, disk, (*DISKS, index), _RULES, vmi)


def check_pci_address(findings: Findings, address: str, path: FieldPath) -> None:
    """A place on a PCI bus."""
    if address and not _PCI_ADDRESS.fullmatch(address):
        hint = "write it as 0000:81:01.0"
        findings.add("vm-pci-address", path, f"{address[:40]!r} is not a PCI address", hint)


def bus_of(disk: Section) -> str:
    """The bus of a disk, the default one where none is written."""
    kind = next((name for name in _DEFAULT_BUS if name in disk), "disk")
    return str(disk.get(kind, {}).get("bus") or _DEFAULT_BUS[kind])


def _check_target(findings: Findings, disk: Section, path: FieldPath, _vmi: Section) -> None:
    target = disk["disk"]
    if target.get("bus") == "sata" and target.get("readonly"):
        text = "a disk on the sata bus cannot be read-only"
        findings.add("vm-disk-bus", (*path, "disk", "readonly"), text, "take bus: virtio, or cdrom")
    if "pciAddress" in target:
        if target["pciAddress"] and target.get("bus") != "virtio":
            text = "only a disk on the virtio bus has a PCI address"
            findings.add("vm-pci-address", (*path, "disk", "pciAddress"), text, "add bus: virtio")
        check_pci_address(findings, target["pciAddress"], (*path, "disk", "pciAddress"))


def _check_cdrom(findings: Findings, disk: Section, path: FieldPath, _vmi: Section) -> None:
    if disk["cdrom"].get("bus") == "virtio":
        text = "there are no CD-ROM drives on the virtio bus"
        findings.add("vm-disk-bus", (*path, "cdrom", "bus"), text, "take bus: sata or scsi")


def _check_lun(findings: Findings, disk: Section, path: FieldPath, vmi: Section) -> None:
    if disk["lun"].get("bus") == "virtio":
        text = "SCSI commands do not pass through the virtio bus"
        findings.add("vm-disk-bus", (*path, "lun", "bus"), text, "take bus: scsi")
    volume = next((one for one in vmi.get("volumes", ()) if one["name"] == disk["name"]), None)
    if volume is not None and not any(kind in volume for kind in CLAIM_VOLUMES):
        text = "a lun stands on a claim or a DataVolume only"
        findings.add("vm-disk-lun", (*path, "lun"), text, "take disk, or another volume", at_key=True)


def _check_io_thread(findings: Findings, disk: Section, path: FieldPath, _vmi: Section) -> None:
    if disk["dedicatedIOThread"] and bus_of(disk) != "virtio":
        text = f"a disk on the {bus_of(disk)} bus has no I/O thread of its own"
        findings.add("vm-disk-io-thread", (*path, "dedicatedIOThread"), text, "take bus: virtio")


def _check_io(findings: Findings, disk: Section, path: FieldPath, _vmi: Section) -> None:
    cache = disk.get("cache", "none")
    if disk["io"] == "default":
        findings.add("vm-disk-io", (*path, "io"), "io is native or threads", "leave io out for the default")
    elif disk["io"] == "native" and cache != "none":
        text = f"native I/O goes past the host's cache, which cache: {cache} asks for"
        findings.add("vm-disk-io", (*path, "io"), text, "write cache: none, or io: threads")


def _check_shareable(findings: Findings, disk: Section, path: FieldPath, _vmi: Section) -> None:
    if disk["shareable"] and disk.get("cache", "none") != "none":
        text = f"other VMs do not see what cache: {disk['cache']} holds back, and the disk is shareable"
        findings.add("vm-disk-shareable", (*path, "cache"), text, "write cache: none")


def _check_serial(findings: Findings, disk: Section, path: FieldPath, _vmi: Section) -> None:
    check_serial(findings, disk["serial"], (*path, "serial"))


def _check_block_size(findings: Findings, disk: Section, path: FieldPath, _vmi: Section) -> None:
    block = disk["blockSize"]
    custom, match = block.get("custom"), block.get("matchVolume")
    path = (*path, "blockSize")
    if custom is None:
        return
    if match is not None and match.get("enabled") is not False:
        text = "custom and matchVolume are both set"
        findings.add("vm-block-size", (*path, "matchVolume"), text, "keep one", at_key=True)
        return
    logical, physical = custom.get("logical", 0), custom.get("physical", 0)
    for name, size in (("logical", logical), ("physical", physical)):
        if not LEAST_BLOCK <= size <= LARGEST_BLOCK or size & (size - 1):
            text = f"a {name} block of {size} bytes is not a power of 2 from {LEAST_BLOCK} to {LARGEST_BLOCK}"
            findings.add("vm-block-size", (*path, "custom", name), text)
            return
    granularity = custom.get("discardGranularity")
    if logical > physical:
        text = f"a logical block of {logical} bytes is larger than a physical one of {physical}"
        findings.add("vm-block-size", (*path, "custom", "logical"), text)
    elif bus_of(disk) == "sata" and logical != LEAST_BLOCK:
        text = f"a disk on the sata bus has logical blocks of {LEAST_BLOCK} bytes"
        findings.add("vm-block-size", (*path, "custom", "logical"), text, "take bus: virtio or scsi")
    elif granularity is not None and granularity % logical:
        text = f"a discard granularity of {granularity} bytes is not a multiple of the logical block"
        findings.add("vm-block-size", (*path, "custom", "discardGranularity"), text)


_RULES: Mapping[str, EntryRule] = {
    "disk": _check_target,
    "cdrom": _check_cdrom,
    "lun": _check_lun,
    "dedicatedIOThread": _check_io_thread,
    "io": _check_io,
    "shareable": _check_shareable,
    "serial": _check_serial,
    "blockSize": _check_block_size,
}
