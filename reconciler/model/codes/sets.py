"""Faults between objects."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

CROSS = (
    ProblemCode(
        "object-duplicate", ERROR, "The same object is declared in two places.", "Keep one of the two documents."
    ),
    ProblemCode(
        "claim-missing",
        ERROR,
        "A volume uses a claim or DataVolume that is not declared.",
        "Declare it in the namespace of the VM, or correct the name.",
    ),
    ProblemCode(
        "claim-collision",
        ERROR,
        "A DataVolume (or template) and another claim have the same name; both would be one volume.",
        "Rename one of them.",
    ),
    ProblemCode(
        "network-missing",
        ERROR,
        "A multus network names a NetworkAttachmentDefinition that is not declared.",
        "Declare it, or correct the name.",
    ),
    ProblemCode(
        "secret-missing",
        ERROR,
        "A Secret that is used is not declared.",
        "Declare it in the namespace of the VM, or correct the name.",
    ),
    ProblemCode(
        "configmap-missing",
        ERROR,
        "A ConfigMap that is used is not declared.",
        "Declare it in the namespace of the VM, or correct the name.",
    ),
    ProblemCode(
        "clone-source-missing",
        WARNING,
        "The claim to clone from is not declared; it has to exist when the clone is made.",
        "Check the name and namespace.",
    ),
    ProblemCode(
        "sync-wave-order",
        WARNING,
        "An object needs another one whose sync wave is later than its own. Dependencies come first: what is needed goes with the earlier wave.",
        "Give what is needed the same wave, or an earlier one.",
    ),
    ProblemCode(
        "disk-claimed-twice",
        ERROR,
        "Two VMs write to the same claim. The one that already has it keeps it; if none has, all are invalid.",
        "Give each VM its own claim, or mark every disk on it `shareable: true`.",
    ),
    ProblemCode(
        "mac-duplicate",
        ERROR,
        "Interfaces of two VMs have the same MAC address. The one that already has it keeps it.",
        "Change one, or leave it out: gitvirt derives a stable one.",
    ),
    ProblemCode(
        "uuid-duplicate",
        ERROR,
        "Two VMs have the same firmware UUID. The one that already has it keeps it.",
        "Change one, or leave it out: gitvirt derives a stable one.",
    ),
    ProblemCode(
        "address-duplicate",
        WARNING,
        "Cloud-init gives guests of two VMs the same IP address on one network.",
        "Change one; it is no fault where the two never run at once.",
    ),
)

SOURCES = (
    ProblemCode(
        "object-in-two-sources",
        ERROR,
        "Two sources declare the same object. The one that the object on the host came from keeps it; if none is there, "
        "neither counts.",
        "Remove it from one of the two.",
    ),
    ProblemCode(
        "namespace-not-allowed",
        ERROR,
        "A source declares an object outside the namespaces that the settings give it. It counts for nothing; an object "
        "without a namespace needs a source that has no `namespaces`.",
        "Move it into an allowed namespace, or to another source, or widen `namespaces` of the source.",
    ),
)
"""Where several repositories are followed."""

HOST = (
    ProblemCode(
        "storage-class-unknown",
        ERROR,
        "The storage class leads to no pool on the host of these settings.",
        "Name a pool for it in `settings.storageClasses`, or leave `storageClassName` out.",
    ),
    ProblemCode(
        "bridge-not-allowed",
        ERROR,
        "A network names a bridge of the host that manifests may not use.",
        "Add the bridge to `settings.allowedBridges`, or choose another name.",
    ),
    ProblemCode(
        "interface-not-allowed",
        ERROR,
        "A macvlan network names a master interface of the host that manifests may not use.",
        "Add the interface to `settings.allowedInterfaces`, or choose another master.",
    ),
    ProblemCode(
        "nad-ipam-invalid",
        ERROR,
        "The address range of a network makes no sense.",
        "Correct `ipam` in the CNI configuration.",
    ),
    ProblemCode(
        "network-overlap",
        ERROR,
        "The addresses of two networks of the host overlap. The network that is there keeps them, and so does the pod network.",
        "Take another subnet in `ipam`, or another `settings.podNetwork`.",
    ),
    ProblemCode(
        "host-memory-exceeded",
        ERROR,
        "The VM has more memory than the whole host.",
        "Give it less, or keep it on another host with `nodeSelector`.",
    ),
    ProblemCode(
        "restart-policy-unknown",
        ERROR,
        "The annotation `gitvirt.io/restart-policy` says something else than a restart policy.",
        "Write `Manual`, `Window` or `Immediate`.",
    ),
    ProblemCode(
        "restart-window-invalid",
        ERROR,
        "The annotation `gitvirt.io/restart-window` cannot be read, or stands without the policy `Window`, or that without it.",
        "Write it as `0 3 * * sun for 2h in Europe/Berlin`, and `gitvirt.io/restart-policy: Window`.",
    ),
    ProblemCode(
        "reference-incomplete",
        ERROR,
        "Something a VM uses is declared, and does not hold what the VM needs of it.",
        "Add what is missing, such as the entry `userdata` of a Secret for cloud-init.",
    ),
)
"""Valid by themselves, and not to be had on the host of these settings."""
