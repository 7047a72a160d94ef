"""What a domain's XML depends on besides its spec: the host it is for, and what was read back and is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_HOTPLUG_PORTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwarePaths:
    """A UEFI build: its code, and the template of its variables."""

    code: str
    variables: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """The host a domain is built for. ``accelerator`` is ``kvm`` or ``qemu`` (emulation). ``owner`` is the one whose pod
    network guests are plugged into. ``emulator`` empty lets libvirt choose. ``seed_pool`` holds the generated ISOs and
    scratch disks. Consoles are logged to ``<console_log_directory>/<domain>.log`` (empty: not logged). ``hotplug_ports``
    are the PCIe root ports beyond those in use, one for each device that can be plugged into the running guest.
    ``user_network``: the pod network is QEMU's own way out for each guest.
    """

    accelerator: str = "qemu"
    owner: str = ""
    architecture: str = "x86_64"
    emulator: str = ""
    seed_pool: str = "default"
    console_log_directory: str = "/var/log/gitvirt/consoles"
    efi: FirmwarePaths = FirmwarePaths(
        code="/usr/share/OVMF/OVMF_CODE_4M.fd", variables="/usr/share/OVMF/OVMF_VARS_4M.fd"
    )
    efi_secure: FirmwarePaths = FirmwarePaths(
        code="/usr/share/OVMF/OVMF_CODE_4M.ms.fd", variables="/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
    )
    hotplug_ports: int = DEFAULT_HOTPLUG_PORTS
    user_network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Read back from an existing XML and kept (law 9), so that an edit moves nothing in the guest.

    ``machine`` is the versioned machine type. ``addresses`` maps a device (``alias:ua-disk-root``, ``rng:0``,
    ``controller:pci:3``) to the attributes of its ``<address>``. ``targets`` maps a disk's alias (or ``foreign:…``) to (bus,
    target), such as ``("virtio", "vda")``. ``sources`` maps a disk's alias to (pool, volume). ``ports`` is the number of
    PCIe root ports.
    """

    machine: str = ""
    addresses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    ports: int = 0


NOTHING_CARRIED = Carried()
