"""One owner on one engine of this host has one writer: a second daemon, or a command that acts, refuses.

The lock is a flock on a file whose name follows from (owner, engine), in one place on the host whatever the
settings say, so that two settings files cannot get past each other. The kernel lets go of it when the process ends,
however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from reconciler.model.errors import LockedError, RequirementError

_HOST_DIRECTORY = Path("/run/gitvirt/locks")


def lock_directory(*, shared: bool) -> Path:
    """Where this host keeps such locks: in one place for an engine that its users share; for one that each has of his
    own, root there as well, and another user in his home.
    """
    if shared or os.geteuid() == 0:
        return _HOST_DIRECTORY
    return Path.home() / ".cache" / "gitvirt" / "locks"


class OwnerLock:
    """`reconciler.ports.Leadership` on one host: held from `acquire` to `release` or to the end of the process; lost before
    only if somebody removed its file and another process was quicker than `restore`. A context manager.
    """

    waits = False
    leader = ""
    patience_s = 1.0

    def __init__(self, owner: str, engine: str, directory: Path) -> None:
        """``engine`` names the host that is worked on, in one spelling; ``directory`` is that of `lock_directory`."""
        name = hashlib.sha256(f"{owner}\0{engine}".encode()).hexdigest()[:16]
        self._path = directory / f"{name}.lock"
        self._what = f"owner {owner!r} on {engine}"
        self._tell: Callable[[str], None] = lambda _: None
        self._descriptor: int | None = None
        self.identity = f"pid {os.getpid()}"

    def attempt(self) -> bool:
        """Take the lock: see `acquire`, which says all that can be said at once."""
        self.acquire()
        return True

    def acquire(self) -> None:
        """Take the lock, or say at once who has it.

        Raises:
            LockedError: another process holds it; the message names its pid.
            RequirementError: the lock file cannot be made.
        """
        while self._descriptor is None:
            descriptor = self._opened()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                if error.errno != errno.EWOULDBLOCK:
                    raise RequirementError(f"cannot lock {self._path}: {error.strerror}.") from error
                raise LockedError(
                    f"another gitvirt ({f'pid {holder}' if holder.isdigit() else 'unknown pid'}) already works as "
                    f"{self._what}. Stop it first, or give this one another owner in its settings."
                ) from error
            if self._is_there(descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                self._descriptor = descriptor
            else:
                # Its holder removed it between our open and our lock: a lock on a file that nobody finds is none.
                os.close(descriptor)

    def is_held(self) -> bool:
        """The kernel takes a lock from nobody."""
        return self._descriptor is not None

    def when_lost(self, tell: Callable[[str], None]) -> None:
        """See `Leadership.when_lost`; `restore` finds out."""
        self._tell = tell

    def when_asked(self, tell: Callable[[], None]) -> None:
        """See `Leadership.when_asked`: on a host nobody stands by."""

    def pass_on(self) -> None:
        """See `Leadership.pass_on`: who has no lock here does not run."""

    def restore(self) -> bool:
        """See `Leadership.restore`: make the lock anew where somebody removed its file, which would let a second holder in.

        Raises:
            RequirementError: the lock file cannot be made.
        """
        if self._descriptor is None or self._is_there(self._descriptor):
            return False
        before, self._descriptor = self._descriptor, None
        try:
            self.acquire()
        except LockedError as fault:
            self._tell(str(fault))
            return False
        finally:
            self._descriptor = before if self._descriptor is None else self._descriptor
        os.close(before)
        return True

    def release(self) -> None:
        """Let go, and remove the file while it is still ours."""
        if self._descriptor is not None:
            if self._is_there(self._descriptor):
                self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise RequirementError(
                f"cannot make the lock file {self._path}: {error.strerror}. Run as the user that owns this gitvirt (usually root)."
            ) from error

    def _is_there(self, descriptor: int) -> bool:
        """Whether the file that is open is the one that stands under its name."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def __enter__(self) -> OwnerLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
