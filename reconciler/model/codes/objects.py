"""Faults of single objects."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

METADATA = (
    ProblemCode(
        "metadata-generate-name",
        ERROR,
        "`generateName` makes a new object each time it is applied; gitvirt needs a fixed name.",
        "Write `name`.",
    ),
    ProblemCode(
        "name-invalid",
        ERROR,
        "A name is not one that the API accepts.",
        "Use lower-case letters, digits and `-`, at most 63 characters (253 with dots, where those are allowed).",
    ),
    ProblemCode(
        "name-too-long",
        ERROR,
        "`<namespace>_<name>` of a VM is longer than the 200 characters that a domain name may have.",
        "Shorten the name or the namespace.",
    ),
    ProblemCode(
        "label-invalid",
        ERROR,
        "A label's key or value is not one that the API accepts.",
        "Keys: `prefix/name`, name and value at most 63 letters, digits, `-`, `_` and `.`.",
    ),
    ProblemCode(
        "annotation-invalid",
        ERROR,
        "An annotation's key is not one that the API accepts, or all annotations together are over 256 KiB.",
        "Correct the key; keep large data elsewhere.",
    ),
    ProblemCode(
        "quantity-invalid",
        ERROR,
        "A size or amount cannot be read, or is not allowed to be what it is.",
        "Write a number and a unit, such as `4Gi` or `500m`.",
    ),
)

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
    ProblemCode("vm-no-memory", ERROR, "Nothing says how much memory the VM has.", "Set `domain.memory.guest`."),
    ProblemCode(
        "vm-memory-order",
        ERROR,
        "Memory amounts contradict each other: a request above its limit, or guest memory above its maximum.",
        "Raise the limit or lower the request.",
    ),
    ProblemCode(
        "vm-cpu-invalid",
        ERROR,
        "A CPU count is not positive, or there are more sockets than maxSockets.",
        "Set a positive count.",
    ),
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
        "vm-mac-invalid",
        ERROR,
        "A MAC address is malformed, or is not the address of one card.",
        "Write six pairs of hexadecimal digits, such as `02:00:00:12:34:56`.",
    ),
    ProblemCode(
        "vm-mac-twice", ERROR, "Two interfaces of one VM have the same MAC address.", "Change one, or leave both out."
    ),
    ProblemCode(
        "vm-uuid-invalid",
        ERROR,
        "The firmware UUID is malformed.",
        "Write 8-4-4-4-12 hexadecimal digits, or leave it out.",
    ),
    ProblemCode(
        "vm-boot-order",
        ERROR,
        "A bootOrder is below 1 or used twice in the VM.",
        "Number disks and interfaces 1, 2, 3 without repetition.",
    ),
    ProblemCode("vm-pod-network-twice", ERROR, "More than one network is the pod network.", "Keep one."),
    ProblemCode("vm-claim-twice", ERROR, "Two volumes of one VM use the same claim.", "Remove one of the volumes."),
    ProblemCode(
        "vm-cloud-init-data",
        ERROR,
        "A cloud-init volume has no user data, or has it in more than one way.",
        "Keep one of `userData`, `userDataBase64` and `secretRef`.",
    ),
    ProblemCode(
        "base64-invalid", ERROR, "A value that must be base64 is not.", "Encode it, or use the field for plain text."
    ),
    ProblemCode(
        "vm-hostname-invalid",
        ERROR,
        "The host name or subdomain is not a DNS label.",
        "Use lower-case letters, digits and `-`, at most 63 characters.",
    ),
    ProblemCode(
        "vm-template-name-twice",
        ERROR,
        "Two dataVolumeTemplates have the same name, or one has none.",
        "Give each template its own name.",
    ),
)

STORAGE = (
    ProblemCode(
        "claim-no-size",
        ERROR,
        "A claim or DataVolume does not say how large it is.",
        "Set `resources.requests.storage`.",
    ),
    ProblemCode(
        "claim-access-modes",
        ERROR,
        "A claim's accessModes are missing or contradict each other.",
        "Set `accessModes: [ReadWriteOnce]`.",
    ),
    ProblemCode(
        "datavolume-source",
        ERROR,
        "A DataVolume has no source or more than one.",
        "Keep exactly one, such as `blank: {}` or `http: {url: …}`.",
    ),
    ProblemCode(
        "datavolume-storage", ERROR, "A DataVolume has neither `storage` nor `pvc`, or both.", "Keep `storage`."
    ),
    ProblemCode(
        "url-invalid",
        ERROR,
        "A URL has no host or another scheme than the source takes.",
        "Write `http://` or `https://` and a host.",
    ),
    ProblemCode(
        "checksum-invalid",
        ERROR,
        "A checksum is not `algorithm:hex` with the length of its algorithm.",
        "Write `sha256:` and 64 hexadecimal digits.",
    ),
    ProblemCode(
        "data-key-invalid",
        ERROR,
        "A key of a Secret or ConfigMap is not one that the API accepts.",
        "Use letters, digits, `-`, `_` and `.`, at most 253 characters.",
    ),
    ProblemCode("data-too-large", ERROR, "A Secret or ConfigMap holds more than 1 MiB.", "Split it."),
    ProblemCode("data-key-twice", ERROR, "A ConfigMap has one key in `data` and in `binaryData`.", "Keep one."),
)

NETWORK = (
    ProblemCode(
        "nad-no-config",
        ERROR,
        "A NetworkAttachmentDefinition has no `spec.config`; on one host there is no other place to look for it.",
        "Write the CNI configuration as JSON text.",
    ),
    ProblemCode(
        "nad-config-json",
        ERROR,
        "`spec.config` is not a JSON object.",
        "Correct the JSON; the message says where it breaks.",
    ),
    ProblemCode("nad-config-type", ERROR, "The CNI configuration names no plugin type.", 'Add `"type": "bridge"`.'),
    ProblemCode(
        "nad-config-value",
        ERROR,
        "A value of the CNI configuration has the wrong type or is out of range.",
        "Correct it as the message says.",
    ),
    ProblemCode(
        "nad-config-unknown",
        WARNING,
        "The CNI bridge plugin has no such setting.",
        "Take the suggested name, or remove it.",
    ),
)
