"""Faults of VirtualMachines: what runs them, their memory, CPUs, firmware and place."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

VM = (
    ProblemCode(
        "vm-run-strategy-twice",
        ERROR,
        "`running` and `runStrategy` are both set; only one may be.",
        "Keep `runStrategy`.",
    ),
    ProblemCode(
        "vm-no-run-strategy",
        ERROR,
        "Neither `running` nor `runStrategy` is set.",
        "Set `runStrategy: Always` or `Halted`.",
    ),
    ProblemCode(
        "vm-hostname-invalid",
        ERROR,
        "The host name is not a DNS label.",
        "Use lower-case letters, digits and `-`, at most 63 characters.",
    ),
    ProblemCode(
        "vm-subdomain-invalid",
        ERROR,
        "The subdomain is not DNS labels joined by dots.",
        "Use lower-case letters, digits, `-` and `.`, at most 253 characters.",
    ),
    ProblemCode(
        "vm-dns-config",
        ERROR,
        "Name servers, search domains or options are not such, are too many, or are needed and missing.",
        "At most 3 IP addresses and 6 domains; `dnsPolicy: None` needs a name server.",
    ),
    ProblemCode(
        "vm-grace-period",
        ERROR,
        "`terminationGracePeriodSeconds` is negative.",
        "Write 0 for a guest that is never waited for.",
    ),
    ProblemCode(
        "vm-template-name-twice",
        ERROR,
        "Two dataVolumeTemplates have the same name, or one has none.",
        "Give each template its own name.",
    ),
    ProblemCode(
        "vm-template-unused",
        ERROR,
        "No volume of the VM uses the disk of one of its dataVolumeTemplates.",
        "Add a volume with `dataVolume: {name: …}`, or remove the template.",
    ),
    ProblemCode(
        "vm-template-namespace",
        ERROR,
        "A dataVolumeTemplate names another namespace than that of its VM.",
        "Remove `namespace` from the template.",
    ),
    ProblemCode(
        "vm-instancetype-name",
        ERROR,
        "An instancetype or preference names nothing, names two things, or a volume that cannot tell.",
        "Set `name`.",
    ),
    ProblemCode(
        "vm-instancetype-conflict",
        ERROR,
        "The VM says CPU or memory itself and takes an instancetype, which says them too.",
        "Remove one of the two.",
    ),
)

VM_COMPUTE = (
    ProblemCode("vm-no-memory", ERROR, "Nothing says how much memory the VM has.", "Set `domain.memory.guest`."),
    ProblemCode(
        "vm-memory-order",
        ERROR,
        "Memory amounts contradict each other: a request above its limit, or guest memory above its maximum.",
        "Raise the limit or lower the request.",
    ),
    ProblemCode(
        "vm-memory-limit",
        ERROR,
        "The guest has more memory than `resources.limits.memory`.",
        "Raise the limit, or leave it out.",
    ),
    ProblemCode(
        "vm-memory-small",
        ERROR,
        "Memory is below 1M, which is nearly always a forgotten unit.",
        "Write a unit, such as `2Gi`.",
    ),
    ProblemCode(
        "vm-resource-order",
        ERROR,
        "A request of something other than memory is above its limit.",
        "Raise the limit or lower the request.",
    ),
    ProblemCode(
        "vm-hugepages",
        ERROR,
        "There are no huge pages of that size, or memory is not a multiple of it.",
        "Take `2Mi` or `1Gi`, and a multiple of it for memory.",
    ),
    ProblemCode(
        "vm-max-guest",
        ERROR,
        "`maxGuest` lets memory grow in a running VM, and the rest of the VM rules that out.",
        "Begin with at least 1Gi in steps of 2Mi, or remove `maxGuest`.",
    ),
    ProblemCode("vm-cpu-invalid", ERROR, "A CPU count is not positive.", "Set a positive count."),
    ProblemCode("vm-cpu-sockets", ERROR, "There are more sockets than maxSockets.", "Raise `maxSockets`."),
    ProblemCode(
        "vm-cpu-model",
        ERROR,
        "The CPU model is not a name.",
        "Write `host-model`, `host-passthrough` or the name of a model.",
    ),
    ProblemCode(
        "vm-cpu-feature",
        ERROR,
        "A CPU feature has an unknown policy, is not a name, or stands twice.",
        "A policy is one of force, require, optional, disable and forbid.",
    ),
    ProblemCode(
        "vm-cpu-dedicated",
        ERROR,
        "CPUs are dedicated, and what is said of their number is not whole, not equal, or missing.",
        "Set `cpu.cores` and leave cpu out of `resources`.",
    ),
    ProblemCode(
        "vm-cpu-isolate",
        ERROR,
        "`isolateEmulatorThread` is set without dedicated CPUs.",
        "Set `dedicatedCpuPlacement: true`.",
    ),
    ProblemCode(
        "vm-cpu-numa",
        ERROR,
        "The host's NUMA topology is asked for without dedicated CPUs or huge pages.",
        "Set `dedicatedCpuPlacement: true` and `memory.hugepages`.",
    ),
    ProblemCode(
        "vm-cpu-realtime",
        ERROR,
        "`realtime` lacks dedicated CPUs or the NUMA topology, or its mask is not a list of CPUs.",
        "Set both, and write the mask as `0-3,^1`.",
    ),
)

VM_FIRMWARE = (
    ProblemCode(
        "vm-uuid-invalid",
        ERROR,
        "The firmware UUID is malformed.",
        "Write 8-4-4-4-12 hexadecimal digits, or leave it out.",
    ),
    ProblemCode(
        "vm-serial-invalid",
        ERROR,
        "A serial number has characters that are not allowed, or more than 256.",
        "Use letters, digits and `_ . + -`.",
    ),
    ProblemCode("vm-firmware-twice", ERROR, "`bios` and `efi` are both set.", "Keep one."),
    ProblemCode(
        "vm-secure-boot",
        ERROR,
        "Secure boot is on, as it is with `efi: {}`, and system management mode is not.",
        "Add `features: {smm: {}}`, or `secureBoot: false`.",
    ),
    ProblemCode(
        "vm-kernel-boot",
        ERROR,
        "A kernel is to be booted, and the container with it is missing or holds none.",
        "Set `container.image` and `kernelPath`.",
    ),
    ProblemCode(
        "vm-acpi-table",
        ERROR,
        "An ACPI table is not a volume of the VM that is a Secret.",
        "Name a secret volume in `slicNameRef` or `msdmNameRef`.",
    ),
    ProblemCode(
        "vm-architecture",
        ERROR,
        "There are no VMs of that architecture.",
        "Write `amd64`, `arm64` or `s390x`, or leave it out.",
    ),
    ProblemCode(
        "vm-machine-type",
        ERROR,
        "The machine type is not one of the VM's architecture.",
        "Write `q35`, or leave it out.",
    ),
    ProblemCode(
        "vm-launch-security",
        ERROR,
        "A guest's encryption is of no or several types, or something in the VM rules it out.",
        "Keep one type; it needs UEFI, and sev and snp need it without secure boot.",
    ),
    ProblemCode("vm-hyperv-twice", ERROR, "`hyperv` and `hypervPassthrough` are both set.", "Keep one."),
    ProblemCode(
        "vm-hyperv-needs",
        ERROR,
        "A Hyper-V enlightenment is on, and another that it needs is off.",
        "Turn on what it needs, or it off.",
    ),
    ProblemCode(
        "vm-hyperv-value",
        ERROR,
        "A Hyper-V enlightenment has a value that hypervisors do not take.",
        "At least 4096 spinlock retries; a vendor id of at most 12 characters.",
    ),
    ProblemCode("vm-clock-twice", ERROR, "`utc` and `timezone` are both set.", "Keep one."),
    ProblemCode("vm-timezone", ERROR, "The time zone has not the form of one.", "Write it as `Europe/Paris`."),
)

VM_PLACEMENT = (
    ProblemCode(
        "vm-node-selector",
        ERROR,
        "A key or value of nodeSelector is not that of a label.",
        "Write it as the labels of hosts are.",
    ),
    ProblemCode(
        "vm-affinity",
        ERROR,
        "An affinity term is malformed: its key, operator, values, weight or topologyKey.",
        "Correct it as the message says; KubeVirt would refuse the VM.",
    ),
    ProblemCode(
        "vm-toleration",
        ERROR,
        "The key, operator, value or time of a toleration do not fit together.",
        "`Exists` takes no value; `tolerationSeconds` counts with `NoExecute`.",
    ),
    ProblemCode(
        "vm-topology-spread",
        ERROR,
        "A topology spread constraint is malformed or stands twice.",
        "Correct it as the message says; KubeVirt would refuse the VM.",
    ),
    ProblemCode(
        "vm-priority-class",
        ERROR,
        "`priorityClassName` is not a name.",
        "Use lower-case letters, digits, `-` and `.`.",
    ),
    ProblemCode(
        "vm-service-account",
        ERROR,
        "`serviceAccountName` is not a name, or another than that of the serviceAccount volume.",
        "Name the same account in both places.",
    ),
    ProblemCode(
        "vm-probe-handler",
        ERROR,
        "A probe asks nothing, several things, or a command that is empty.",
        "Keep one of `httpGet`, `tcpSocket`, `exec` and `guestAgentPing`.",
    ),
    ProblemCode("vm-probe-port", ERROR, "The port of a probe is not a number from 1 to 65535.", "Correct the port."),
    ProblemCode("vm-probe-numbers", ERROR, "A time or a count of a probe is out of range.", "Correct the number."),
    ProblemCode(
        "vm-probe-network",
        ERROR,
        "A probe reaches the guest through the pod network, and the VM is not on it.",
        "Use `guestAgentPing` or `exec`, or add the pod network.",
    ),
    ProblemCode(
        "vm-probe-paused",
        ERROR,
        "The guest is paused at its start, and a liveness probe would kill it.",
        "Remove `livenessProbe` or `startStrategy`.",
    ),
    ProblemCode(
        "vm-credential",
        ERROR,
        "An access credential lacks its kind, its Secret or its way into the guest, or has several.",
        "Keep one of each.",
    ),
    ProblemCode(
        "vm-credential-volume",
        ERROR,
        "Keys are handed over in a cloud-init volume that the VM does not have.",
        "Add the volume, or take the propagation method that fits the one it has.",
    ),
)
"""Where a VM runs, who asks it how it is, and who may enter."""

VM_LABELS = (
    ProblemCode(
        "label-reserved",
        ERROR,
        "A label of the template is one that only KubeVirt sets; it refuses such VMs.",
        "Remove the label.",
    ),
    ProblemCode(
        "annotation-reserved",
        WARNING,
        "The annotation is one that gitvirt writes on live objects.",
        "Remove it from the manifest.",
    ),
    ProblemCode(
        "annotation-unknown",
        WARNING,
        "An annotation begins with `gitvirt.io/` and is none that gitvirt reads: probably a slip.",
        "Correct it; `docs/manifests.md` lists them.",
    ),
)
