"""What an engine cannot honour in a valid object."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

ENGINE = (
    ProblemCode(
        "field-not-supported",
        ERROR,
        "The field is one of KubeVirt's, CDI's or CNI's own, and this engine cannot do what it asks for.",
        "Take the field out, or do what the hint says; `docs/support.md` lists what each field comes to.",
    ),
    ProblemCode(
        "field-without-effect",
        WARNING,
        "The field is accepted and does nothing on this engine (it schedules on a cluster, for instance).",
        "Leave it for the cluster that reads the same manifest, or take it out.",
    ),
    ProblemCode(
        "kind-is-an-act",
        ERROR,
        "The kind does something once (a migration, a restore of a snapshot); kept in Git it would be done again whenever its object is gone, on data that is newer by then.",
        "Do it by hand, and take the manifest out.",
    ),
    ProblemCode(
        "network-needs-root",
        ERROR,
        "The settings name `qemu:///session`, where an ordinary user's guests have a way out of their own and no bridges.",
        "Plug the VMs into the pod network (`pod: {}`), or let root run gitvirt with `qemu:///system`; see `docs/session.md`.",
    ),
)
