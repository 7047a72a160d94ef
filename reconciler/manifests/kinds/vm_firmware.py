"""Rules for a VM's firmware, machine type and encryption."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_file_path
from reconciler.manifests.kinds.vm_paths import DOMAIN, TEMPLATE, Section, is_on
from reconciler.model.document import FieldPath

ARCHITECTURES = ("amd64", "arm64", "s390x")
MACHINE_TYPES = {"amd64": ("q35", "q35-*", "pc-q35-*"), "arm64": ("virt", "virt-*"), "s390x": ("s390-ccw-virtio*",)}
MAX_SERIAL = 256

_FIRMWARE: FieldPath = (*DOMAIN, "firmware")
_LAUNCH: FieldPath = (*DOMAIN, "launchSecurity")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_SERIAL = re.compile(r"[A-Za-z0-9_.+-]+", re.ASCII)


def check_serial(findings: Findings, serial: str, path: FieldPath) -> None:
    """A serial number's characters and length."""
    if serial and not _SERIAL.fullmatch(serial):
        hint = "use letters, digits and _ . + -"
        findings.add("vm-serial-invalid", path, f"{serial[:40]!r} is not a serial number", hint)
    elif len(serial) > MAX_SERIAL:
        text = f"the serial number has {len(serial)} characters; at most {MAX_SERIAL} are allowed"
        findings.add("vm-serial-invalid", path, text)


def check_firmware(findings: Findings, vmi: Section) -> None:
    """UUID, serial, boot loader, kernel, ACPI tables."""
    firmware = vmi["domain"]["firmware"]
    uuid = firmware.get("uuid")
    if uuid is not None and not _UUID.fullmatch(uuid):
        hint = "write 8-4-4-4-12 hexadecimal digits, or leave it out"
        findings.add("vm-uuid-invalid", (*_FIRMWARE, "uuid"), f"{uuid[:40]!r} is not a UUID", hint)
    if "serial" in firmware:
        check_serial(findings, firmware["serial"], (*_FIRMWARE, "serial"))
    if "bootloader" in firmware:
        _check_bootloader(findings, vmi["domain"])
    if "kernelBoot" in firmware:
        _check_kernel(findings, firmware["kernelBoot"])
    if "acpi" in firmware:
        _check_acpi(findings, vmi)


def _check_bootloader(findings: Findings, domain: Section) -> None:
    loader = domain["firmware"]["bootloader"]
    path = (*_FIRMWARE, "bootloader")
    if "efi" in loader and "bios" in loader:
        text = "bios and efi are both set; a VM has one firmware"
        findings.add("vm-firmware-twice", (*path, "bios"), text, "keep one", at_key=True)
    secure = "efi" in loader and loader["efi"].get("secureBoot") is not False
    if secure and not is_on(domain.get("features", {}).get("smm")) and "tdx" not in domain.get("launchSecurity", {}):
        text = "secure boot is on (it is unless efi says secureBoot: false) and needs system management mode"
        findings.add("vm-secure-boot", (*path, "efi"), text, "add features: {smm: {}}, or secureBoot: false")


def _check_kernel(findings: Findings, boot: Section) -> None:
    path = (*_FIRMWARE, "kernelBoot")
    container = boot.get("container")
    if container is None:
        if boot.get("kernelArgs"):
            text = "kernelArgs is set and there is no container with a kernel"
            findings.add("vm-kernel-boot", (*path, "kernelArgs"), text, "add container, or remove kernelArgs")
        return
    if not container["image"]:
        findings.add("vm-kernel-boot", (*path, "container", "image"), "the container has no image")
    paths = [field for field in ("kernelPath", "initrdPath") if container.get(field)]
    if not paths:
        text = "the container has neither kernelPath nor initrdPath"
        findings.add("vm-kernel-boot", (*path, "container"), text)
    for field in paths:
        if fault := fault_of_file_path(container[field]):
            findings.add("vm-path-invalid", (*path, "container", field), f"{field} {fault}")


def _check_acpi(findings: Findings, vmi: Section) -> None:
    acpi = vmi["domain"]["firmware"]["acpi"]
    names = [field for field in ("slicNameRef", "msdmNameRef") if acpi.get(field)]
    if not names:
        findings.add("vm-acpi-table", (*_FIRMWARE, "acpi"), "acpi names no table", "add slicNameRef or msdmNameRef")
    volumes = {volume["name"]: volume for volume in vmi.get("volumes", ())} if names else {}
    for field in names:
        volume = volumes.get(acpi[field])
        if volume is None or "secret" not in volume:
            wrong = "names no volume of the VM" if volume is None else "names a volume that is not a secret"
            findings.add("vm-acpi-table", (*_FIRMWARE, "acpi", field), f"{field} {wrong}", "name a secret volume")


def check_architecture(findings: Findings, vmi: Section) -> None:
    """One of the architectures that there are VMs of."""
    architecture = vmi["architecture"]
    if architecture and architecture not in ARCHITECTURES:
        text = f"{architecture[:40]!r} is not an architecture"
        findings.add("vm-architecture", (*TEMPLATE, "architecture"), text, f"take one of {', '.join(ARCHITECTURES)}")


def check_machine(findings: Findings, vmi: Section) -> None:
    """A machine type of the VM's architecture."""
    machine = vmi["domain"]["machine"].get("type")
    types = MACHINE_TYPES.get(vmi.get("architecture") or "amd64", ())
    if machine and types and not any(fnmatchcase(machine, one) for one in types):
        text = f"{machine[:40]!r} is not a machine type of this architecture"
        findings.add("vm-machine-type", (*DOMAIN, "machine", "type"), text, f"write {types[0]}, or leave it out")


def check_launch_security(findings: Findings, vmi: Section) -> None:
    """One kind of encryption, and the firmware it needs. *Source*: KubeVirt's admission on amd64."""
    domain = vmi["domain"]
    security = domain["launchSecurity"]
    chosen = [name for name in ("sev", "snp", "tdx") if name in security]
    if len(chosen) != 1:
        text = "launchSecurity has no type" if not chosen else f"{' and '.join(chosen)} are both set"
        findings.add("vm-launch-security", _LAUNCH, text, "keep one of sev, snp and tdx")
        return
    name = chosen[0]
    if name == "tdx" and is_on(domain.get("features", {}).get("smm")):
        findings.add("vm-launch-security", (*DOMAIN, "features", "smm"), "tdx and smm exclude each other")
    efi = domain.get("firmware", {}).get("bootloader", {}).get("efi")
    if efi is None:
        text = f"{name} needs UEFI firmware"
        findings.add("vm-launch-security", (*_LAUNCH, name), text, "add firmware.bootloader.efi")
    elif name != "tdx" and efi.get("secureBoot") is not False:
        path = (*_FIRMWARE, "bootloader", "efi")
        findings.add("vm-launch-security", path, f"{name} and secure boot exclude each other", "add secureBoot: false")
    elif name != "sev" and efi.get("persistent"):
        path = (*_FIRMWARE, "bootloader", "efi", "persistent")
        findings.add("vm-launch-security", path, f"{name} and persistent UEFI variables exclude each other")
    if "attestation" in security[name] and vmi.get("startStrategy") != "Paused":
        text = "attestation needs a guest that waits for it"
        findings.add("vm-launch-security", (*_LAUNCH, name, "attestation"), text, "add startStrategy: Paused")
    for index, interface in enumerate(domain["devices"].get("interfaces", ())):
        if "bootOrder" in interface:
            path = (*DOMAIN, "devices", "interfaces", index, "bootOrder")
            findings.add("vm-launch-security", path, f"a VM with {name} cannot boot from the network")
