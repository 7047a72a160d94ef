"""Standard output and standard error that cannot be written to: a full disk, a closed descriptor.

Without this their faults are an `OSError` that could have come from anywhere, at any write, or at the interpreter's last flush.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

from reconciler.model.errors import OutputError

_OUTPUT, _ERROR = 1, 2


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Have standard output fail with `OutputError`, and standard error lose what cannot be written: there is nowhere to tell
    it, and the exit code still says how the command ended.
    """
    refusal = _Refusal()
    output = sys.stdout or _closed_one(_OUTPUT, os.O_RDONLY)
    error = sys.stderr or _closed_one(_ERROR, os.O_WRONLY)
    sys.stdout = cast("TextIO", Guarded(output, refusal.check, refusal.begin))
    sys.stderr = cast("TextIO", Guarded(error, lambda: None, lambda _: None))
    try:
        yield
    finally:
        refusal.end()


class Guarded:
    """A stream that asks ``check`` before each write and tells its faults to ``on_fault``, but for a reader that went away,
    which ends a command as it does everywhere.
    """

    def __init__(self, stream: Any, check: Callable[[], None], on_fault: Callable[[OSError], None]) -> None:
        self._stream = stream
        self._check = check
        self._on_fault = on_fault

    @property
    def buffer(self) -> Guarded:
        """The same for bytes."""
        return Guarded(self._stream.buffer, self._check, self._on_fault)

    def write(self, data: Any) -> int:
        """Write, or tell that it cannot be."""
        with self._watched():
            self._stream.write(data)
        return len(data)

    def flush(self) -> None:
        """Hand on what was written, or tell that it cannot be."""
        with self._watched():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self._check()
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as fault:
            self._on_fault(fault)


class _Refusal:
    """Once something of the output is lost, each further write fails as well: whoever tries whether a stream can be written,
    as libraries do, must not make the fault forgotten.
    """

    def __init__(self) -> None:
        self._said = ""

    def check(self) -> None:
        """Fail where something was lost."""
        if self._said:
            raise OutputError(self._said)

    def begin(self, fault: OSError) -> NoReturn:
        """Give standard output up, and fail."""
        where = ""
        if fault.errno != errno.EBADF:
            with suppress(OSError):
                where = str(Path(f"/proc/self/fd/{_OUTPUT}").readlink())
        place = f"standard output ({where})" if where.startswith("/") else "standard output"
        self._said = (
            f"{place} cannot be written: {fault.strerror}. What it holds is not all there is to tell; what the command did "
            "besides stays done. Make room there, or write elsewhere, and ask again."
        )
        # The interpreter tries at its end to write what is still in a buffer, and tells of the fault in its own way.
        _lead_to_nowhere(_OUTPUT, os.O_WRONLY)
        raise OutputError(self._said) from fault

    def end(self) -> None:
        """Let the interpreter flush."""
        self._said = ""


def _closed_one(descriptor: int, access: int) -> TextIO:
    """In place of a stream that was closed from the start, so that no file which is opened later gets its number. One that
    may only be read fails at the first write.
    """
    _lead_to_nowhere(descriptor, access)
    return os.fdopen(descriptor, "w")


def _lead_to_nowhere(descriptor: int, access: int) -> None:
    nowhere = os.open(os.devnull, access)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
