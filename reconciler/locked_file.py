"""One writer at a time, among the processes of this machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_EVERY_S = 0.05


@contextmanager
def locked_file(path: Path, wait_s: float, refusal: Exception) -> Iterator[None]:
    """Hold the lock of a file, which is made where it is missing. The kernel lets go of it when this process dies.

    Raises:
        Exception: ``refusal``, when another one holds it for longer than ``wait_s`` seconds.
        OSError: the file cannot be made or opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + wait_s
        while not _is_taken(descriptor):
            if time.monotonic() > until:
                raise refusal
            time.sleep(_LOOK_EVERY_S)
        yield
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
