"""A commit's facts, whatever bytes it was made of."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pygit2

from reconciler.model.revision import Revision

_APPROVE = re.compile(r"gitvirt-approve\s*:\s*([0-9A-Za-z._-]{1,128})\s*", re.IGNORECASE)


def revision_of(commit: pygit2.Commit, approvals: tuple[str, ...] | None = None) -> Revision:
    """The facts of a commit. ``approvals`` replaces those of its own message."""
    encoding = commit.message_encoding
    message = _decoded(commit.raw_message, encoding)
    return Revision(
        commit=str(commit.id),
        author=_decoded(commit.author.raw_name, encoding),
        email=_decoded(commit.author.raw_email, encoding),
        subject=message.strip().partition("\n")[0],
        committed_at=_time(commit.commit_time),
        approvals=approvals_in(message) if approvals is None else approvals,
    )


def approvals_in(message: str) -> tuple[str, ...]:
    """The hold ids of a message's ``Gitvirt-Approve`` trailers: lines of its last paragraph, which is not its first."""
    paragraphs = re.split(r"\n[ \t]*\n", message.replace("\r\n", "\n").strip())
    if len(paragraphs) < 2:
        return ()
    found = (_APPROVE.fullmatch(line) for line in paragraphs[-1].split("\n"))
    return tuple(dict.fromkeys(match.group(1) for match in found if match))


def approvals_since(repository: pygit2.Repository, head: str, previous: str, limit: int) -> tuple[str, ...]:
    """The approvals in the commits that came with ``head`` after ``previous`` (of ``head`` alone when that is empty),
    newest first, looking at ``limit`` commits at most.
    """
    tip = pygit2.Oid(hex=head)
    if not previous or previous == head:
        return approvals_in(_message(repository.get(tip)))
    walker = repository.walk(tip, pygit2.enums.SortMode.TOPOLOGICAL)
    walker.hide(pygit2.Oid(hex=previous))
    found: dict[str, None] = {}
    for count, commit in enumerate(walker):
        if count >= limit:
            break
        found.update(dict.fromkeys(approvals_in(_message(commit))))
    return tuple(found)


def _message(commit: pygit2.Object | pygit2.Commit | None) -> str:
    return _decoded(commit.raw_message, commit.message_encoding) if isinstance(commit, pygit2.Commit) else ""


def _decoded(data: bytes, encoding: str | None) -> str:
    """Bytes as text: by the encoding the commit names, if there is such a one, else UTF-8; never fails."""
    try:
        return data.decode(encoding or "utf-8", "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def _time(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
