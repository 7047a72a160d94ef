"""A commit of the repository, and how the last look at the remote went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A commit. ``commit`` is its full hash; ``approvals`` are the values of its ``Gitvirt-Approve`` trailers. Author,
    e-mail and subject are as committed: any bytes, decoded with replacement; whoever shows them makes them safe.
    """

    commit: str
    author: str = ""
    email: str = ""
    subject: str = ""
    committed_at: datetime | None = None
    approvals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobEntry:
    """A manifest file of a revision: path below the repository's root, and its blob's hash."""

    path: str
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A revision's manifest files. ``files`` maps a path to its blob's hash."""

    revision: Revision
    files: Mapping[str, str]
    refused: tuple[tuple[str, str], ...] = ()
    """(path, reason) of entries that were not read: a symlink, a submodule, a file over the limit."""


class SourceState(StrEnum):
    """What the last fetch came to. Only ``READY`` moves the accepted revision; no state ever deletes anything."""

    READY = "ready"
    UNREACHABLE = "unreachable"
    REF_MISSING = "ref-missing"
    REWRITTEN = "rewritten"
    PATH_MISSING = "path-missing"
    EMPTY = "empty"
    REFUSED = "refused"
    NEVER = "never-fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """``message`` says what a person can do about a state that is not ``ready``. ``head`` is the remote's commit."""

    state: SourceState
    checked_at: datetime | None
    head: str = ""
    message: str = ""
