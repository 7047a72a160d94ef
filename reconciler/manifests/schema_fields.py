"""Where the fields of a schema are, for suggestions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from reconciler.model.document import FieldPath

_CLOSE_ENOUGH = 0.7
_LONGEST_COMPARED = 100
_MAX_DEPTH = 16

Place = tuple[str, ...]
"""Field names from the root down to a mapping, ``[]`` for the items of a list."""

_PLACES: dict[str, dict[str, list[Place]]] = {}
"""What has been walked, by ``$id``."""


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
    places = _places_of(schema).get(name, ())
    if not places:
        return ""
    nearest = min(places, key=lambda place: (_steps(here, place), len(place), place))
    return ".".join((*nearest, name)).replace(".[]", "[]")


def _places_of(schema: Mapping[str, Any]) -> dict[str, list[Place]]:
    """For each field name of a schema the places that have it; walked once a schema."""
    found = _PLACES.get(schema["$id"])
    if found is None:
        found = _PLACES[schema["$id"]] = defaultdict(list)
        for name, place in _fields(schema, schema, (), frozenset()):
            found[name].append(place)
    return found


def _steps(here: Place, there: Place) -> int:
    """How many levels up and down lie between two places."""
    shared = 0
    for one, other in zip(here, there, strict=False):
        if one != other:
            break
        shared += 1
    return len(here) + len(there) - 2 * shared


def _fields(
    root: Mapping[str, Any], node: Mapping[str, Any], path: Place, above: frozenset[str]
) -> Iterator[tuple[str, Place]]:
    """Every field and the place that has it; no definition is entered again on the way down from itself."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        if reference in above or len(path) > _MAX_DEPTH:
            return
        above |= {reference}
        node = root["$defs"][reference.removeprefix("#/$defs/")]
    for name, inner in node.get("properties", {}).items():
        yield name, path
        yield from _fields(root, inner, (*path, name), above)
    if isinstance(node.get("items"), Mapping):
        yield from _fields(root, node["items"], (*path, "[]"), above)
