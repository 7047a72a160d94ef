"""Ports of loopback for servers that have to be told one before they listen."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random

_LOWEST = 10_000
_WORKER, _WORKERS = "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"
_HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _numbers() -> Iterator[int]:
    """Below those that the kernel gives to connections and to whoever asks for any, so that until the server listens, and
    while it is down for a moment, nobody gets its port by chance. Each process has an order of its own, and takes none twice;
    workers of one run have no number in common.
    """
    worker, workers = int(os.environ.get(_WORKER, "gw0")[2:]), int(os.environ.get(_WORKERS, "1"))
    numbers = list(range(_LOWEST + worker % workers, int(_HANDED_OUT.read_text().split()[0]), workers))
    Random(os.getpid()).shuffle(numbers)
    yield from numbers


_NUMBERS = _numbers()


def free_port() -> int:
    """A port of loopback that nobody has now, and that stays so."""
    for port in _NUMBERS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
