"""A filesystem of a few MiB that tests fill up, or let nobody write to."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_QUIET_S = 0.5


def why_none() -> str:
    """Why there can be none here, empty when there can."""
    return "" if os.geteuid() == 0 and shutil.which("mount") else "mounting a filesystem needs root"


class SmallDisk:
    """A filesystem of a few MiB in memory, over a directory that is there."""

    def __init__(self, place: Path, mib: int) -> None:
        self.place = place
        self._full = place / "filler"
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "gitvirt-test", str(place)], check=True)

    def fill(self) -> None:
        """Take all there is, and what the daemon gives back of its temporary files."""
        quiet_since = time.monotonic()
        with self._full.open("ab", buffering=0) as stream:
            while time.monotonic() - quiet_since < _QUIET_S:
                with suppress(OSError):
                    while stream.write(b"\0" * 4096):
                        quiet_since = time.monotonic()
                time.sleep(0.1)

    def free(self) -> None:
        """Give it back."""
        self._full.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take it away again."""
        subprocess.run(["umount", "--lazy", str(self.place)], check=False)
        shutil.rmtree(self.place, ignore_errors=True)
