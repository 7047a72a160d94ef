"""What is said of documents that do not fit each other: two makers of one volume, something needed that is not there, a
thing of which there is one and that several claim, an order that dependencies overrule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from reconciler.manifests.object_facts import CLAIM, Facts, Hold, Need, Offer
from reconciler.manifests.schema_fields import similar
from reconciler.model.document import Document, dotted
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from reconciler.model.sync_wave import Wave

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


def late_needs(
    document: Document, facts: Facts, own: Wave | None, made_by: Callable[[ObjectKey], tuple[ObjectKey, Wave] | None]
) -> Iterator[Problem]:
    """Warnings where something that a document needs says a later wave. ``made_by`` tells what makes it, and its wave."""
    number = own.number if own is not None else 0
    for need in facts.needs:
        found = made_by(need.wanted)
        if found is None or found[1].source != document.origin or found[1].number <= number:
            continue
        maker, wave = found
        text = f"{maker} is needed here, in sync wave {number}, and says wave {wave.number}: it goes with what needs it"
        place = document.place(need.path)
        hint = f"give {maker} a wave of at most {number}"
        yield problem("sync-wave-order", place, text, object=document.key, path=dotted(need.path), hint=hint)
