"""A source that may declare objects in some namespaces only: what it says of others counts for nothing."""

from __future__ import annotations

from dataclasses import replace

from reconciler.manifests.load import InvalidDocument, LoadedFile
from reconciler.model.document import Document
from reconciler.model.origin import Origin
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem


def confined(file: LoadedFile, origin: Origin) -> LoadedFile:
    """The file with only what its source may declare; the rest is told of as problems, and nothing else of it stays, so
    that it cannot block, hold or contest an object of another source.
    """
    outside = tuple(entry for entry in file.entries if not origin.may_declare(entry.key))
    if not outside:
        return file
    dropped = {entry.key for entry in outside}
    return replace(
        file,
        documents=tuple(one for one in file.documents if one.key not in dropped),
        invalid=tuple(one for one in file.invalid if one.key not in dropped),
        warnings=tuple(one for one in file.warnings if one.object not in dropped),
        outside=tuple(_fault(entry, origin) for entry in outside),
    )


def _fault(entry: Document | InvalidDocument, origin: Origin) -> Problem:
    allowed = ", ".join(origin.namespaces or ())
    whose = f"the source {origin.name}" if origin.name else "this source"
    where = f"in namespace {entry.key.namespace}" if entry.key.namespace else "without a namespace"
    field = "namespace" if entry.key.namespace else "name"
    return problem(
        "namespace-not-allowed",
        entry.place(("metadata", field)) if isinstance(entry, Document) else entry.place,
        f"{whose} may not declare objects {where}",
        object=entry.key,
        path="metadata.namespace" if entry.key.namespace else "kind",
        hint=f"its namespaces in the settings are {allowed}",
    )
