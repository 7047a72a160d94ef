"""Marks beside the volumes, ``<pool>/.gitvirt/marks/<volume>.json``: of every claim's volume, whatever its filesystem can hold.

Where a filesystem takes no extended attributes they are the marks. Everywhere they are the pool's register: a name that stands
here and has no file is a volume that was lost, not one that was never made (docs/adr/0024).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nodeexec.libvirt.pool_lock import busy
from nodeexec.libvirt.pools import PRIVATE, Pool

_PART, _SUFFIX = "marks", ".json"
UNFINISHED_SIDECAR = f"{_SUFFIX}.new"
"""Ends the name of one that is being written."""


def read_sidecar(pool: Pool, name: str) -> str | None:
    """The marks of the volume of that name as JSON text; None when there are none.

    Raises:
        OSError: they cannot be read.
    """
    try:
        return _path(pool, name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def write_sidecar(pool: Pool, name: str, text: str, *, durable: bool = True) -> None:
    """Whole or not at all. ``durable``: it is on the disk when this returns.

    Raises:
        OSError: the pool refuses.
    """
    with busy(pool):
        write_sidecar_in_quiet(pool, name, text, durable=durable)


def write_sidecar_in_quiet(pool: Pool, name: str, text: str, *, durable: bool = True) -> None:
    """The same for a sweeper, which has the pool to itself.

    Raises:
        OSError: the pool refuses.
    """
    path = pool.private(_PART) / _path(pool, name).name
    fresh = path.with_name(f".{path.stem}{UNFINISHED_SIDECAR}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def forget_sidecar(pool: Pool, name: str) -> None:
    """The volume of that name is gone from the pool; so are the marks beside it."""
    with suppress(OSError):
        _path(pool, name).unlink()


def sidecar_directory(pool: Pool) -> Path | None:
    """Where they are; None when there are none."""
    return pool.existing_private(_PART)


def registered(pool: Pool) -> Iterator[str]:
    """The names of all volumes that have marks here.

    Raises:
        OSError: the directory cannot be listed.
    """
    base = sidecar_directory(pool)
    for entry in os.scandir(base) if base is not None else ():
        if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
            yield entry.name.removesuffix(_SUFFIX)


def _path(pool: Pool, name: str) -> Path:
    return pool.target / PRIVATE / _PART / f"{name}{_SUFFIX}"
