"""Reconciliation of everything, halted by a person: survives a restart of the daemon, and ends when it was told to.

It lies beside the key file, because losing the state directory must never set a halted gitvirt going. A time that was given is kept by the
kernel's clock as well, so that a clock that is set does not end it early.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.daemon.small_file import write_small_file
from reconciler.model.errors import RequirementError
from reconciler.model.moment import KernelTime, Moment

_MAX_BYTES = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """Who halted everything, when, why, and until when (None: until resumed)."""

    by: str
    at: datetime
    reason: str = ""
    until: datetime | None = None

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        until = f" until {self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else ""
        return f"everything is suspended by {self.by}{until}{why}; `gitvirt resume --all` goes on"


class SuspensionFile:
    """The halt of one gitvirt, as a small file."""

    def __init__(self, key_file: Path) -> None:
        """``key_file`` is that of the settings; the file lies in its directory."""
        self._path = key_file.with_name(f"{key_file.name}.suspended")

    def read(self, now: Moment) -> Suspended | None:
        """The halt that holds at ``now``. A file that cannot be understood halts as well: unknown is never empty."""
        try:
            with self._path.open("rb") as stream:
                data = stream.read(_MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Suspended(by="unknown", at=now.at, reason=f"{self._path} cannot be read: {error.strerror}")
        try:
            body = json.loads(data)
            until = datetime.fromisoformat(body["until"]) if body["until"] else None
            if until is not None:
                until = now.told(until, _deadline(body))
            found = Suspended(
                by=str(body["by"]), at=datetime.fromisoformat(body["at"]), reason=str(body["reason"]), until=until
            )
            is_over = until is not None and until <= now.at
        except (ValueError, KeyError, TypeError):
            return Suspended(by="unknown", at=now.at, reason=f"{self._path} is damaged")
        return None if is_over else found

    def write(self, suspended: Suspended, now: Moment) -> None:
        """Halt, on disk before this returns.

        Raises:
            RequirementError: it cannot be written; nothing is halted.
        """
        end = now.end_of(suspended.until) if suspended.until else None
        body = {
            "by": suspended.by,
            "at": suspended.at.isoformat(),
            "reason": suspended.reason,
            "until": suspended.until.isoformat() if suspended.until else None,
            **({"boot_id": end.boot_id, "until_monotonic_s": end.monotonic_s} if end else {}),
        }
        try:
            write_small_file(self._path, json.dumps(body))
        except OSError as error:
            raise RequirementError(f"cannot suspend: {self._path} cannot be written: {error.strerror}.") from error

    def clear(self) -> bool:
        """Go on; whether anything was halted.

        Raises:
            RequirementError: the file cannot be removed.
        """
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise RequirementError(f"cannot resume: {self._path} cannot be removed: {error.strerror}.") from error
        return True


def _deadline(body: Mapping[str, Any]) -> KernelTime | None:
    """Raises TypeError or ValueError for a file that somebody damaged."""
    if "until_monotonic_s" not in body:
        return None
    return KernelTime(boot_id=str(body["boot_id"]), monotonic_s=float(body["until_monotonic_s"]))
