"""Annotations that keep an object from being pruned: gitvirt's own, and those of Argo CD and Flux that mean the same.

They count as they were last applied: an object that left Git cannot say anything new.

*Source*: Argo CD's sync options (``Prune=false``, ``Prune=confirm``), Flux's ``prune`` and ``reconcile`` annotations of the
kustomize-controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRUNE = "gitvirt.io/prune"
ARGO_SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
FLUX_PRUNE = "kustomize.toolkit.fluxcd.io/prune"
FLUX_RECONCILE = "kustomize.toolkit.fluxcd.io/reconcile"
DISABLED = "prune-disabled"
CONFIRM = "prune-confirm"


def prune_rule(applied: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """`DISABLED` or `CONFIRM` and which annotation says so; None where nothing keeps the object. The stricter one wins. A
    value that nobody knows asks a person.
    """
    annotations = annotations_of(applied)
    own = annotations.get(PRUNE, "")
    argo = [option.strip() for option in annotations.get(ARGO_SYNC_OPTIONS, "").split(",")]
    if own == "false":
        return DISABLED, f'{PRUNE}: "false"'
    if "Prune=false" in argo:
        return DISABLED, f"{ARGO_SYNC_OPTIONS}: Prune=false"
    for flux in (FLUX_PRUNE, FLUX_RECONCILE):
        if annotations.get(flux, "").lower() == "disabled":
            return DISABLED, f"{flux}: disabled"
    if own not in ("", "true"):
        return CONFIRM, f"{PRUNE}: {own}"
    if "Prune=confirm" in argo:
        return CONFIRM, f"{ARGO_SYNC_OPTIONS}: Prune=confirm"
    return None


def is_never_pruned(applied: Mapping[str, Any] | None) -> bool:
    """Whether an annotation forbids it for good."""
    rule = prune_rule(applied)
    return rule is not None and rule[0] == DISABLED


def annotations_of(applied: Mapping[str, Any] | None) -> Mapping[str, str]:
    """The annotations of an applied document."""
    metadata = (applied or {}).get("metadata") or {}
    return {name: str(value) for name, value in (metadata.get("annotations") or {}).items()}
