"""Files of all sources → `Declared`, parsing only what is new: caches by blob id and by document digest (law 10)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.daemon.cycle_secrets import NOTHING_ON_HOST, HostDocuments, SecretFiles
from reconciler.manifests.assemble import NOBODY, assemble
from reconciler.manifests.confine import confined
from reconciler.manifests.load import LoadedFile, is_manifest, kustomization_problem, load_blob
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


class DeclaredCache:
    """Loads revisions of sources, and joins them. `problems` are those of the last joining."""

    def __init__(
        self, engine: Engine, secrets: SecretFiles, origins: Collection[Origin], default_namespace: str
    ) -> None:
        self._secrets = secrets
        self._checker = EngineChecks(engine)
        self._origins = origins
        self._default_namespace = default_namespace
        self._files: dict[str, dict[tuple[str, str], LoadedFile]] = {}
        self._loaded: dict[str, SourceFiles] = {}
        self.problems: tuple[Problem, ...] = ()

    def load(self, origin: Origin, source: Source, snapshot: Snapshot) -> None:
        """Every manifest of a revision, in the place of the source's former one.

        Raises:
            SourceError: a blob cannot be read; the former revision stays.
        """
        known = self._files.get(origin.name, {})
        files: dict[tuple[str, str], LoadedFile] = {}
        for path, blob in snapshot.files.items():
            if is_manifest(path):
                files[path, blob] = known.get((path, blob)) or self._load_file(origin, source, path, blob)
        kustomizations = (found for path in snapshot.files if (found := kustomization_problem(path)))
        self._files[origin.name] = files
        self._loaded[origin.name] = SourceFiles(
            revision=snapshot.revision.commit,
            files=files.values(),
            origin=origin,
            refused=tuple(
                problem("file-refused", Place(origin.shown(path)), reason,
                        hint="nothing is deleted while a file cannot be read")
                for path, reason in snapshot.refused
            ),
            extra=tuple(replace(found, place=Place(origin.shown(found.place.file))) for found in kustomizations),
        )  # fmt: skip

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

    def _load_file(self, origin: Origin, source: Source, path: str, blob: str) -> LoadedFile:
        loaded = load_blob(
            source.read_blob(blob),
            origin.shown(path),
            origin=origin.identity,
            default_namespace=self._default_namespace,
        )
        return confined(loaded, origin)


class EngineChecks:
    """`Engine.check` of each document, once a digest."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[str, str, tuple[int, ...]], tuple[Problem, ...]] = {}

    def check(self, documents: Iterable[Document]) -> tuple[Problem, ...]:
        """Problems of all of them; what is not asked for any more is forgotten."""
        fresh: dict[tuple[str, str, tuple[int, ...]], tuple[Problem, ...]] = {}
        for document in documents:
            name = (document.digest, document.file, tuple(document.positions.marks[:2]))
            fresh[name] = self._known[name] if name in self._known else self._engine.check(document)
        self._known = fresh
        return tuple(found for problems in fresh.values() for found in problems)


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
