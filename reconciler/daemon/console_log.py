"""The log file of a VM's serial console, read through its rotation.

virtlogd writes ``NAME.log``; when that is full it becomes ``NAME.log.0``, the former ``.0`` becomes ``.1``, and so on
(*Source*: virtlogd.conf, ``max_size`` and ``max_backups``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from reconciler.model.errors import RequirementError

_CHUNK_BYTES = 64 << 10
_MAX_BACKUPS = 100


class ConsoleLog:
    """Reads what there is, then what comes. Not for several threads."""

    def __init__(self, path: Path) -> None:
        """``path`` is that of the newest file, which need not be there yet."""
        self.path = path
        self._stream: BinaryIO | None = None

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def past(self, since: datetime | None = None) -> Iterator[bytes]:
        """Everything that is kept, oldest first. A console says no times, so ``since`` leaves out whole files only: those
        that were last written before.

        Raises:
            RequirementError: a file may not be read.
        """
        for path in reversed(self._newest_first()):
            stream = _open(path)
            if stream is None:
                continue
            if since is not None and os.fstat(stream.fileno()).st_mtime < since.timestamp():
                stream.close()
                continue
            yield from self._go_on_with(stream)

    def more(self) -> Iterator[bytes]:
        """What came since, through any number of rotations and a file that was cut short or made anew.

        Raises:
            RequirementError: a file may not be read.
        """
        if self._stream is None:
            yield from self._after(None)
            return
        yield from self._rest()
        facts = os.fstat(self._stream.fileno())
        if facts.st_size < self._stream.tell():
            self._stream.seek(0)
            yield from self._rest()
        yield from self._after(facts.st_ino)

    def _after(self, inode: int | None) -> Iterator[bytes]:
        """All of the files that are newer than the one of that inode; where it is gone, of all."""
        newer: list[BinaryIO] = []
        for path in self._newest_first():
            stream = _open(path)
            if stream is None:
                continue
            if os.fstat(stream.fileno()).st_ino == inode:
                stream.close()
                break
            newer.append(stream)
        for stream in reversed(newer):
            yield from self._go_on_with(stream)

    def _go_on_with(self, stream: BinaryIO) -> Iterator[bytes]:
        self.close()
        self._stream = stream
        yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        while self._stream is not None and (data := self._stream.read(_CHUNK_BYTES)):
            yield data

    def _newest_first(self) -> list[Path]:
        backups = (self.path.with_name(f"{self.path.name}.{number}") for number in range(_MAX_BACKUPS))
        found = [self.path] if self.path.exists() else []
        for backup in backups:
            if not backup.exists():
                break
            found.append(backup)
        return found


def _open(path: Path) -> BinaryIO | None:
    """The file; None when it went meanwhile."""
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequirementError(f"the console log {path} cannot be read: {error.strerror}. Read it as root.") from error
