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
    UNVERIFIED = "unverified"
    NEVER = "never-fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEvent:
    """Something about the history of a source that belongs on record whether or not it changed any object. ``what`` is
    ``rewrite`` or ``signature``, ``result`` ``accepted`` or ``refused``, or ``lost`` for an accepted commit whose signature
    does not count any more; ``head`` is the commit that was judged.
    """

    what: str
    result: str
    head: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """``message`` says what a person can do about a state that is not ``ready``. ``head`` is the remote's commit, ``ref``
    the ref that it was found at: of a range of versions, the tag that was chosen.

    ``approval`` is the id under which a person may accept a rewritten history, empty where nothing waits for that, and
    ``approval_reason`` what that would mean; ``event`` is what the last look has to put on record.
    """

    state: SourceState
    checked_at: datetime | None
    head: str = ""
    ref: str = ""
    message: str = ""
    approval: str = ""
    approval_reason: str = ""
    event: SourceEvent | None = None
