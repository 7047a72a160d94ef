"""Files of all sources → `Declared`, parsing only what is new: caches by blob id and by document digest (law 10)."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.daemon.cycle_secrets import NOTHING_ON_HOST, HostDocuments, SecretFiles
from reconciler.daemon.loaded_files import FileLoader, LoadedChange, LoadedFiles
from reconciler.manifests.assemble import NOBODY, assemble
from reconciler.manifests.load import LoadedFile
from reconciler.manifests.templates import template_documents
from reconciler.model.declared import Declared, Reading
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.origin import Origin
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.problem_codes import problem
from reconciler.model.revision import Snapshot
from reconciler.ports import Engine, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFiles:
    """One source's revision, loaded. ``refused`` tell of files that were not read, ``extra`` of the tree itself."""

    revision: str
    files: Collection[LoadedFile]
    origin: Origin = Origin()
    refused: tuple[Problem, ...] = ()
    extra: tuple[Problem, ...] = ()

    @property
    def reading(self) -> Reading:
        """What may be concluded from it."""
        complete = not self.refused and not any(file.unidentified for file in self.files)
        return Reading(source=self.origin.name, revision=self.revision, complete=complete)


_MANY_FILES = 1000
"""From so many files on what was loaded is taken out of garbage collection: it has no cycles, and looking through a hundred
thousand documents for some takes half a second, in the middle of whatever else is going on.
"""


class DeclaredCache:
    """Loads revisions of sources, and joins them. `problems` are those of the last joining."""

    def __init__(self, engine: Engine, secrets: SecretFiles, origins: Collection[Origin], loader: FileLoader) -> None:
        self._secrets = secrets
        self._checker = EngineChecks(engine)
        self._origins = origins
        self._loader = loader
        self._files: dict[str, LoadedFiles] = {}
        self._loaded: dict[str, SourceFiles] = {}
        self.problems: tuple[Problem, ...] = ()

    def load(self, origin: Origin, source: Source, snapshot: Snapshot) -> LoadedChange:
        """Every manifest of a revision, in the place of the source's former one; what that changes.

        Raises:
            SourceError: a blob cannot be read; the former revision stays.
        """
        loaded = self._files.setdefault(origin.name, LoadedFiles(self._loader, source, origin))
        change = loaded.load(snapshot)
        if len(change.after) >= _MANY_FILES:
            gc.freeze()
        hint = "nothing is deleted while a file cannot be read"
        self._loaded[origin.name] = SourceFiles(
            revision=snapshot.revision.commit,
            files=loaded.files.values(),
            origin=origin,
            refused=tuple(
                problem("file-refused", Place(origin.shown(path)), reason, hint=hint)
                for path, reason in snapshot.refused
            ),
            extra=loaded.kustomizations,
        )
        return change

    def settle(self) -> None:
        """After revisions were loaded: bring the cache on disk up to date."""
        count = sum(len(one.files) for one in self._files.values())
        self._loader.settle(count, lambda: (blob for one in self._files.values() for blob in one.blobs))

    def joined(self, holders: Mapping[ObjectKey, str]) -> Declared:
        """What all loaded revisions declare together; ``holders`` as `assemble` has them."""
        missing = any(origin.name not in self._loaded for origin in self._origins)
        loaded = [self._loaded[origin.name] for origin in self._origins if origin.name in self._loaded]
        declared, self.problems = declare(
            [replace(one, files=self._secrets.opened(one.files, one.origin)) for one in loaded],
            self._checker,
            on_host=self._secrets.on_host(),
            holders=holders,
            incomplete=missing,
        )
        return declared


class EngineChecks:
    """`Engine.check` of each document, once for all that were found good."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._good: set[tuple[ObjectKey, str]] = set()

    def check(self, documents: Iterable[Document]) -> tuple[Problem, ...]:
        """Problems of all of them; what is not asked for any more is forgotten."""
        good: set[tuple[ObjectKey, str]] = set()
        problems: list[Problem] = []
        for document in documents:
            name = (document.key, document.digest)
            found = () if name in self._good else self._engine.check(document)
            problems += found
            if not found:
                good.add(name)
        self._good = good
        return tuple(problems)


def declare(
    sources: Collection[SourceFiles],
    checks: EngineChecks,
    *,
    on_host: HostDocuments = NOTHING_ON_HOST,
    holders: Mapping[ObjectKey, str] = NOBODY,
    incomplete: bool = False,
) -> tuple[Declared, tuple[Problem, ...]]:
    """Files that were loaded → what they declare together, and every problem. ``on_host`` is what stands beside all
    sources; ``holders`` and ``incomplete`` are as `assemble` has them.

    An object with an error is invalid and counts as present; a file or document that cannot be identified makes the
    reading of its source incomplete, so that nothing of it is deleted because of it (law 2).
    """
    refused = [found for source in sources for found in source.refused]
    loaded = assemble(
        (*(file for source in sources for file in source.files), *on_host.files),
        (*(found for source in sources for found in source.extra), *on_host.problems),
        holders=holders,
        incomplete=incomplete,
    )
    documents = dict(loaded.documents)
    invalid: dict[ObjectKey, str] = {key: _first(problems) for key, problems in loaded.invalid.items()}
    owners = _add_templates(documents)
    engine_problems = checks.check(documents.values())
    for found in engine_problems:
        if found.severity is Severity.ERROR and found.object is not None:
            invalid.setdefault(found.object, f"{found.place}: {found.message}")
            documents.pop(found.object, None)
    declared = Declared(
        readings={source.origin.identity: source.reading for source in sources},
        documents=documents,
        invalid=invalid,
        contests=loaded.contended,
        template_owners=owners,
        rivals=loaded.rivals,
    )
    problems = sorted(
        (*loaded.problems, *engine_problems, *refused), key=lambda found: (found.place, found.path, found.code)
    )
    return declared, tuple(dict.fromkeys(problems))


def _add_templates(documents: dict[ObjectKey, Document]) -> Mapping[ObjectKey, ObjectKey]:
    """Put the DataVolumes of dataVolumeTemplates beside the rest; returns whose they are."""
    owners: dict[ObjectKey, ObjectKey] = {}
    for key, document in list(documents.items()):
        if key.kind != "VirtualMachine":
            continue
        for template in template_documents(document):
            if template.key not in documents:
                documents[template.key] = template
                owners[template.key] = key
    return owners


def _first(problems: Iterable[Problem]) -> str:
    """The first error, for people."""
    errors = (found for found in problems if found.severity is Severity.ERROR)
    return next((f"{found.place}: {found.message}" for found in errors), "not valid")
