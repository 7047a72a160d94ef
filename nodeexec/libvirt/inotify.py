"""inotify on libvirt's event loop: what happens to the files of directories, at no cost while nothing happens.

*Source*: inotify(7).
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
import structlog

WRITTEN = 0x08
"""A file that was open for writing is closed."""
MOVED_AWAY = 0x40
MOVED_HERE = 0x80
DELETED = 0x200
OVERFLOWED = 0x4000
"""Events were lost; watch and name say nothing."""
IGNORED = 0x8000
"""That watch is over: its directory is gone, or its filesystem unmounted."""
_HEADER = struct.Struct("iIII")
_READ_BYTES = 64 * 1024

_log = structlog.get_logger("gitvirt.libvirt")
_libc = ctypes.CDLL(None, use_errno=True)

Told = Callable[[int, int, str], None]
"""Watch, kind of event, and name within the watched directory (empty when it is about the directory itself)."""


class Inotify:
    """Tells in the event loop's thread, so whoever is told must not wait. That loop has to be there before `begin`."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._descriptor = -1
        self._handle = -1
        self._lock = threading.Lock()
        self._refused: set[Path] = set()

    def begin(self) -> bool:
        """Make it, once; False when the kernel refuses, which is logged."""
        with self._lock:
            if self._descriptor >= 0:
                return True
            descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if descriptor < 0:
                _log.warning("files.not_watched", error=os.strerror(ctypes.get_errno()))
                return False
            self._descriptor = descriptor
            self._handle = libvirt.virEventAddHandle(
                descriptor, libvirt.VIR_EVENT_HANDLE_READABLE, self._readable, None
            )
            return True

    def add(self, directory: Path, events: int) -> int | None:
        """Watch a directory for those events; the watch's number, the same one as before for one that is watched already. None
        when it cannot be watched, which is logged once, and before `begin`.
        """
        with self._lock:
            if self._descriptor < 0:
                return None
            number: int = _libc.inotify_add_watch(self._descriptor, os.fsencode(directory), events)
            if number >= 0:
                self._refused.discard(directory)
                return number
            if directory not in self._refused:
                self._refused.add(directory)
                _log.warning("files.not_watched", path=str(directory), error=os.strerror(ctypes.get_errno()))
            return None

    def end(self) -> None:
        """Watch no more."""
        with self._lock:
            if self._descriptor >= 0:
                libvirt.virEventRemoveHandle(self._handle)
                os.close(self._descriptor)
                self._descriptor = -1

    def _readable(self, _handle: int, descriptor: int, _events: int, _opaque: Any) -> None:
        with self._lock:
            # Closed meanwhile, the number may be another file's by now.
            if descriptor != self._descriptor:
                return
            data = os.read(descriptor, _READ_BYTES)
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            self._told(watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length
