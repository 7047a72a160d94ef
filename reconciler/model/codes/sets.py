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
)
