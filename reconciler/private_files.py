"""Reading files that nobody but root may read: whoever else can write or read one makes it worthless."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_OR_WRITE = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NotPrivateError(Exception):
    """A file or directory is not what a secret may be kept in: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was at one moment: another stamp means that it may hold something else."""

    device: int
    inode: int
    size: int
    changed_ns: int
    modified_ns: int


def check_directory(path: Path) -> None:
    """Others may look into it, but must not be able to put a file there.

    Raises:
        NotPrivateError: it is not a directory of root or of this user, or others may write to it.
        OSError: it cannot be looked at.
    """
    facts = path.stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise NotPrivateError(f"{path} is not a directory", f"make it one: install -d -m 700 {path}")
    _check_owner(path, facts)
    if facts.st_mode & _OTHERS_WRITE:
        raise NotPrivateError(f"{path} can be written by other users", f"run: chmod go-w {path}")


def stamp_of(path: Path) -> Stamp:
    """Raises OSError when it cannot be looked at."""
    return _stamp(path.stat())


def read_private_file(path: Path, *, most_bytes: int) -> tuple[bytes, Stamp]:
    """The content of a regular file that only root or this user can read, and its stamp. Root may hand it to a user who is not
    root through a group of that user, which is how a Secret is mounted for a pod.

    Raises:
        NotPrivateError: open to others, not a regular file, or larger than ``most_bytes``.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotPrivateError(f"{path} is not a regular file", "put a file in its place")
        _check_owner(path, facts)
        if facts.st_mode & (_OTHERS_OR_WRITE if _is_handed_on(facts) else _OTHERS):
            raise NotPrivateError(f"{path} is open to other users", f"run: chmod 600 {path}")
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            data = stream.read(most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > most_bytes:
        raise NotPrivateError(f"{path} has more than {most_bytes} bytes", "keep only the secret itself in it")
    return data, _stamp(facts)


def _stamp(facts: os.stat_result) -> Stamp:
    return Stamp(facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns, facts.st_mtime_ns)


def _is_handed_on(facts: os.stat_result) -> bool:
    return os.geteuid() != 0 and facts.st_uid == 0 and facts.st_gid in (os.getegid(), *os.getgroups())


def _check_owner(path: Path, facts: os.stat_result) -> None:
    if facts.st_uid not in (0, os.geteuid()):
        raise NotPrivateError(f"{path} belongs to another user (uid {facts.st_uid})", f"run: chown root {path}")
