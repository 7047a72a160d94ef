"""On a platform that has namespaces: what lies in one comes after it."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Action, Change

_NAMESPACE = "Namespace"


def in_their_namespaces(changes: list[Change]) -> list[Change]:
    """The same changes, each after the change that makes its namespace, where there is one."""
    made = {change.key.name for change in changes if change.key.kind == _NAMESPACE and change.action is Action.CREATE}
    if not made:
        return changes
    return [
        replace(change, needs=(*change.needs, ObjectKey(_NAMESPACE, "", change.key.namespace)))
        if change.key.namespace in made
        else change
        for change in changes
    ]
