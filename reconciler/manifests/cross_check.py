"""What is said of documents that do not fit each other: two makers of one volume, something needed that is not there, a
thing of which there is one and that several claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.manifests.object_facts import CLAIM, Hold, Need, Offer
from reconciler.manifests.schema_fields import similar
from reconciler.model.document import Document, dotted
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem

CONTENTION_CODES = frozenset({"disk-claimed-twice", "mac-duplicate", "uuid-duplicate"})
"""What only one can have; what else is held twice is a warning."""


def collision(
    document: Document, offer: Offer, documents: Mapping[ObjectKey, Document], makers: Sequence[ObjectKey]
) -> Problem:
    """Several documents, ``makers`` in order, would make one volume."""
    other = makers[1] if document.key == makers[0] else makers[0]
    name = f"{offer.claim.namespace}/{offer.claim.name}"
    text = f"{other} at {documents[other].place(('metadata', 'name'))} makes the volume {name} too"
    place = document.place(offer.path)
    return problem(
        "claim-collision", place, text, object=document.key, path=dotted(offer.path), hint="rename one of them"
    )


def missing(document: Document, need: Need, candidates: Sequence[str], incomplete: bool) -> Problem:
    """Something that the document needs is not declared. ``candidates`` are names that may have been meant."""
    what = f"the {_noun(need)} {need.wanted.namespace}/{need.wanted.name} is not declared"
    hint = _hint(need, candidates, incomplete)
    place = document.place(need.path)
    return problem(need.code, place, what, object=document.key, path=dotted(need.path), hint=hint)


def _noun(need: Need) -> str:
    return "claim or DataVolume" if need.wanted.kind == CLAIM else need.wanted.kind


def _hint(need: Need, candidates: Sequence[str], incomplete: bool) -> str:
    near = similar(need.wanted.name, candidates)
    if near:
        return f"did you mean {near}?"
    if incomplete:
        return "a file or source that cannot be read may declare it: correct that first"
    return "declare it, or correct the name"


def contention(
    document: Document, hold: Hold, documents: Mapping[ObjectKey, Document], claimants: Sequence[ObjectKey]
) -> Problem:
    """Several objects, ``claimants`` in order, have what only one can have, or should."""
    other = claimants[0] if document.key != claimants[0] else claimants[1]
    more = f" and {len(claimants) - 2} more" if len(claimants) > 2 else ""
    text = f"{hold.resource} is also used by {other} at {documents[other].place(('metadata', 'name'))}{more}"
    return problem(
        hold.code,
        document.place(hold.path),
        text,
        object=document.key,
        path=dotted(hold.path),
        hint="the one that has it keeps it" if hold.code in CONTENTION_CODES else "change one of them",
    )
