"""What of a repository is followed: a branch, a tag, the highest version in a range, one commit, or any ref."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"


class FollowKind(StrEnum):
    """The words are those of the settings."""

    BRANCH = "branch"
    TAG = "tag"
    SEMVER = "semver"
    COMMIT = "commit"
    REF = "ref"


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """``name`` is a branch, a tag, a range of versions, a full hash or a full ref, as ``kind`` says."""

    kind: FollowKind = FollowKind.BRANCH
    name: str = "main"

    @property
    def ref(self) -> str:
        """The full ref; empty where no single one is followed."""
        match self.kind:
            case FollowKind.BRANCH:
                return f"{_BRANCHES}{self.name}"
            case FollowKind.TAG:
                return f"{_TAGS}{self.name}"
            case FollowKind.REF:
                return self.name
            case _:
                return ""

    @property
    def is_pin(self) -> bool:
        """Whether it names chosen revisions: moving to one that does not descend from the last is then no rewrite."""
        return self.kind in (FollowKind.TAG, FollowKind.SEMVER, FollowKind.COMMIT)

    def identity(self, path: str) -> str:
        """What decides whether objects come from the same source: another branch or ref is another source; another tag,
        range or commit is the same one at another revision, so that moving a pin prunes as any commit does.
        """
        what = str(self.kind) if self.is_pin else self.ref
        return f"{what}:{path}" if path else what

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def ref_followed(ref: str) -> Follow:
    """``refs/heads/X`` is the branch X, so that it does not matter how it is written; anything else is a ref."""
    if ref.startswith(_BRANCHES):
        return Follow(kind=FollowKind.BRANCH, name=ref.removeprefix(_BRANCHES))
    return Follow(kind=FollowKind.REF, name=ref)
