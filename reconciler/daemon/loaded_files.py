"""The files of one source, loaded. What a revision costs follows what it changed (law 10)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from reconciler.daemon.file_cache import FileCache
from reconciler.manifests.load import LoadedFile, is_manifest, load_blob
from reconciler.manifests.packed_file import pack, unpack
from reconciler.model.file_tree import changed_files
from reconciler.model.revision import Snapshot
from reconciler.ports import Source

LoadFile = Callable[[str, str], LoadedFile]
"""Path and blob hash → the file, loaded.

Raises:
    SourceError: the blob cannot be read.
"""


class FileLoader:
    """Loads one file: from the cache on disk, or by reading, parsing and checking its blob."""

    def __init__(self, cache: FileCache | None, default_namespace: str) -> None:
        self._cache = cache
        self._default_namespace = default_namespace

    def load(self, source: Source, blob: str, file: str) -> LoadedFile:
        """The file of that blob; ``file`` is its path, for problems.

        Raises:
            SourceError: the blob cannot be read.
        """
        packed = self._cache.get(blob) if self._cache else None
        if packed is not None:
            # What is damaged is loaded anew, and replaced.
            with suppress(ValueError):
                return unpack(packed, file)
        data = source.read_blob(blob)
        loaded = load_blob(data, file, default_namespace=self._default_namespace)
        # A file with SOPS documents is not looked into before its keys are there, and what they open stays in memory.
        if self._cache and not loaded.sealed:
            self._cache.put(blob, pack(loaded))
        return loaded

    def settle(self, wanted: Collection[str]) -> None:
        """After a revision: write what is new to disk, and forget what no revision needs, ``wanted`` being the blobs of
        all sources.
        """
        if self._cache:
            self._cache.flush()
            self._cache.shrink(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedChange:
    """What a revision changed: files by path as they were (changed or gone), and as they are (changed or new)."""

    before: Mapping[str, LoadedFile] = field(default_factory=dict)
    after: Mapping[str, LoadedFile] = field(default_factory=dict)


class LoadedFiles:
    """``files`` are those of the revision loaded last, by path, in no particular order; a view that follows."""

    def __init__(self, load_file: LoadFile) -> None:
        self._load_file = load_file
        self._listed: Mapping[str, str] = {}
        self._files: dict[str, LoadedFile] = {}

    @property
    def files(self) -> Mapping[str, LoadedFile]:
        """All of them."""
        return self._files

    def load(self, snapshot: Snapshot) -> LoadedChange:
        """Load what differs from the revision before.

        Raises:
            SourceError: a blob cannot be read; everything stays as it was.
        """
        before: dict[str, LoadedFile] = {}
        after: dict[str, LoadedFile] = {}
        for path, _, blob in changed_files(self._listed, snapshot.files):
            if not is_manifest(path):
                continue
            if path in self._files:
                before[path] = self._files[path]
            if blob is not None:
                after[path] = self._load_file(path, blob)
        for path in before.keys() - after.keys():
            del self._files[path]
        self._files.update(after)
        self._listed = snapshot.files
        return LoadedChange(before=before, after=after)
