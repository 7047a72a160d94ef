"""Which objects are meant for this host: nodeSelector against the host's labels."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.policy import Policy
from reconciler.planning.resolve_vm import claim_reference
from reconciler.planning.resolve_volume import CLAIM_KINDS


def not_here(documents: Mapping[ObjectKey, Document], policy: Policy) -> dict[ObjectKey, str]:
    """Objects meant for other hosts, with the reason: VMs whose selector this host does not match, and claims that only
    such VMs use (a claim that nobody uses is everybody's).
    """
    elsewhere: dict[ObjectKey, str] = {}
    users: dict[tuple[str, str], list[ObjectKey]] = {}
    for key, document in documents.items():
        if key.kind != "VirtualMachine":
            continue
        template = (document.spec.get("template") or {}).get("spec") or {}
        unmet = [
            f"{label}={value}"
            for label, value in sorted((template.get("nodeSelector") or {}).items())
            if policy.host_labels.get(label) != value
        ]
        if unmet:
            elsewhere[key] = f"nodeSelector {', '.join(unmet)} does not match this host ({policy.host})"
        for volume in template.get("volumes") or []:
            claim = claim_reference(volume)
            if claim:
                users.setdefault((key.namespace, claim), []).append(key)
    for key in documents:
        if key.kind in CLAIM_KINDS:
            of_claim = users.get((key.namespace, key.name), [])
            if of_claim and all(user in elsewhere for user in of_claim):
                elsewhere[key] = f"used only by {', '.join(str(user) for user in of_claim)}, which is not here"
    return elsewhere
