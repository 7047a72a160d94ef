"""Which approvals of commits were used up, so that a restart does not make one count again (law 7).

It lies beside the key file, as the suspension of everything does: losing the state directory must not release anything. An approval
is written down right before the first change that it let go is attempted; until then a restart finds the same changes waiting under the same
id, and it counts for them. What has begun goes on after a restart by itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import structlog

from reconciler.daemon import events
from reconciler.daemon.small_file import write_small_file

Used = tuple[str, str]
"""(commit, hold id)."""

_MOST = 200
_MAX_BYTES = 64 << 10

_log = structlog.get_logger("gitvirt.approvals")


class UsedApprovals:
    """The latest that were used up. Without a file they are kept in memory."""

    def __init__(self, path: Path | None = None) -> None:
        """``path`` is that of `beside`; it is read when it is first asked about."""
        self._path = path
        self._known: list[Used] | None = [] if path is None else None
        self._is_readable = True

    @classmethod
    def beside(cls, key_file: Path) -> UsedApprovals:
        """Those of the gitvirt with this key file."""
        return cls(key_file.with_name(f"{key_file.name}.approvals"))

    def is_used(self, commit: str, hold_id: str) -> bool:
        """Whether an approval does not count any more. While the file cannot be read none counts: unknown is never empty."""
        return (commit, hold_id) in self._read() or not self._is_readable

    def note(self, used: Collection[Used]) -> None:
        """These are used up. Where that cannot be written it is logged, and holds until this process ends."""
        known = self._read()
        fresh = [one for one in used if one not in known]
        if not fresh:
            return
        self._known = known = [*known, *fresh][-_MOST:]
        if self._path is None or not self._is_readable:
            return
        try:
            write_small_file(self._path, json.dumps({"used": known}))
        except OSError as error:
            _log.warning(events.APPROVAL_NOT_NOTED, file=str(self._path), error=error.strerror)

    def _read(self) -> list[Used]:
        if self._known is None:
            self._known = self._read_file()
        return self._known

    def _read_file(self) -> list[Used]:
        assert self._path is not None  # noqa: S101  (without one they are known)
        try:
            with self._path.open("rb") as stream:
                body = json.loads(stream.read(_MAX_BYTES))
            return [(str(commit), str(hold_id)) for commit, hold_id in body["used"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._is_readable = False
            _log.error(events.APPROVALS_UNREADABLE, file=str(self._path), error=str(error))
            return []
