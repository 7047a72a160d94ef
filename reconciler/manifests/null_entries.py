"""Entries without a value. Most mean "absent", and so they are read; where they surprise, a problem says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.manifests.kinds.findings import MAX_FINDINGS
from reconciler.manifests.raw_text import RawText
from reconciler.manifests.yaml_reader import ParsedDocument
from reconciler.model.document import Document, FieldPath, dotted
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem

_HARMLESS = frozenset({"creationTimestamp", "status"})
_FREE_MAPPINGS: tuple[FieldPath, ...] = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("data",),
    ("stringData",),
    ("binaryData",),
    ("spec", "nodeSelector"),
    ("spec", "template", "metadata", "labels"),
    ("spec", "template", "metadata", "annotations"),
    ("spec", "template", "spec", "nodeSelector"),
)
_EMPTY_MEANS_CHOICE = frozenset({"vm-one-type", "datavolume-source", "vm-cloud-init-data", "datavolume-storage"})


def null_entries(parsed: ParsedDocument, document: Document, raw: RawText) -> tuple[Problem, ...]:
    """Entries without a value in mappings whose keys are the user's own, where a server would keep an empty text."""
    if _HARMLESS.issuperset(parsed.nulls):
        return ()
    found = []
    for path in _FREE_MAPPINGS:
        if not isinstance(_value_at(document.body, path), Mapping):
            continue
        place = document.place(path)
        for key in raw.null_keys(place.line, place.column)[:MAX_FINDINGS]:
            text = f"{key[:80]} has no value"
            hint = 'write "" for an empty text, or remove it'
            whole = dotted((*path, key))
            found.append(problem("null-in-map", place, text, object=document.key, path=whole, hint=hint))
    return tuple(found)


def explain_nulls(found: Problem, raw: RawText) -> Problem:
    """Add to "has no type" that the type is there, but without a value."""
    if found.code not in _EMPTY_MEANS_CHOICE:
        return found
    keys = raw.null_keys(found.place.line, found.place.column)
    if not keys:
        return found
    return replace(found, hint=f"{keys[0]} has no value, which counts as absent; write {keys[0]}: {{}}")


def _value_at(body: Any, path: FieldPath) -> Any:
    for part in path:
        if not isinstance(body, Mapping) or part not in body:
            return None
        body = body[part]
    return body
