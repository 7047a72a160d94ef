"""Manifest fields that no place in the XML answers for: kept elsewhere, or refused.

Paths are below ``spec`` of a VirtualMachine; ``[]`` is any item of a list, a final ``.*`` the whole subtree,
a final ``.?`` any one thing below.
"""

from __future__ import annotations

from nodeexec.libvirt.table import Kept, Refused

_T = "template.spec"
_D = f"{_T}.domain"
_V = f"{_D}.devices"
_DISK = f"{_V}.disks[]"
_NIC = f"{_V}.interfaces[]"

_CLUSTER = "this engine runs VMs on one host and schedules nothing"
_LATER = "this engine does not attach such devices"

KEPT: tuple[Kept, ...] = (
    Kept(paths=("running", "runStrategy"), why="decides power"),
    Kept(paths=("dataVolumeTemplates[].*",), why="become volumes of their own"),
    Kept(paths=("updateVolumesStrategy",), why="a claim is exchanged at a restart"),
    Kept(paths=("template.metadata.*",), why="labels and annotations, kept with the applied document"),
    Kept(paths=(f"{_T}.hostname", f"{_T}.subdomain"), why="reaches the guest through cloud-init"),
    Kept(
        paths=(
            f"{_T}.accessCredentials[].sshPublicKey.source.secret.secretName",
            f"{_T}.accessCredentials[].sshPublicKey.propagationMethod.noCloud.*",
            f"{_T}.accessCredentials[].sshPublicKey.propagationMethod.configDrive.*",
        ),
        why="reaches the guest through cloud-init",
    ),
    Kept(
        paths=(
            f"{_T}.accessCredentials[].userPassword.*",
            f"{_T}.accessCredentials[].sshPublicKey.propagationMethod.qemuGuestAgent.*",
        ),
        why="set in the running guest through its agent",
    ),
    Kept(paths=(f"{_T}.terminationGracePeriodSeconds",), why="how long a stop waits before it is forced"),
    Kept(paths=(f"{_T}.nodeSelector.*",), why="decides whether the VM is here"),
    Kept(paths=(f"{_V}.autoattachPodInterface",), why="decides whether a VM without NICs gets one"),
    Kept(paths=(f"{_V}.logSerialConsole",), why="the serial console is always logged"),
)
"""Declared, honoured or remembered, and without a row of its own."""

