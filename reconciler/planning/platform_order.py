"""On a platform: what lies in a namespace comes after it, and whoever names an object after that object, where this plan makes it."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Action, Change
from reconciler.planning.references import references_of

_NAMESPACE = "Namespace"


def in_platform_order(changes: list[Change]) -> list[Change]:
    """The same changes, each with what it needs of those that make something."""
    made = {change.key for change in changes if change.action is Action.CREATE}
    return [_after(change, made) for change in changes] if made else changes


def _after(change: Change, made: set[ObjectKey]) -> Change:
    needed = [ObjectKey(_NAMESPACE, "", change.key.namespace)]
    document = change.wanted.document if change.wanted is not None else None
    if document is not None and change.action is not Action.DELETE:
        needed += [key for reference in references_of(document) for key in reference.keys]
    more = [key for key in needed if key in made and key not in change.needs]
    return replace(change, needs=(*change.needs, *dict.fromkeys(more))) if more else change
