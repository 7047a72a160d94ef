"""Who is making something in a pool, so that what a killed process left there can be told from what is being made just now.

Those who make things share a lock on ``<pool>/.gitvirt/lock``, of whatever owner they are; whoever sweeps up needs it alone. The
kernel lets go of it when a process ends, however it ends.

*Source*: flock(2).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from nodeexec.libvirt.pools import PRIVATE, Pool

_NAME = "lock"


@contextmanager
def busy(pool: Pool) -> Iterator[None]:
    """Nobody sweeps up meanwhile.

    Raises:
        OSError: the pool refuses.
    """
    pool.private("incoming")
    descriptor = os.open(pool.target / PRIVATE / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def quiet(pool: Pool) -> Iterator[bool]:
    """Whether nobody makes anything, and for as long as the context lasts nobody begins to.

    Raises:
        OSError: the pool refuses.
    """
    path = pool.target / PRIVATE / _NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
