"""Where the fields of a schema are, for suggestions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from reconciler.model.document import FieldPath

_CLOSE_ENOUGH = 0.7
_LONGEST_COMPARED = 100
_MAX_DEPTH = 16


def similar(name: str, candidates: Sequence[str]) -> str:
    """The candidate that ``name`` was probably meant to be; empty when none is close."""
    if len(name) > _LONGEST_COMPARED:
        return ""
    folded = name.casefold().replace("-", "").replace("_", "")
    scored = [(SequenceMatcher(None, folded, one.casefold()).ratio(), one) for one in candidates]
    ratio, best = max(scored, default=(0.0, ""))
    return best if ratio >= _CLOSE_ENOUGH else ""


def belongs_at(schema: Mapping[str, Any], name: str, parent: FieldPath) -> str:
    """The place, as a dotted path with ``[]`` for list items, nearest to ``parent`` that has a field of that name."""
    here = tuple("[]" if isinstance(part, int) else part for part in parent)
    places = list(_places(schema, schema, name, (), frozenset()))
    if not places:
        return ""
    nearest = min(places, key=lambda place: (_steps(here, place), len(place), place))
    return ".".join((*nearest, name)).replace(".[]", "[]")


def _steps(here: tuple[str, ...], there: tuple[str, ...]) -> int:
    """How many levels up and down lie between two places."""
    shared = 0
    for one, other in zip(here, there, strict=False):
        if one != other:
            break
        shared += 1
    return len(here) + len(there) - 2 * shared


def _places(
    root: Mapping[str, Any], node: Mapping[str, Any], name: str, path: tuple[str, ...], above: frozenset[str]
) -> Iterator[tuple[str, ...]]:
    """Every place whose mapping has the field, each definition visited once on a way down."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        if reference in above or len(path) > _MAX_DEPTH:
            return
        above |= {reference}
        node = root["$defs"][reference.removeprefix("#/$defs/")]
    properties = node.get("properties", {})
    if name in properties:
        yield path
    for field, inner in properties.items():
        yield from _places(root, inner, name, (*path, field), above)
    if isinstance(node.get("items"), Mapping):
        yield from _places(root, node["items"], name, (*path, "[]"), above)
