"""What the environment can do to us. Users' mistakes are `Problem` values, not exceptions; broken invariants crash.

Each class has an exit code of its own; ``docs/cli.md`` lists them.
"""

from __future__ import annotations


class GitvirtError(Exception):
    """Base of all. The message says what, where, why and what to do next, without secrets."""

    exit_code = 10


class SettingsError(GitvirtError):
    """The settings file cannot be read or is not valid."""

    exit_code = 11


class SourceError(GitvirtError):
    """The repository or the revision cannot be read."""

    exit_code = 12


class EngineError(GitvirtError):
    """The engine cannot be reached, or answers with something that is not an answer."""

    exit_code = 13


class JournalError(GitvirtError):
    """The journal cannot be written or read."""

    exit_code = 14


class LockedError(GitvirtError):
    """Another daemon with the same owner works on the same engine."""

    exit_code = 15


class DaemonError(GitvirtError):
    """The running daemon cannot be reached or refused a request."""

    exit_code = 16


class RequirementError(GitvirtError):
    """Something gitvirt needs is not on this machine."""

    exit_code = 17


class StalePlanError(GitvirtError):
    """What was planned is not what would be done now: the repository or the host has changed since."""

    exit_code = 18


class OutputError(GitvirtError):
    """Standard output cannot be written: the disk is full, or it was closed."""

    exit_code = 19
