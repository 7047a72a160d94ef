"""Checks documents against each other.

Everything is decided a resource at a time from the `Facts` of the documents that name it. An incremental caller can keep
facts by document and look again only at the resources that a changed document names, before or after the change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.manifests.object_facts import CLAIM, Facts, Hold, Need, Offer, facts_of
from reconciler.manifests.schema_fields import similar
from reconciler.model.declared import Contest
from reconciler.model.document import Document, dotted
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem

CONTENTION_CODES = frozenset({"disk-claimed-twice", "mac-duplicate", "uuid-duplicate"})
"""What only one can have; what else is held twice is a warning."""

_MAX_SUGGESTED_FROM = 500
_MAX_SUGGESTIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """``problems`` of a contention carry its code and stand at each claimant."""

    problems: tuple[Problem, ...]
    contended: tuple[Contest, ...]


def check_set(
    documents: Mapping[ObjectKey, Document], *, present: Collection[ObjectKey] = (), incomplete: bool = False
) -> CrossCheck:
    """Check all valid documents of a repository together.

    ``present`` are further objects that the repository holds (invalid ones): what depends on them is not told that they are
    missing. ``incomplete`` says that some file could not be read, which then is said beside what is missing.
    """
    facts = {key: facts_of(document) for key, document in documents.items()}
    known = {*documents, *present}
    claims = {
        ObjectKey(CLAIM, key.namespace, key.name)
        for key in known
        if key.kind in ("PersistentVolumeClaim", "DataVolume")
    }
    offers: dict[ObjectKey, list[tuple[ObjectKey, Offer]]] = defaultdict(list)
    for key, one in facts.items():
        for offer in one.offers:
            offers[offer.claim].append((key, offer))
    known |= claims | offers.keys()
    problems = [found for makers in offers.values() if len(makers) > 1 for found in _collision(documents, makers)]
    problems += _missing(documents, facts, known, incomplete)
    contended: list[Contest] = []
    for (code, resource), holders in _holders(facts).items():
        claimants = tuple(sorted({key for key, _ in holders}))
        if len(claimants) > 1 and not all(hold.shared for _, hold in holders):
            if code in CONTENTION_CODES:
                contended.append(Contest(code=code, resource=resource, claimants=claimants))
            problems += _contention(documents, code, resource, holders, claimants)
    ordered = sorted(problems, key=lambda one: (one.place, one.path, one.code))
    return CrossCheck(
        problems=tuple(ordered), contended=tuple(sorted(contended, key=lambda one: (one.code, one.resource)))
    )


def _holders(facts: Mapping[ObjectKey, Facts]) -> dict[tuple[str, str], list[tuple[ObjectKey, Hold]]]:
    """Who holds each thing of which there is one."""
    holders: dict[tuple[str, str], list[tuple[ObjectKey, Hold]]] = defaultdict(list)
    for key, one in facts.items():
        for hold in one.holds:
            holders[hold.code, hold.resource].append((key, hold))
    return holders


def _collision(documents: Mapping[ObjectKey, Document], makers: Sequence[tuple[ObjectKey, Offer]]) -> Iterator[Problem]:
    """Several documents would make one volume."""
    for index, (key, offer) in enumerate(makers):
        other, _ = makers[0] if index else makers[1]
        name = f"{offer.claim.namespace}/{offer.claim.name}"
        text = f"{other} at {documents[other].place(('metadata', 'name'))} makes the volume {name} too"
        yield problem(
            "claim-collision",
            documents[key].place(offer.path),
            text,
            object=key,
            path=dotted(offer.path),
            hint="rename one of them",
        )


def _missing(
    documents: Mapping[ObjectKey, Document],
    facts: Mapping[ObjectKey, Facts],
    known: Collection[ObjectKey],
    incomplete: bool,
) -> Iterator[Problem]:
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in sorted(known):
        if len(names[key.kind, key.namespace]) < _MAX_SUGGESTED_FROM:
            names[key.kind, key.namespace].append(key.name)
    missing = [(key, need) for key, one in facts.items() for need in one.needs if need.wanted not in known]
    for number, (key, need) in enumerate(missing):
        candidates = names[need.wanted.kind, need.wanted.namespace] if number < _MAX_SUGGESTIONS else ()
        hint = _hint(need, candidates, incomplete)
        what = f"the {_noun(need)} {need.wanted.namespace}/{need.wanted.name} is not declared"
        place = documents[key].place(need.path)
        yield problem(need.code, place, what, object=key, path=dotted(need.path), hint=hint)


def _noun(need: Need) -> str:
    return "claim or DataVolume" if need.wanted.kind == CLAIM else need.wanted.kind


def _hint(need: Need, candidates: Sequence[str], incomplete: bool) -> str:
    near = similar(need.wanted.name, candidates)
    if near:
        return f"did you mean {near}?"
    if incomplete:
        return "a file or source that cannot be read may declare it: correct that first"
    return "declare it, or correct the name"


def _contention(
    documents: Mapping[ObjectKey, Document],
    code: str,
    resource: str,
    holders: Sequence[tuple[ObjectKey, Hold]],
    claimants: Sequence[ObjectKey],
) -> Iterator[Problem]:
    for key, hold in holders:
        other = claimants[0] if key != claimants[0] else claimants[1]
        more = f" and {len(claimants) - 2} more" if len(claimants) > 2 else ""
        text = f"{resource} is also used by {other} at {documents[other].place(('metadata', 'name'))}{more}"
        place = documents[key].place(hold.path)
        hint = "the one that has it keeps it" if code in CONTENTION_CODES else "change one of them"
        yield problem(code, place, text, object=key, path=dotted(hold.path), hint=hint)
