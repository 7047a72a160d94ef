"""All files of a revision → the set of its documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.manifests.cross_check import CONTENTION_CODES, check_set
from reconciler.manifests.load import InvalidDocument, LoadedFile
from reconciler.model.declared import Contest
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.problem_codes import problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSet:
    """The manifests of a revision.

    ``documents`` may be applied, except that of the claimants of each of ``contended`` only the live holder may. ``invalid``
    are present in the repository and held at what was last applied. While ``unidentified`` is not empty, absence proves nothing.
    ``problems`` are all there are, in the order of files and lines.
    """

    documents: Mapping[ObjectKey, Document]
    invalid: Mapping[ObjectKey, tuple[Problem, ...]]
    unidentified: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    contended: tuple[Contest, ...] = ()

    @property
    def present(self) -> frozenset[ObjectKey]:
        """Every object that the repository is known to hold, valid or not."""
        return frozenset((*self.documents, *self.invalid))


def assemble(files: Iterable[LoadedFile], extra: Iterable[Problem] = ()) -> ManifestSet:
    """Join files and check documents against each other. ``extra`` are problems of the tree itself, shown with the rest."""
    found: dict[ObjectKey, list[Document | InvalidDocument]] = defaultdict(list)
    problems: list[Problem] = list(extra)
    unidentified: list[Problem] = []
    for file in files:
        held: tuple[Document | InvalidDocument, ...] = (*file.documents, *file.invalid)
        for entry in held:
            found[entry.key].append(entry)
        problems += file.warnings
        unidentified += file.unidentified
    invalid: dict[ObjectKey, list[Problem]] = defaultdict(list)
    documents: dict[ObjectKey, Document] = {}
    for key, entries in sorted(found.items()):
        if len(entries) > 1:
            invalid[key] += _duplicates(key, entries)
        for entry in entries:
            if isinstance(entry, InvalidDocument):
                invalid[key] += entry.problems
            elif len(entries) == 1:
                documents[key] = entry
    cross = check_set(documents, present=invalid.keys(), incomplete=bool(unidentified))
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
    )


def _duplicates(key: ObjectKey, entries: list[Document | InvalidDocument]) -> Iterable[Problem]:
    """One problem at each place, naming another."""
    places = [_place(entry) for entry in entries]
    for index, place in enumerate(places):
        other = places[0] if index else places[1]
        text = f"{key} is declared here and at {other}"
        yield problem("object-duplicate", place, text, object=key, path="metadata.name", hint="keep one of them")


def _place(entry: Document | InvalidDocument) -> Place:
    return entry.place(("metadata", "name")) if isinstance(entry, Document) else entry.place
