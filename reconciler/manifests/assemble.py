"""All files of all sources → the set of their documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.manifests.cross_check import CONTENTION_CODES, check_set
from reconciler.manifests.load import InvalidDocument, LoadedFile
from reconciler.model.declared import Contest
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.problem_codes import problem

Entry = Document | InvalidDocument
NOBODY: Mapping[ObjectKey, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSet:
    """The manifests of all sources.

    ``documents`` may be applied, except that of the claimants of each of ``contended`` only the live holder may. ``invalid``
    are present in the repository and held at what was last applied. While ``unidentified`` is not empty, absence proves nothing.
    ``problems`` are all there are, in the order of files and lines. ``rivals`` maps an object that several sources declare
    to their identities.
    """

    documents: Mapping[ObjectKey, Document]
    invalid: Mapping[ObjectKey, tuple[Problem, ...]]
    unidentified: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    contended: tuple[Contest, ...] = ()
    rivals: Mapping[ObjectKey, tuple[str, ...]] = field(default_factory=dict)

    @property
    def present(self) -> frozenset[ObjectKey]:
        """Every object that the repository is known to hold, valid or not."""
        return frozenset((*self.documents, *self.invalid))


def assemble(
    files: Iterable[LoadedFile],
    extra: Iterable[Problem] = (),
    *,
    holders: Mapping[ObjectKey, str] = NOBODY,
    incomplete: bool = False,
) -> ManifestSet:
    """Join files and check documents against each other. ``extra`` are problems of the tree itself, shown with the rest.
    ``holders`` says which source the live object came from, for objects that several sources declare. ``incomplete``
    tells that a whole source is missing.
    """
    found: dict[ObjectKey, list[tuple[str, Entry]]] = defaultdict(list)
    problems: list[Problem] = list(extra)
    unidentified: list[Problem] = []
    for file in files:
        held: tuple[Entry, ...] = (*file.documents, *file.invalid)
        for entry in held:
            found[entry.key].append((file.origin, entry))
        problems += (*file.warnings, *file.outside)
        unidentified += file.unidentified
    invalid: dict[ObjectKey, list[Problem]] = defaultdict(list)
    documents: dict[ObjectKey, Document] = {}
    rivals: dict[ObjectKey, tuple[str, ...]] = {}
    for key, declared in sorted(found.items(), key=lambda item: item[0]):
        origins = tuple(sorted({origin for origin, _ in declared}))
        entries = [entry for _, entry in declared]
        if len(origins) > 1:
            rivals[key] = origins
            keeper = holders.get(key, "")
            entries = [entry for origin, entry in declared if origin == keeper]
            (problems if entries else invalid[key]).extend(_rivalry(key, declared, keeper))
        if len(entries) > 1:
            invalid[key] += _duplicates(key, entries)
        for entry in entries:
            if isinstance(entry, InvalidDocument):
                invalid[key] += entry.problems
            elif len(entries) == 1:
                documents[key] = entry
    cross = check_set(documents, present=invalid.keys(), incomplete=incomplete or bool(unidentified))
    for one in cross.problems:
        if one.severity is Severity.ERROR and one.object is not None and one.code not in CONTENTION_CODES:
            invalid[one.object].append(one)
            documents.pop(one.object, None)
        else:
            problems.append(one)
    every = [*problems, *unidentified, *(one for entries in invalid.values() for one in entries)]
    return ManifestSet(
        documents=documents,
        invalid={key: tuple(entries) for key, entries in sorted(invalid.items())},
        unidentified=tuple(unidentified),
        problems=tuple(sorted(every, key=lambda one: (one.place, one.path, one.code))),
        contended=cross.contended,
        rivals=rivals,
    )


def _rivalry(key: ObjectKey, declared: list[tuple[str, Entry]], keeper: str) -> Iterator[Problem]:
    """A problem at each place that does not count, naming one of another source, and what is wrong there by itself."""
    for origin, entry in declared:
        if origin == keeper:
            continue
        others = [(other, _place(one)) for other, one in declared if other != origin]
        kept = next((place for other, place in others if other == keeper), None)
        if kept is not None:
            text = f"{key} is declared at {kept} too, and what is on this host came from there"
        else:
            text = f"{key} is declared at {others[0][1]} too, and nothing on this host says which of the two counts"
        yield problem(
            "object-in-two-sources", _place(entry), text, object=key, path="metadata.name", hint="keep one of them"
        )
        if isinstance(entry, InvalidDocument):
            yield from entry.problems


def _duplicates(key: ObjectKey, entries: list[Entry]) -> Iterable[Problem]:
    """One problem at each place, naming another."""
    places = [_place(entry) for entry in entries]
    for index, place in enumerate(places):
        other = places[0] if index else places[1]
        text = f"{key} is declared here and at {other}"
        yield problem("object-duplicate", place, text, object=key, path="metadata.name", hint="keep one of them")


def _place(entry: Entry) -> Place:
    return entry.place(("metadata", "name")) if isinstance(entry, Document) else entry.place
