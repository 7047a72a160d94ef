"""Which files stand on another: a volume that backs one is never written, moved or removed."""

from __future__ import annotations

import os
from pathlib import Path

from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.volume_files import list_names

_MAGIC = b"QFI\xfb"
_LONGEST = 1023


def overlays_on(pool: Pool, path: Path) -> tuple[str, ...]:
    """Names of the pool's qcow2 files whose backing file is ``path``.

    Raises:
        OSError: the pool cannot be listed.
    """
    return tuple(
        name
        for name in sorted(list_names(pool))
        if (backing := backing_of(pool.target / name)) and _same(backing, path)
    )


def backing_of(path: Path) -> Path | None:
    """The file below a qcow2 file, from its header; None for one that stands alone.

    *Source*: QEMU's docs/interop/qcow2.txt (offset at byte 8, length at byte 16).
    """
    try:
        with path.open("rb") as file:
            head = file.read(20)
            if head[:4] != _MAGIC:
                return None
            offset, length = int.from_bytes(head[8:16], "big"), int.from_bytes(head[16:20], "big")
            if not offset or not 0 < length <= _LONGEST:
                return None
            name = os.pread(file.fileno(), length, offset)
    except OSError:
        return None
    return path.parent / os.fsdecode(name)


def _same(backing: Path, path: Path) -> bool:
    return backing == path or os.path.realpath(backing) == os.path.realpath(path)
