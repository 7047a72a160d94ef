"""A revision's files → `Declared`, parsing only what is new: caches by blob id and by document digest (law 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.daemon.cycle_secrets import SecretFiles
from reconciler.manifests.assemble import assemble
from reconciler.manifests.load import LoadedFile, is_manifest, kustomization_problem, load_blob
from reconciler.manifests.templates import template_documents
from reconciler.model.declared import Declared
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.problem_codes import problem
from reconciler.model.revision import Snapshot
from reconciler.ports import Engine, Source


class DeclaredCache:
    """Loads revisions of one source. `problems` are those of the last one loaded."""

    def __init__(self, source: Source, engine: Engine, secrets: SecretFiles, default_namespace: str) -> None:
        self._source = source
        self._secrets = secrets
        self._checker = EngineChecks(engine)
        self._default_namespace = default_namespace
        self._files: dict[tuple[str, str], LoadedFile] = {}
        self.problems: tuple[Problem, ...] = ()

    def load(self, snapshot: Snapshot) -> Declared:
        """Every manifest of a revision.

        Raises:
            SourceError: a blob cannot be read.
        """
        files: dict[tuple[str, str], LoadedFile] = {}
        extra = [found for path in snapshot.files if (found := kustomization_problem(path))]
        for path, blob in snapshot.files.items():
            if not is_manifest(path):
                continue
            known = self._files.get((path, blob))
            files[path, blob] = known or load_blob(
                self._source.read_blob(blob), path, default_namespace=self._default_namespace
            )
        self._files = files
        refused = tuple(
            problem("file-refused", Place(path), reason, hint="nothing is deleted while a file cannot be read")
            for path, reason in snapshot.refused
        )
        declared, self.problems = declare(
            snapshot.revision.commit,
            self._secrets.joined(files.values()),
            self._checker,
            refused=refused,
            extra=(*extra, *self._secrets.problems),
        )
        return declared


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
    revision: str,
    files: Iterable[LoadedFile],
    checks: EngineChecks,
    *,
    refused: tuple[Problem, ...] = (),
    extra: Iterable[Problem] = (),
) -> tuple[Declared, tuple[Problem, ...]]:
    """Files that were loaded → what they declare together, and every problem.

    An object with an error is invalid and counts as present; a file or document that cannot be identified makes the
    whole reading incomplete, so that nothing is deleted because of it (law 2).
    """
    loaded = assemble(files, extra)
    documents = dict(loaded.documents)
    invalid: dict[ObjectKey, str] = {key: _first(problems) for key, problems in loaded.invalid.items()}
    owners = _add_templates(documents)
    engine_problems = checks.check(documents.values())
    for found in engine_problems:
        if found.severity is Severity.ERROR and found.object is not None:
            invalid.setdefault(found.object, f"{found.place}: {found.message}")
            documents.pop(found.object, None)
    declared = Declared(
        revision=revision,
        documents=documents,
        invalid=invalid,
        contests=loaded.contended,
        template_owners=owners,
        complete=not loaded.unidentified and not refused,
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
