"""Names that people may want to type, from the last look: answered at once, for completion."""

from __future__ import annotations

from reconciler.daemon.cycle import Cycle
from reconciler.model.policy import Policy

KINDS_NAMED = {
    "vm": ("VirtualMachine",),
    "object": ("VirtualMachine", "PersistentVolumeClaim", "DataVolume", "NetworkAttachmentDefinition"),
}
NAMED = (*KINDS_NAMED, "hold", "trash")
"""What names are of."""


def names(cycle: Cycle, policy: Policy, what: str) -> list[str]:
    """Names of one of `NAMED`, sorted; what is in the default namespace goes without it."""
    if what == "hold":
        plan = cycle.report.plan if cycle.report else None
        return sorted(hold.hold_id for hold in plan.held if hold.approvable) if plan else []
    if what == "trash":
        items = cycle.observation.trash if cycle.observation else ()
        return sorted(item.item for item in items if item.owner == policy.owner)
    keys = {status.key for status in cycle.status() if status.key.kind in KINDS_NAMED[what]}
    default = policy.default_namespace
    return sorted({key.name if key.namespace == default else f"{key.namespace}/{key.name}" for key in keys})
