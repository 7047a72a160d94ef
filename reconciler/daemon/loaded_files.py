"""The files of one source, loaded. What a revision costs follows what it changed (law 10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.manifests.confine import confined
from reconciler.manifests.limits import DEFAULT_REVISION_LIMITS, RevisionLimits
from reconciler.manifests.load import LoadedFile, is_kustomization, is_manifest, kustomization_problem, load_blob
from reconciler.manifests.load_parts import load_in_parts
from reconciler.manifests.packed_file import pack, unpack
from reconciler.model.errors import SourceError
from reconciler.model.file_tree import changed_files
from reconciler.model.origin import Origin
from reconciler.model.problem import Problem
from reconciler.model.revision import Snapshot
from reconciler.ports import Source


class Blobs(Protocol):
    """Where files come from."""

    def read_blob(self, blob: str) -> bytes:
        """See `Source.read_blob`."""
        ...


class KeptFiles(Protocol):
    """Where loaded files are kept from one life of gitvirt to the next, as bytes by blob; see `FileCache`."""

    def get(self, blob: str) -> bytes | None:
        """What was put for a blob."""
        ...

    def put(self, blob: str, data: bytes) -> None:
        """Keep something for a blob."""
        ...

    def flush(self) -> None:
        """Write what was put."""
        ...

    def shrink(self, wanted: int, blobs: Callable[[], Iterable[str]]) -> None:
        """Forget what no revision needs."""
        ...


class RevisionTooLargeError(SourceError):
    """The revision is over a limit as a whole; nothing of it is used."""


@dataclass(slots=True)
class MeteredBlobs:
    """A source of which at most ``left`` bytes are read."""

    source: Blobs
    left: int

    def read_blob(self, blob: str) -> bytes:
        """See `Source.read_blob`.

        Raises:
            RevisionTooLargeError: it is enough.
        """
        data = self.source.read_blob(blob)
        self.left -= len(data)
        if self.left < 0:
            raise RevisionTooLargeError("its new manifests have more bytes than limits.readSize of the settings")
        return data


class FileLoader:
    """Loads one file: from the cache on disk, or by reading, parsing and checking its blob."""

    def __init__(
        self,
        default_namespace: str,
        cache: KeptFiles | None = None,
        limits: RevisionLimits = DEFAULT_REVISION_LIMITS,
    ) -> None:
        self._default_namespace = default_namespace
        self._cache = cache
        self.limits = limits

    def load(self, source: Blobs, blob: str, path: str, origin: Origin, before: LoadedFile | None = None) -> LoadedFile:
        """The file of that blob, as far as its source may declare what it holds; ``before`` is what it was.

        Raises:
            SourceError: the blob cannot be read.
        """
        return confined(self._loaded(source, blob, origin.shown(path), origin.identity, before), origin)

    def _loaded(self, source: Blobs, blob: str, file: str, origin: str, before: LoadedFile | None) -> LoadedFile:
        packed = self._cache.get(blob) if self._cache else None
        if packed is not None:
            with suppress(ValueError):  # it is loaded anew, and replaced
                return unpack(packed, file, origin)
        data, namespace = source.read_blob(blob), self._default_namespace
        loaded = load_in_parts(data, file, before, origin=origin, default_namespace=namespace)
        if loaded is None:
            loaded = load_blob(data, file, origin=origin, default_namespace=namespace)
        # A file with SOPS documents is not looked into before its keys are there, and what they open stays in memory.
        if self._cache and not loaded.sealed:
            self._cache.put(blob, pack(loaded))
        return loaded

    def settle(self, count: int, blobs: Callable[[], Iterable[str]]) -> None:
        """After revisions: write what is new to disk, and forget what none needs. ``blobs`` are those of all sources,
        ``count`` how many about.
        """
        if self._cache:
            self._cache.flush()
            self._cache.shrink(count, blobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedChange:
    """What a revision changed: files by path as they were (changed or gone), and as they are (changed or new)."""

    before: Mapping[str, LoadedFile] = field(default_factory=dict)
    after: Mapping[str, LoadedFile] = field(default_factory=dict)


class LoadedFiles:
    """All files of one source, as of the revision loaded last."""

    def __init__(self, loader: FileLoader, source: Source, origin: Origin) -> None:
        self._loader, self._source, self._origin = loader, source, origin
        self._listed: Mapping[str, str] = {}
        self._files: dict[str, LoadedFile] = {}
        self._kustomizations: dict[str, Problem] = {}
        self._documents = 0
        self._refused = ("", "")

    @property
    def files(self) -> Mapping[str, LoadedFile]:
        """By path, in no order."""
        return self._files

    @property
    def blobs(self) -> Iterable[str]:
        """The blobs of the revision."""
        return self._listed.values()

    @property
    def kustomizations(self) -> tuple[Problem, ...]:
        """A word about each kustomization, which is not read."""
        return tuple(self._kustomizations.values())

    def load(self, snapshot: Snapshot) -> LoadedChange:
        """Load what differs from the revision before.

        Raises:
            SourceError: a blob cannot be read, or the revision is over a limit as a whole; everything stays as it was.
        """
        commit = snapshot.revision.commit
        if commit == self._refused[0]:
            raise RevisionTooLargeError(self._refused[1])
        try:
            return self._load(snapshot)
        except RevisionTooLargeError as error:
            said = f"{error}; split the repository, or raise that limit"
            self._refused = (commit, said)
            raise RevisionTooLargeError(said) from error

    def _load(self, snapshot: Snapshot) -> LoadedChange:
        before: dict[str, LoadedFile] = {}
        after: dict[str, LoadedFile] = {}
        others: dict[str, Problem | None] = {}
        blobs = MeteredBlobs(self._source, self._loader.limits.read_bytes)
        gone = new = 0
        for path, _, blob in changed_files(self._listed, snapshot.files):
            if not is_manifest(path):
                others[path] = self._kustomization(path) if blob is not None else None
                continue
            if path in self._files:
                before[path] = self._files[path]
                gone += len(before[path].documents)
            if blob is not None:
                after[path] = self._loader.load(blobs, blob, path, self._origin, before.get(path))
                new += len(after[path].documents)
                self._bound(new)
        documents = self._documents - gone + new
        self._bound(documents)
        self._documents = documents
        for path in before.keys() - after.keys():
            del self._files[path]
        self._files.update(after)
        known = {**self._kustomizations, **others}
        self._kustomizations = {path: one for path, one in sorted(known.items()) if one is not None}
        self._listed = snapshot.files
        return LoadedChange(before=before, after=after)

    def _bound(self, documents: int) -> None:
        if documents > self._loader.limits.documents:
            raise RevisionTooLargeError("it holds more documents than limits.documents of the settings")

    def _kustomization(self, path: str) -> Problem | None:
        return kustomization_problem(self._origin.shown(path)) if is_kustomization(path) else None
