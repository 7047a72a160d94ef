"""Which objects are meant for this host: nodeSelector against the host's labels."""

from __future__ import annotations

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.multimap import MultiMap
from reconciler.model.policy import Policy
from reconciler.planning.resolve_vm import claim_reference
from reconciler.planning.resolve_volume import CLAIM_KINDS

ClaimName = tuple[str, str]
"""(namespace, name)."""


class Placement:
    """VMs whose selector this host does not match are not here, nor are claims that only such VMs use (a claim that nobody
    uses is everybody's). Kept from one update to the next.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._elsewhere: dict[ObjectKey, str] = {}
        self._claims: dict[ObjectKey, frozenset[ClaimName]] = {}
        self._users: MultiMap[ClaimName, ObjectKey] = MultiMap()

    def put(self, vm: ObjectKey, document: Document | None) -> frozenset[ClaimName]:
        """Take in a VM as it is declared now, None for one that is not (any more); the claims that may have moved."""
        claims = _claims_of(document) if document is not None else frozenset()
        before, unmet = self._claims.get(vm, frozenset()), self._unmet(document) if document is not None else ""
        moved = before | claims if unmet != self._elsewhere.get(vm, "") else before ^ claims
        self._users.move(vm, before, claims)
        if claims:
            self._claims[vm] = claims
        else:
            self._claims.pop(vm, None)
        if unmet:
            self._elsewhere[vm] = unmet
        else:
            self._elsewhere.pop(vm, None)
        return moved

    def why_not_here(self, key: ObjectKey) -> str:
        """The reason for a VM or a claim that is meant for other hosts; empty for everything else."""
        if key.kind == "VirtualMachine":
            return self._elsewhere.get(key, "")
        if key.kind not in CLAIM_KINDS:
            return ""
        users = self._users.of((key.namespace, key.name))
        if not users or not all(user in self._elsewhere for user in users):
            return ""
        return f"used only by {', '.join(str(user) for user in sorted(users))}, which is not here"

    def _unmet(self, document: Document) -> str:
        if self._policy.on_cluster:
            return ""
        template = (document.spec.get("template") or {}).get("spec") or {}
        unmet = [
            f"{label}={value}"
            for label, value in sorted((template.get("nodeSelector") or {}).items())
            if self._policy.host_labels.get(label) != value
        ]
        return f"nodeSelector {', '.join(unmet)} does not match this host ({self._policy.host})" if unmet else ""


def _claims_of(document: Document) -> frozenset[ClaimName]:
    template = (document.spec.get("template") or {}).get("spec") or {}
    named = (claim_reference(volume) for volume in template.get("volumes") or [])
    return frozenset((document.key.namespace, claim) for claim in named if claim)
