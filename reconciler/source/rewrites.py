"""A history that was rewritten: what it leaves out, and the id under which a person may accept it."""

from __future__ import annotations

import hashlib

import pygit2

from reconciler.model.plain_text import one_line
from reconciler.source.commits import revision_of
from reconciler.source.errors import DamagedError

_MOST_COUNTED = 1000
_SHOWN = 5


def rewrite_id(source: str, accepted: str, head: str) -> str:
    """12 hex digits that stand for going from one revision of one source to another that does not descend from it. They
    follow from those alone, so that they are the same after a restart, and another head has another id.
    """
    return hashlib.sha256(f"rewrite\n{source}\n{accepted}\n{head}".encode()).hexdigest()[:12]


def rewrite_text(repository: pygit2.Repository, accepted: str, head: str) -> str:
    """How many commits the new history leaves out, and which, and how many it brings.

    Raises:
        DamagedError: a commit on the way cannot be read.
    """
    try:
        lost, brought = _apart(repository, accepted, head), _apart(repository, head, accepted)
    except (pygit2.GitError, KeyError, ValueError) as fault:
        raise DamagedError(f"the history of {head[:12]} cannot be read from the local copy: {fault}") from fault
    shown = ", ".join(_named(commit) for commit in lost[:_SHOWN])
    more = f" and {_count(len(lost) - _SHOWN)} more" if len(lost) > _SHOWN else ""
    return f"It leaves out {_count(len(lost))} of the accepted commits ({shown}{more}) and brings {_count(len(brought))} others"


def _apart(repository: pygit2.Repository, head: str, other: str) -> list[pygit2.Commit]:
    """What ``head`` has and ``other`` has not, newest first, up to a bound."""
    walker = repository.walk(pygit2.Oid(hex=head), pygit2.enums.SortMode.TOPOLOGICAL)
    walker.hide(pygit2.Oid(hex=other))
    return [commit for commit, _ in zip(walker, range(_MOST_COUNTED), strict=False)]


def _count(number: int) -> str:
    return f"{_MOST_COUNTED} or more" if number >= _MOST_COUNTED else str(number)


def _named(commit: pygit2.Commit) -> str:
    revision = revision_of(commit)
    return f"{revision.commit[:12]} {one_line(revision.subject, 60)!r} of {one_line(revision.author, 40)}"
