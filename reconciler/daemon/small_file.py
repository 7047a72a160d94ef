"""Files of a few lines that are on the disk as a whole, or as they were."""

from __future__ import annotations

import os
from pathlib import Path


def write_small_file(path: Path, text: str) -> None:
    """Put ``text`` in the place of what was there, on disk before this returns. Its directory is made where it is missing.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
