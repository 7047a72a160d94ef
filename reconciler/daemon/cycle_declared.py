"""Revisions of all sources, and what the host keeps, → `Declared`: only files that changed are loaded and joined (law 10)."""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping

from reconciler.daemon.cycle_secrets import NOTHING_ON_HOST, HostDocuments, SecretFiles
from reconciler.daemon.loaded_files import FileLoader, LoadedChange, LoadedFiles
from reconciler.manifests.declared_set import DeclaredSet
from reconciler.manifests.foreign_kinds import served
from reconciler.manifests.load import LoadedFile
from reconciler.model.declared import Declared, Reading
from reconciler.model.keys import ObjectKey
from reconciler.model.origin import Origin
from reconciler.model.problem import Place, Problem, in_order
from reconciler.model.problem_codes import problem
from reconciler.model.revision import Snapshot
from reconciler.ports import Engine, Source

_MANY_FILES = 1000
"""From so many files on what was loaded is taken out of garbage collection: it has no cycles, and looking through a hundred
thousand documents for some takes half a second, in the middle of whatever else is going on.
"""


class DeclaredCache:
    """Loads revisions of sources, and joins them. ``declared`` and `problems` are as of the last `joined`."""

    def __init__(self, engine: Engine, secrets: SecretFiles, origins: Collection[Origin], loader: FileLoader) -> None:
        self._secrets = secrets
        self._origins = origins
        self._loader = loader
        self._set = DeclaredSet(served(engine.check, engine.is_platform), is_open=engine.is_platform)
        self._files: dict[str, LoadedFiles] = {}
        self._readings: dict[str, Reading] = {}
        self._notices: dict[str, tuple[Problem, ...]] = {}
        self._changes: list[tuple[Origin, LoadedChange]] = []
        self._opened: dict[tuple[str, str], LoadedFile] = {}
        self._on_host: HostDocuments = NOTHING_ON_HOST
        self._version = 0
        self.problems: tuple[Problem, ...] = ()
        self.declared = Declared(readings={})

    def load(self, origin: Origin, source: Source, snapshot: Snapshot) -> None:
        """Every manifest of a revision, in the place of the source's former one.

        Raises:
            SourceError: a blob cannot be read; the former revision stays.
        """
        files = self._files.setdefault(origin.name, LoadedFiles(self._loader, source, origin))
        change = files.load(snapshot)
        self._changes.append((origin, change))
        if len(change.after) >= _MANY_FILES:
            gc.freeze()
        refused = (
            problem(
                "file-refused",
                Place(origin.shown(path)),
                reason,
                hint="nothing is deleted while a file cannot be read",
            )
            for path, reason in snapshot.refused
        )
        self._notices[origin.name] = (*refused, *files.kustomizations)
        self._readings[origin.identity] = Reading(
            source=origin.name, revision=snapshot.revision.commit, complete=not snapshot.refused
        )

    def settle(self) -> None:
        """After revisions were loaded: bring the cache on disk up to date."""
        count = sum(len(one.files) for one in self._files.values())
        self._loader.settle(count, lambda: (blob for one in self._files.values() for blob in one.blobs))

    def joined(self, holders: Mapping[ObjectKey, str]) -> frozenset[ObjectKey]:
        """Take in what was loaded since the last time, and what the host keeps now; ``holders`` as `Joined.update` has them.
        Returns the objects of which anything may be declared differently.
        """
        before: list[LoadedFile] = []
        after: list[LoadedFile] = []
        fresh: set[tuple[str, str]] = set()
        changes, self._changes = self._changes, []
        for origin, change in changes:
            before += (self._opened.pop((origin.name, path), file) for path, file in change.before.items())
            after += (self._open(origin, path, file) for path, file in change.after.items())
            fresh |= {(origin.name, path) for path in change.after}
        if self._secrets.version != self._version:
            self._version = self._secrets.version
            self._open_again(before, after, fresh)
        changed = self._set.update(
            before, after, holders=holders, incomplete=any(one.identity not in self._readings for one in self._origins)
        )
        self.declared = self._set.declared(self._readings)
        notices = (one for problems in self._notices.values() for one in problems)
        self.problems = in_order((*self._set.problems, *notices, *self._on_host.problems))
        return changed

    def _open(self, origin: Origin, path: str, file: LoadedFile) -> LoadedFile:
        """The file with its encrypted documents opened, and without what the host has itself."""
        opened = self._secrets.opened(file, origin)
        if opened is not file:
            self._opened[origin.name, path] = opened
        return opened

    def _open_again(
        self, before: list[LoadedFile], after: list[LoadedFile], fresh: Collection[tuple[str, str]]
    ) -> None:
        """Other secrets: the host's own documents, and every file that they open or stand in for, but the ``fresh`` ones."""
        loaded = ((origin, self._files[origin.name].files) for origin in self._origins if origin.name in self._files)
        for origin, path, file in ((origin, path, file) for origin, files in loaded for path, file in files.items()):
            if (origin.name, path) in fresh:
                continue
            known = self._opened.pop((origin.name, path), file)
            opened = self._open(origin, path, file)
            if opened is not known:
                before.append(known)
                after.append(opened)
        was, self._on_host = self._on_host, self._secrets.on_host()
        before += was.files
        after += self._on_host.files
