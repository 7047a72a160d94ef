"""Faults of a VM's disks, volumes, interfaces, networks and other devices."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

VM_STORAGE = (
    ProblemCode(
        "vm-disk-no-volume",
        ERROR,
        "A disk has no volume of its name.",
        "Add a volume of that name, or remove the disk.",
    ),
    ProblemCode(
        "vm-volume-no-disk",
        ERROR,
        "A volume has no disk or filesystem of its name.",
        "Add a disk of that name, or remove the volume.",
    ),
    ProblemCode(
        "vm-name-twice",
        ERROR,
        "Two disks, volumes, interfaces or networks of one VM have the same name.",
        "Rename one of them.",
    ),
    ProblemCode(
        "vm-one-type",
        ERROR,
        "A disk, volume, network or interface has no type or more than one.",
        "Keep exactly one; an empty one is written `{}`.",
    ),
    ProblemCode(
        "vm-boot-order",
        ERROR,
        "A bootOrder is below 1 or used twice in the VM.",
        "Number disks and interfaces 1, 2, 3 without repetition.",
    ),
    ProblemCode("vm-claim-twice", ERROR, "Two volumes of one VM use the same claim.", "Remove one of the volumes."),
    ProblemCode(
        "vm-disk-bus",
        ERROR,
        "The bus cannot do what the disk is: a CD-ROM or a lun on virtio, a read-only disk on sata.",
        "Take another bus.",
    ),
    ProblemCode(
        "vm-disk-lun",
        ERROR,
        "A lun stands on a volume that is neither a claim nor a DataVolume.",
        "Take `disk`, or another volume.",
    ),
    ProblemCode(
        "vm-disk-io-thread",
        ERROR,
        "`dedicatedIOThread` is set on a disk that is not on the virtio bus.",
        "Take `bus: virtio`.",
    ),
    ProblemCode(
        "vm-disk-io",
        ERROR,
        "`io` is `default`, or `native` with a host cache.",
        "Write `native` with `cache: none`, or `threads`, or leave it out.",
    ),
    ProblemCode(
        "vm-disk-shareable",
        ERROR,
        "A shareable disk has a host cache, which other VMs do not see.",
        "Write `cache: none`.",
    ),
    ProblemCode(
        "vm-block-size",
        ERROR,
        "A block size is not a power of 2 from 512 bytes to 2 MiB, or the sizes contradict each other.",
        "Take 512 or 4096; on sata a logical size is 512.",
    ),
    ProblemCode(
        "vm-pci-address",
        ERROR,
        "A PCI address is malformed, or stands on a disk that is not on the virtio bus.",
        "Write it as `0000:81:01.0`, or leave it out.",
    ),
    ProblemCode(
        "vm-cloud-init-data",
        ERROR,
        "A cloud-init volume has no data, or has it in more than one way.",
        "Keep one of `userData`, `userDataBase64` and `secretRef`.",
    ),
    ProblemCode(
        "vm-cloud-init-size",
        WARNING,
        "Cloud-init data within the manifest is over 2048 bytes. This engine takes it; KubeVirt refuses the VM.",
        "Put it into a Secret.",
    ),
    ProblemCode(
        "vm-volume-source",
        ERROR,
        "A volume names nothing to stand on, or two things.",
        "Name the object that is meant.",
    ),
    ProblemCode(
        "vm-volume-once",
        ERROR,
        "More than one volume is of a type of which a VM has at most one.",
        "Keep one.",
    ),
    ProblemCode(
        "vm-path-invalid",
        ERROR,
        "A path is not the absolute path of a file, or is one that is reserved.",
        "Write it from `/`, without `..`.",
    ),
    ProblemCode(
        "vm-host-disk",
        ERROR,
        "`capacity` of a hostDisk stands where nothing is made, or is missing where something is.",
        "Set it with `type: DiskOrCreate` only.",
    ),
    ProblemCode(
        "vm-container-path",
        ERROR,
        "A containerPath volume is shown as a disk.",
        "Move it to `devices.filesystems`.",
    ),
    ProblemCode(
        "vm-downward-metrics",
        ERROR,
        "A downwardMetrics volume is not shown as a disk on the virtio bus.",
        "Write `disk: {bus: virtio}`.",
    ),
)

VM_NETWORK = (
    ProblemCode(
        "vm-interface-no-network",
        ERROR,
        "An interface has no network of its name.",
        "Add a network of that name, or remove the interface.",
    ),
    ProblemCode(
        "vm-network-no-interface",
        ERROR,
        "A network has no interface of its name.",
        "Add an interface of that name, or remove the network.",
    ),
    ProblemCode(
        "vm-mac-invalid",
        ERROR,
        "A MAC address is malformed, or is not the address of one card.",
        "Write six pairs of hexadecimal digits, such as `02:00:00:12:34:56`.",
    ),
    ProblemCode(
        "vm-mac-twice", ERROR, "Two interfaces of one VM have the same MAC address.", "Change one, or leave both out."
    ),
    ProblemCode(
        "vm-mac-reserved",
        ERROR,
        "The MAC address is the one that a masquerade binding uses itself.",
        "Take another, or leave it out.",
    ),
    ProblemCode("vm-pod-network-twice", ERROR, "More than one network is the pod network.", "Keep one."),
    ProblemCode(
        "vm-default-network",
        ERROR,
        "More than one network is the default: of multus networks, or one beside the pod network.",
        "Keep one default.",
    ),
    ProblemCode(
        "vm-binding-network",
        ERROR,
        "The interface's binding leads out of the pod network only, and its network is another.",
        "Write `bridge: {}`.",
    ),
    ProblemCode(
        "vm-multus-name",
        ERROR,
        "`networkName` is not the name of a NetworkAttachmentDefinition.",
        "Write `NAME` or `NAMESPACE/NAME`.",
    ),
    ProblemCode(
        "vm-pod-cidr",
        ERROR,
        "The pod network's range inside the guest is not a network of at least 4 addresses.",
        "Write it as `10.0.2.0/24`, or leave it out.",
    ),
    ProblemCode(
        "vm-interface-state",
        ERROR,
        "The interface cannot be in that state: its binding or its network rules it out.",
        "`absent` is for bridge bindings beside the default network.",
    ),
    ProblemCode(
        "vm-port-invalid",
        ERROR,
        "A port is not 1 to 65535, its name is not one, or a name stands twice.",
        "Correct the port; a name is at most 15 of a-z, 0-9 and `-`.",
    ),
    ProblemCode(
        "vm-port-range",
        ERROR,
        "A range of ports is malformed, overlaps another, or stands where ranges are not allowed.",
        "At most 10 ranges, on masquerade interfaces without `ports`.",
    ),
    ProblemCode(
        "vm-dhcp-options",
        ERROR,
        "An NTP server is not an IPv4 address, or a private DHCP option is not 224 to 254 or stands twice.",
        "Correct the option.",
    ),
)

VM_DEVICES = (
    ProblemCode(
        "vm-watchdog-type",
        ERROR,
        "A watchdog has no type, two, or one of another architecture.",
        "Write `i6300esb: {}`.",
    ),
    ProblemCode("vm-video-type", ERROR, "There is no such screen.", "Take `virtio` or `vga`."),
    ProblemCode(
        "vm-video-off",
        ERROR,
        "A screen is described, and `autoattachGraphicsDevice: false` says that there is none.",
        "Remove one of the two.",
    ),
    ProblemCode("vm-sound-model", ERROR, "There is no such sound device.", "Take `ich9` or `ac97`."),
    ProblemCode(
        "vm-device-name",
        ERROR,
        "A device has no name, or that of another of its kind.",
        "Give each a name of its own.",
    ),
    ProblemCode(
        "vm-device-source",
        ERROR,
        "A GPU or host device does not say which device of the host it is, or says it twice.",
        "Set `deviceName`.",
    ),
    ProblemCode(
        "vm-gpu-display",
        ERROR,
        "More than one GPU shows the guest's boot screen.",
        "Set `ramFB: {enabled: false}` on all but one.",
    ),
    ProblemCode(
        "vm-io-threads",
        ERROR,
        "I/O threads are to come from a pool, and nothing says how many there are.",
        "Set `ioThreads.supplementalPoolThreadCount`.",
    ),
)
