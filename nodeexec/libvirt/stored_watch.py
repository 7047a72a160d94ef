"""Watches the files in which libvirt stores definitions: a change of the stored half alone (``virsh setmem --config``,
``virsh attach-disk --config``, ``virsh net-update --config``) makes no event of libvirt's.

A file is written beside its name and renamed onto it. Only where to look is taken from that; the files themselves are never
read. Where they cannot be watched (a remote libvirt, another user's), the periodic full look finds such changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from nodeexec.libvirt import inotify
from nodeexec.libvirt.inotify import Inotify

SYSTEM_URI = "qemu:///system"
SYSTEM_DIRECTORY = Path("/etc/libvirt/qemu")
SESSION_URI = "qemu:///session"
NETWORKS = "networks"


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
        self._files = Inotify(self._told)

    def begin(self, directory: Path, *, networks: bool = True) -> None:
        """Watch the definitions in ``directory`` and its ``networks``. What cannot be watched is logged and left."""
        if self._parts or not self._files.begin():
            return
        for part in self._tell if networks else ("",):
            number = self._files.add(directory / part, inotify.MOVED_HERE)
            if number is not None:
                self._parts[number] = part

    def end(self) -> None:
        """Watch no more."""
        self._files.end()
        self._parts = {}

    def _told(self, watch: int, event: int, name: str) -> None:
        part = self._parts.get(watch)
        if event & inotify.OVERFLOWED:
            self._overflowed()
        elif part is not None and name.endswith(".xml"):
            self._tell[part](name.removesuffix(".xml"))
