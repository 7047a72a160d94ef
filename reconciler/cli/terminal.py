"""A terminal handed through to a guest, key by key, and given back as it was however the command ends."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from reconciler.model.errors import EngineError
from reconciler.ports import Console

DETACH = b"\x1d"
"""Ctrl-], as in virsh and telnet."""

_INTERRUPT = b"\x03"
_CHUNK = 4096
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Every key goes to the guest, Ctrl-C too. A signal that ends the process ends the context first."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    handlers = {number: signal.signal(number, _end) for number in _ENDINGS}
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def hand_through(console: Console, *, read_only: bool) -> bool:
    """Both ways until the person leaves (True) or the guest's side ends (False)."""
    descriptor = sys.stdin.fileno()
    while True:
        ready, _, _ = select.select([console, descriptor], [], [])
        if console in ready:
            said = console.receive()
            if not said:
                return False
            write_all(said)
        if descriptor in ready:
            keys = os.read(descriptor, _CHUNK)
            before, leave, _ = keys.partition(DETACH)
            if not keys or leave or (read_only and _INTERRUPT in keys):
                _send(console, before, read_only=read_only)
                return True
            if not _send(console, keys, read_only=read_only):
                return False


def _send(console: Console, keys: bytes, *, read_only: bool) -> bool:
    """False when the session has ended under the keys."""
    if read_only or not keys:
        return True
    try:
        console.send(keys)
    except EngineError:
        return False
    return True


def wait_for_leave(seconds: float) -> bool:
    """Wait for a moment; True when the person leaves meanwhile."""
    descriptor = sys.stdin.fileno()
    if not select.select([descriptor], [], [], seconds)[0]:
        return False
    keys = os.read(descriptor, _CHUNK)
    return not keys or DETACH in keys or _INTERRUPT in keys


def write_all(data: bytes) -> None:
    """To standard output, at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
