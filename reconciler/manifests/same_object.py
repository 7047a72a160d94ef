"""One object that stands in several places: which of them counts, and what is said at the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.manifests.load import InvalidDocument
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem
from reconciler.model.problem_codes import problem

Entry = tuple[str, Document | InvalidDocument]
"""The identity of a source, and what it says of an object."""


def origins_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The sources that declare the object."""
    return tuple(sorted({origin for origin, _ in entries}))


def counting(entries: Sequence[Entry], keeper: str) -> tuple[Entry, ...]:
    """The entries that count: all of one source; of several sources those of ``keeper``, where the live object came from."""
    if len(origins_of(entries)) < 2:
        return tuple(entries)
    return tuple(entry for entry in entries if entry[0] == keeper)


def rivalry(key: ObjectKey, entries: Sequence[Entry], keeper: str) -> Iterator[Problem]:
    """A problem at each place that does not count, naming one of another source, and what is wrong there by itself."""
    for origin, entry in entries:
        if origin == keeper:
            continue
        others = [(other, place_of(one)) for other, one in entries if other != origin]
        kept = next((place for other, place in others if other == keeper), None)
        if kept is not None:
            text = f"{key} is declared at {kept} too, and what is live came from there"
        else:
            text = f"{key} is declared at {others[0][1]} too, and nothing that is live says which of the two counts"
        yield problem(
            "object-in-two-sources", place_of(entry), text, object=key, path="metadata.name", hint="keep one of them"
        )
        if isinstance(entry, InvalidDocument):
            yield from entry.problems


def duplicates(key: ObjectKey, entries: Sequence[Entry]) -> Iterator[Problem]:
    """One problem at each place of one source, naming another."""
    places = [place_of(entry) for _, entry in entries]
    for index, place in enumerate(places):
        other = places[0] if index else places[1]
        text = f"{key} is declared here and at {other}"
        yield problem("object-duplicate", place, text, object=key, path="metadata.name", hint="keep one of them")


def place_of(entry: Document | InvalidDocument) -> Place:
    """Where an object's name stands."""
    return entry.place(("metadata", "name")) if isinstance(entry, Document) else entry.place
