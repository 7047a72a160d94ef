"""Looks at the loose objects of a Git repository before libgit2 does: libgit2 1.9 reads one whose end is missing (a crash, a
full disk) for ever, and holds the interpreter while it does, so that no signal ends it and no other thread runs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pygit2

_CHUNK = 1 << 16
_MOST_ALTERNATES = 5
_NAME_LENGTH = 38


class CutOffError(ValueError):
    """An object that must not be read."""


def is_cut_off(file: Path) -> bool:
    """Whether a loose object lacks its end, or is no deflated stream at all; False where there is no such file.

    Raises:
        OSError: it cannot be read.
    """
    stream = zlib.decompressobj()
    try:
        with file.open("rb") as data:
            while not stream.eof:
                chunk = data.read(_CHUNK)
                if not chunk:
                    return True
                while chunk and not stream.eof:
                    stream.decompress(chunk, _CHUNK)
                    chunk = stream.unconsumed_tail
    except FileNotFoundError:
        return False
    except zlib.error:
        return True
    return False


def require_whole(repository: Path, oid: str) -> None:
    """Make sure that libgit2 may read one object of a bare repository, wherever it is kept.

    Raises:
        CutOffError: it may not.
        OSError: it cannot be read.
    """
    if is_cut_off(repository / "objects" / oid[:2] / oid[2:]):
        raise CutOffError(f"the object {oid} lacks its end")


def object_directory(repository: pygit2.Repository) -> Path:
    """The directory with ``objects`` in it: of a linked work tree that of its repository."""
    path = Path(repository.path)
    common = path / "commondir"
    return path / common.read_text().strip() if common.is_file() else path


class LooseObjects:
    """Those of one repository and of those that it borrows from. Each is looked at once."""

    def __init__(self, repository: Path) -> None:
        """``repository`` is the directory with ``objects`` in it."""
        self.repository = repository
        self._whole: set[str] = set()

    def require_whole(self) -> None:
        """Make sure that libgit2 may read all that came since the last time.

        Raises:
            CutOffError: one of them lacks its end.
            OSError: one cannot be read.
        """
        for directory in self._directories():
            for file in directory.glob("[0-9a-f][0-9a-f]/*"):
                name = f"{file.parent.name}{file.name}"
                if len(file.name) != _NAME_LENGTH or name in self._whole:
                    continue
                if is_cut_off(file):
                    raise CutOffError(f"the object {name} lacks its end")
                self._whole.add(name)

    def _directories(self) -> Iterator[Path]:
        pending = [self.repository / "objects"]
        for depth, directory in enumerate(pending):
            yield directory
            alternates = directory / "info" / "alternates"
            if depth < _MOST_ALTERNATES and alternates.is_file():
                lines = alternates.read_text(errors="surrogateescape").splitlines()
                pending += [directory / line for line in lines if line and not line.startswith("#")]
