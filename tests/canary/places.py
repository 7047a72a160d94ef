"""Everything that may be read by somebody: output, logs, the journal, processes, files."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_MOST_BYTES = 64 << 20


class ProcessWatch:
    """Arguments and environment of every process below this one, as long as the context lasts."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            for pid in _descendants(os.getpid()):
                for what in ("cmdline", "environ"):
                    with suppress(OSError):
                        said = Path(f"/proc/{pid}/{what}").read_bytes()
                        self.seen[f"/proc/{pid}/{what}: {said[:40]!r}"] = said


def _descendants(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    waiting = list(children.get(root, ()))
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, ())


def wrapped_tools(directory: Path, *names: str) -> Path:
    """A directory for ``PATH`` in which tools write down how they were called before they run."""
    bin_directory = directory / "bin"
    bin_directory.mkdir()
    for name in names:
        real = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        script = bin_directory / name
        script.write_text(f'#!/bin/sh\n{{ echo "$0 $*"; env; }} >>{directory}/calls\nexec {real} "$@"\n')
        script.chmod(0o755)
    return bin_directory


def repository_objects(repository: Path) -> bytes:
    """Every object of a Git repository, reachable or not."""
    command = ["git", "-C", str(repository), "cat-file", "--batch-all-objects", "--batch", "--buffer"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def readable_by_others(top: Path) -> Iterator[tuple[str, bytes]]:
    """(path, content) of every file below ``top`` that a user who is neither owner nor in the group can get at."""
    if not top.stat().st_mode & stat.S_IXOTH:
        return
    for entry in sorted(top.iterdir()):
        facts = entry.lstat()
        if stat.S_ISDIR(facts.st_mode):
            yield from readable_by_others(entry)
        elif stat.S_ISREG(facts.st_mode) and facts.st_mode & stat.S_IROTH and facts.st_size <= _MOST_BYTES:
            yield str(entry), entry.read_bytes()


def extended_attributes(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """(path and name, value) of every extended attribute."""
    for path in paths:
        with suppress(OSError):
            for name in os.listxattr(path):
                yield f"{path} {name}", os.getxattr(path, name)
