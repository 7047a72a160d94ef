"""Watches the directories of pools: a volume that somebody removes, moves away or puts back makes no event of libvirt's.

Only where to look is taken from it. gitvirt moves volumes itself all the time, so a new file is told only where one is awaited, because
the last look found it lost. Where a directory cannot be watched, the periodic full look finds such changes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from nodeexec.libvirt import inotify
from nodeexec.libvirt.inotify import Inotify

_GONE = inotify.MOVED_AWAY | inotify.DELETED
_CAME = inotify.MOVED_HERE | inotify.WRITTEN
# A copy under way has been created and is not whole: only its end counts.


class PoolWatch:
    """Runs on libvirt's event loop. ``changed`` is told the name of a volume that went or came back, in that loop's thread;
    ``unsure`` that some were missed, or that a directory is gone. Directories and awaited files that are told before `begin` are watched from then on.
    """

    def __init__(self, *, changed: Callable[[str], None], unsure: Callable[[], None]) -> None:
        self._changed = changed
        self._unsure = unsure
        self._lock = threading.Lock()
        self._directories: set[Path] = set()
        self._targets: dict[int, Path] = {}
        self._awaited: set[Path] = set()
        self._began = False
        self._files = Inotify(self._told)

    def begin(self) -> None:
        """Watch, from now on."""
        if self._began or not self._files.begin():
            return
        with self._lock:
            self._began, known = True, tuple(self._directories)
        self.keep(known)

    def keep(self, directories: Collection[Path]) -> None:
        """Watch these directories too. One that was watched may be on another filesystem by now, so all are asked for again."""
        with self._lock:
            self._directories.update(directories)
            began = self._began
        for directory in directories if began else ():
            number = self._files.add(directory, _GONE | _CAME)
            if number is not None:
                self._targets[number] = directory

    def expect_back(self, path: Path) -> None:
        """A volume was found lost: tell when its file is there again, also when that is the case by now."""
        with self._lock:
            self._awaited.add(path)
        if path.exists():
            self._came(path)

    def end(self) -> None:
        """Watch no more."""
        self._files.end()

    def _came(self, path: Path) -> None:
        with self._lock:
            if path not in self._awaited:
                return
            self._awaited.remove(path)
        self._changed(path.name)

    def _told(self, watch: int, event: int, name: str) -> None:
        if event & inotify.OVERFLOWED:
            self._unsure()
        elif event & inotify.IGNORED:
            if self._targets.pop(watch, None) is not None:
                self._unsure()
        elif (target := self._targets.get(watch)) is None or not name:
            return
        elif event & _GONE:
            self._changed(name)
        else:
            self._came(target / name)
