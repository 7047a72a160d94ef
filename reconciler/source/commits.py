"""A commit's facts, whatever bytes it was made of, and never more than are worth keeping."""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime

import pygit2

from reconciler.model.revision import Revision

_MOST_BYTES = 64 * 1024
_MOST_SHOWN = 1000
_ENCODINGS = re.compile(
    r"utf-8|ascii|iso8859-\d+|cp125\d|koi8-[ru]|euc_(?:jp|kr)|shift_jis|iso2022_jp|gb(?:2312|k|18030)|big5"
)
"""What a commit may be written in. Python knows more: some take hours for a megabyte (punycode), some are no charsets."""
_APPROVE = re.compile(r"gitvirt-approve\s*:\s*([0-9A-Za-z._-]{1,128})\s*", re.IGNORECASE)


def revision_of(commit: pygit2.Commit, approvals: tuple[str, ...] | None = None) -> Revision:
    """The facts of a commit. ``approvals`` replaces those of its own message."""
    encoding = _encoding(commit)
    begin = _decoded(commit.raw_message[:_MOST_BYTES], encoding)
    return Revision(
        commit=str(commit.id),
        author=_decoded(commit.author.raw_name[:_MOST_BYTES], encoding)[:_MOST_SHOWN],
        email=_decoded(commit.author.raw_email[:_MOST_BYTES], encoding)[:_MOST_SHOWN],
        subject=begin.strip().partition("\n")[0][:_MOST_SHOWN],
        committed_at=_time(commit.commit_time),
        approvals=approvals_in(_end(commit)) if approvals is None else approvals,
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
        return approvals_in(_end(repository.get(tip)))
    walker = repository.walk(tip, pygit2.enums.SortMode.TOPOLOGICAL)
    walker.hide(pygit2.Oid(hex=previous))
    found: dict[str, None] = {}
    for count, commit in enumerate(walker):
        if count >= limit:
            break
        found.update(dict.fromkeys(approvals_in(_end(commit))))
    return tuple(found)


def _end(commit: pygit2.Object | pygit2.Commit | None) -> str:
    """Of a message what may hold its trailers."""
    return _decoded(commit.raw_message[-_MOST_BYTES:], _encoding(commit)) if isinstance(commit, pygit2.Commit) else ""


def _encoding(commit: pygit2.Commit) -> str:
    """The charset that the commit names, if it is one; else UTF-8."""
    try:
        name = codecs.lookup(commit.message_encoding or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return name if _ENCODINGS.fullmatch(name) else "utf-8"


def _decoded(data: bytes, encoding: str) -> str:
    return data.decode(encoding, "replace")


def _time(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