REFUSED: tuple[Refused, ...] = (
    Refused(
        paths=("instancetype.*", "preference.*"),
        reason="instance types and preferences are not read by this engine",
        hint="write cpu, memory and devices into the VirtualMachine",
    ),
    Refused(paths=(f"{_T}.startStrategy",), reason="a guest cannot be started paused", hint="use `gitvirt pause`"),
    Refused(paths=(f"{_T}.resourceClaims[].*", f"{_T}.networks[].resourceClaim.*"), reason=_CLUSTER),
    Refused(paths=(f"{_T}.utilityVolumes[].*",), reason="utility volumes are a means of KubeVirt's own"),
    Refused(
        paths=(f"{_T}.networks[].pod.vmNetworkCIDR", f"{_T}.networks[].pod.vmIPv6NetworkCIDR"),
        reason="the pod network is one for all VMs of the host; its addresses are those of settings.podNetwork",
    ),
    Refused(
        paths=(f"{_T}.volumes[].containerDisk.*",),
        reason="container images are not read as disks yet",
        hint="import the disk image with a DataVolume (source.http)",
    ),
    Refused(
        paths=tuple(
            f"{_T}.volumes[].{kind}.*"
            for kind in (
                "ephemeral",
                "hostDisk",
                "downwardAPI",
                "downwardMetrics",
                "memoryDump",
                "serviceAccount",
                "sysprep",
                "containerPath",
            )
        ),
        reason="volumes of this type are not made by this engine",
        hint="use a claim, a DataVolume, cloud-init, a ConfigMap, a Secret or an emptyDisk",
    ),
    Refused(
        paths=(f"{_DISK}.lun.*",),
        reason="a lun passes SCSI commands to a real device, and claims here are files",
        hint="use disk with bus scsi",
    ),
    Refused(
        paths=(f"{_DISK}.disk.pciAddress", f"{_NIC}.pciAddress", f"{_NIC}.acpiIndex"),
        reason="PCI places are chosen once, read back and kept; they cannot be asked for",
    ),
    Refused(
        paths=(f"{_DISK}.cdrom.tray",), reason="a tray is closed when the guest starts", allowed=("closed", "", None)
    ),
    Refused(
        paths=(f"{_DISK}.blockSize.matchVolume.enabled",),
        reason="a volume's block size is not looked at",
        hint="say it in blockSize.custom",
    ),
    Refused(paths=(f"{_DISK}.changedBlockTracking",), reason="backups keep their own bitmaps", harmless=True),
    Refused(
        paths=tuple(f"{_NIC}.{name}.*" for name in ("slirp", "passt", "passtBinding", "sriov", "macvtap", "binding")),
        reason="this engine plugs NICs into bridges only",
        hint="use bridge: {} or masquerade: {}",
    ),
    Refused(paths=(f"{_NIC}.dhcpOptions.*",), reason="DHCP options are the network's here, not the NIC's"),
    Refused(
        paths=(f"{_NIC}.ports[].*", f"{_NIC}.portRanges[].*"),
        harmless=True,
        reason="the host reaches every port of the guest's own address; nothing is forwarded and nothing is closed",
    ),
    Refused(paths=(f"{_NIC}.tag", f"{_DISK}.tag"), reason="tags are not shown to the guest", harmless=True),
    Refused(
        paths=tuple(
            f"{_V}.{name}"
            for name in (
                "autoattachVSOCK",
                "blockMultiQueue",
                "networkInterfaceMultiqueue",
                "useVirtioTransitional",
                "clientPassthrough.*",
                "clientPassthrough",
                "downwardMetrics",
                "filesystems[].*",
                "gpus[].*",
                "hostDevices[].*",
                "panicDevices[].*",
                "sound.*",
                "tpm.*",
                "tpm",
                "watchdog.diag288.*",
                "disableHotplug",
                "autoattachInputDevice",
            )
        ),
        reason=_LATER,
        allowed=(False, None, ""),
    ),
    Refused(paths=(f"{_D}.chassis.*",), reason="the chassis is not described to the guest"),
    Refused(paths=(f"{_D}.launchSecurity.*",), reason="encrypted guests need hardware this engine does not look for"),
    Refused(paths=(f"{_D}.rebootPolicy",), reason="a guest that reboots is rebooted", allowed=("Reboot", "", None)),
    Refused(
        paths=(f"{_D}.firmware.kernelBoot.*",),
        reason="kernels come from the guest's disk",
        hint="install the kernel on the boot disk",
    ),
    Refused(paths=(f"{_D}.firmware.acpi.*",), reason="ACPI tables are the machine's own"),
    Refused(
        paths=(f"{_D}.firmware.bootloader.bios.useSerial",), reason="the BIOS does not write to the serial console"
    ),
    Refused(
        paths=(f"{_D}.firmware.bootloader.efi.persistent",),
        reason="UEFI variables always persist",
        allowed=(True, None),
        harmless=True,
    ),
    Refused(
        paths=(
            f"{_D}.features.hyperv.synictimer.direct.*",
            f"{_D}.features.hyperv.tlbflush.direct.*",
            f"{_D}.features.hyperv.tlbflush.extended.*",
            f"{_D}.features.hypervPassthrough.*",
        ),
        reason="only the enlightenments themselves can be switched",
    ),
    Refused(
        paths=(
            f"{_D}.cpu.dedicatedCpuPlacement",
            f"{_D}.cpu.isolateEmulatorThread",
            f"{_D}.cpu.numa.*",
            f"{_D}.cpu.realtime.*",
            f"{_D}.cpu.realtime",
        ),
        reason="vCPUs are not pinned to host CPUs",
    ),
    Refused(
        paths=(f"{_D}.memory.maxGuest", f"{_D}.memory.reservedOverhead.*"),
        harmless=True,
        reason="memory changes at a restart; there is no ceiling to reserve",
    ),
    Refused(
        paths=(f"{_D}.resources.overcommitGuestOverhead", f"{_D}.resources.requests.?", f"{_D}.resources.limits.?"),
        reason="nothing is reserved or limited for QEMU itself",
        harmless=True,
    ),
    Refused(
        paths=(f"{_D}.ioThreadsPolicy", f"{_D}.ioThreads.*"),
        harmless=True,
        reason="I/O threads are made for disks with dedicatedIOThread only",
    ),
    Refused(
        paths=tuple(
            f"{_T}.{name}"
            for name in (
                "affinity.*",
                "tolerations[].*",
                "topologySpreadConstraints[].*",
                "priorityClassName",
                "evictionStrategy",
                "schedulerName",
                "dnsPolicy",
                "dnsConfig.*",
                "serviceAccountName",
            )
        ),
        reason=_CLUSTER,
        harmless=True,
    ),
    Refused(
        paths=(f"{_T}.livenessProbe.*", f"{_T}.readinessProbe.*"), reason="guests are not probed here", harmless=True
    ),
)
"""Known to KubeVirt and not honoured by this engine. The first that fits speaks."""
