"""Loaded files on disk, by blob hash, so that a restart parses nothing again.

One SQLite file: a hundred thousand small files would cost more to find than to parse. It may be deleted at any time, and
what is damaged, or comes from other code, schemas or settings, is thrown away. It holds what the mirror beside it holds in
another shape (plain Secrets too, where somebody put such into Git), so it lies under the same rights, root's alone; what
gitvirt decrypted never gets here.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

_BATCH = 1000
_SPARE_ROWS = 2000
_SCHEMA = """
PRAGMA page_size = 16384;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS meaning (fingerprint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (blob BLOB PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL);
"""
_LOCK_WAIT_S = 0.2
_SURROUNDINGS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)

T = TypeVar("T")


class FileCache:
    """Bytes by blob hash. No fault of the disk or the file reaches the caller: ``say`` is told, and there is no cache until
    the next start. For one thread at a time.
    """

    def __init__(self, path: Path, fingerprint: str, say: Callable[[str], None]) -> None:
        """``fingerprint`` names all that contents depend on besides their blob: what was put under another is not used."""
        self._path: Final = path
        self._say: Final = say
        self._pending: dict[bytes, bytes] = {}
        self._connection = self._opened(fingerprint)
        self._rows = self._counted()

    def get(self, blob: str) -> bytes | None:
        """What was put for a blob; None when nothing was, or it cannot be read."""
        name = bytes.fromhex(blob)
        if name in self._pending:
            return self._pending[name]
        found: tuple[int, bytes] | None = self._do(
            lambda one: one.execute("SELECT checksum, data FROM files WHERE blob = ?", (name,)).fetchone()
        )
        return found[1] if found and found[0] == _checksum(name, found[1]) else None

    def put(self, blob: str, data: bytes) -> None:
        """Keep something for a blob, on disk at the next `flush` at the latest."""
        self._pending[bytes.fromhex(blob)] = data
        if len(self._pending) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was put."""
        pending, self._pending = self._pending, {}
        self._rows += len(pending)
        if pending:
            self._do(lambda one: _insert(one, [(name, _checksum(name, data), data) for name, data in pending.items()]))

    def shrink(self, wanted: int, blobs: Callable[[], Iterable[str]]) -> None:
        """Forget all but ``blobs``, of which there are about ``wanted``, once that is more than half of what there is."""
        if self._rows > 2 * wanted + _SPARE_ROWS:
            self._do(lambda one: _keep_only(one, blobs()))
            self._rows = self._counted()

    def close(self) -> None:
        """Write what was put and let go of the file."""
        self.flush()
        self._let_go()

    def _counted(self) -> int:
        found: tuple[int] | None = self._do(lambda one: one.execute("SELECT count(*) FROM files").fetchone())
        return found[0] if found else 0

    def _do(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        if self._connection is None:
            return None
        try:
            return act(self._connection)
        except sqlite3.Error as fault:
            self._say(f"the cache {self._path} is not used until the next start: {fault}")
            self._let_go()
            if _is_damage(fault):
                _remove(self._path)
            return None

    def _let_go(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _opened(self, fingerprint: str) -> sqlite3.Connection | None:
        fault: Exception | None = None
        for _ in range(2):  # what is damaged or means something else is removed, and made anew
            try:
                connection = _connect(self._path)
                if _means(connection, fingerprint):
                    return connection
                connection.close()
            except (sqlite3.Error, OSError) as found:
                fault = found
                if not _is_damage(found):
                    break
            _remove(self._path)
        self._say(f"the cache {self._path} is not used until the next start: {fault}")
        return None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))  # SQLite's own files get the same rights
    connection = sqlite3.connect(path, timeout=_LOCK_WAIT_S, check_same_thread=False)
    try:
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _means(connection: sqlite3.Connection, fingerprint: str) -> bool:
    """Whether the contents are of this fingerprint; an empty file is given it."""
    with connection:
        found = [row[0] for row in connection.execute("SELECT fingerprint FROM meaning")]
        if not found:
            connection.execute("INSERT INTO meaning VALUES (?)", (fingerprint,))
    return found in ([], [fingerprint])


def _insert(connection: sqlite3.Connection, rows: list[tuple[bytes, int, bytes]]) -> None:
    with connection:
        connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)


def _keep_only(connection: sqlite3.Connection, blobs: Iterable[str]) -> None:
    with connection:
        connection.execute("CREATE TEMP TABLE wanted (blob BLOB PRIMARY KEY)")
        connection.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", ((bytes.fromhex(blob),) for blob in blobs))
        connection.execute("DELETE FROM files WHERE blob NOT IN (SELECT blob FROM wanted)")
        connection.execute("DROP TABLE wanted")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _checksum(name: bytes, data: bytes) -> int:
    """SQLite trusts the disk: a bit that flipped, or a row that came under another's name, is noticed here."""
    return zlib.crc32(data, zlib.crc32(name))


def _is_damage(fault: Exception) -> bool:
    """A file that is no database of ours, or contradicts itself; not a full disk, missing rights or another's lock."""
    return isinstance(fault, sqlite3.Error) and getattr(fault, "sqlite_errorcode", 0) & 0xFF not in _SURROUNDINGS


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
