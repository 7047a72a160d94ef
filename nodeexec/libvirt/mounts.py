"""Whether a directory lies on the filesystem that it is meant to lie on.

*Source*: fstab(5).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_FSTAB = Path("/etc/fstab")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def unmounted(directory: Path, fstab: Path = _FSTAB) -> Path | None:
    """The mount point above a directory, or the directory itself, that the file system table names and that is not mounted; None when
    there is none, or the table cannot be read.
    """
    try:
        lines = fstab.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    above = {directory, *directory.parents} - {Path("/")}
    fields = (line.split() for line in lines if not line.lstrip().startswith("#"))
    points = {Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), entry[1])) for entry in fields if len(entry) > 1}
    return next((point for point in sorted(points & above) if not os.path.ismount(point)), None)
