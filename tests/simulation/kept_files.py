"""The cache of loaded files that a state directory holds, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

LOADED_BEFORE: dict[str, bytes] = {}
"""What histories find in their first state directory: runs of one history read the same files, and load each once."""


class FilesInMemory:
    """`daemon.loaded_files.KeptFiles` over a dictionary, which may be shared."""

    def __init__(self, kept: dict[str, bytes] | None = None) -> None:
        """Without ``kept`` the state directory is empty."""
        self._kept = {} if kept is None else kept

    def get(self, blob: str) -> bytes | None:
        """What was put for a blob."""
        return self._kept.get(blob)

    def put(self, blob: str, data: bytes) -> None:
        """Keep something for a blob."""
        self._kept[blob] = data

    def flush(self) -> None:
        """Nothing waits to be written."""

    def shrink(self, wanted: int, blobs: Callable[[], Iterable[str]]) -> None:
        """Memory is enough for what one history has."""
        del wanted, blobs
