"""Watches the files in which libvirt stores definitions: a change of the stored half alone (``virsh setmem --config``,
``virsh attach-disk --config``, ``virsh net-update --config``) makes no event of libvirt's.

A file is written beside its name and renamed onto it, which inotify tells at no cost while nothing happens. Only where to
look is taken from it; the files themselves are never read. Where they cannot be watched (a remote libvirt, another user's),
the periodic full look finds such changes.

*Source*: inotify(7).
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import libvirt
import structlog

SYSTEM_URI = "qemu:///system"
SYSTEM_DIRECTORY = Path("/etc/libvirt/qemu")
SESSION_URI = "qemu:///session"
NETWORKS = "networks"
_MOVED_TO = 0x80
_OVERFLOWED = 0x4000
_HEADER = struct.Struct("iIII")
_READ_BYTES = 64 * 1024

_log = structlog.get_logger("gitvirt.libvirt")
_libc = ctypes.CDLL(None, use_errno=True)


def session_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the libvirt of an ordinary user stores definitions."""
    said = environment.get("XDG_CONFIG_HOME", "")
    return (Path(said) if said.startswith("/") else Path.home() / ".config") / "libvirt/qemu"


class StoredWatch:
    """Runs on libvirt's event loop, which has to be there before `begin`. ``domain`` and ``network`` are told the names of
    what was written, in that loop's thread; ``overflowed`` that some were missed.
    """

    def __init__(
        self, *, domain: Callable[[str], None], network: Callable[[str], None], overflowed: Callable[[], None]
    ) -> None:
        self._tell = {"": domain, NETWORKS: network}
        self._overflowed = overflowed
        self._parts: dict[int, str] = {}
        self._descriptor = -1
        self._handle = -1
        self._lock = threading.Lock()

    def begin(self, directory: Path, *, networks: bool = True) -> None:
        """Watch the definitions in ``directory`` and its ``networks``. What cannot be watched is logged and left."""
        if self._descriptor >= 0:
            return
        descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            _log.warning("definitions.not_watched", error=os.strerror(ctypes.get_errno()))
            return
        for part in self._tell if networks else ("",):
            path = directory / part
            number = _libc.inotify_add_watch(descriptor, os.fsencode(path), _MOVED_TO)
            if number < 0:
                _log.warning("definitions.not_watched", path=str(path), error=os.strerror(ctypes.get_errno()))
                continue
            self._parts[number] = part
        if not self._parts:
            os.close(descriptor)
            return
        self._descriptor = descriptor
        self._handle = libvirt.virEventAddHandle(descriptor, libvirt.VIR_EVENT_HANDLE_READABLE, self._readable, None)

    def end(self) -> None:
        """Watch no more."""
        with self._lock:
            if self._descriptor >= 0:
                libvirt.virEventRemoveHandle(self._handle)
                os.close(self._descriptor)
                self._descriptor, self._parts = -1, {}

    def _readable(self, _handle: int, descriptor: int, _events: int, _opaque: Any) -> None:
        with self._lock:
            # Closed meanwhile, the number may be another file's by now.
            if descriptor != self._descriptor:
                return
            data, parts = os.read(descriptor, _READ_BYTES), dict(self._parts)
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length
            if mask & _OVERFLOWED:
                self._overflowed()
            elif watch in parts and name.endswith(".xml"):
                self._tell[parts[watch]](name.removesuffix(".xml"))
