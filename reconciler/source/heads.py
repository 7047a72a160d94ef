"""Which of a remote's refs is the one that is followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.follow import Follow, FollowKind
from reconciler.model.plain_text import one_line
from reconciler.model.versions import highest_version

_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"
_SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A remote's ref and the hash it stands at. ``peeled`` is what an annotated tag names in the end."""

    name: str
    oid: str
    peeled: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteHead:
    """The remote's answer. ``oid`` is what the ref stands at: the commit, or the annotated tag that names it. ``commit``
    is empty when the ref is not there, and ``fault`` then says what is; ``unborn`` when the repository holds no commit
    at all. ``ref`` is the ref that was chosen.
    """

    commit: str
    oid: str = ""
    ref: str = ""
    fault: str = ""
    unborn: bool = False


def ref_prefix(follow: Follow) -> str:
    """What a server has to list for `chosen`; empty where nothing has to be asked."""
    return _TAGS if follow.kind is FollowKind.SEMVER else follow.ref


def name_prefix(follow: Follow) -> str:
    """What a server has to list so that `not_there` can say what is there."""
    return _TAGS if follow.kind in (FollowKind.TAG, FollowKind.SEMVER) else _BRANCHES


def chosen(follow: Follow, refs: Iterable[Ref]) -> RemoteHead | None:
    """The head among these refs; None when it is not there."""
    name = follow.ref
    if follow.kind is FollowKind.SEMVER:
        refs = tuple(refs)
        tags = (ref.name.removeprefix(_TAGS) for ref in refs if ref.name.startswith(_TAGS))
        name = f"{_TAGS}{highest_version(tags, follow.name)}"
    found = next((ref for ref in refs if ref.name == name), None)
    return None if found is None else RemoteHead(commit=found.peeled or found.oid, oid=found.oid, ref=found.name)


def not_there(follow: Follow, names: Sequence[str]) -> RemoteHead:
    """The answer where the ref is missing among these."""
    prefix = name_prefix(follow)
    near = sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    kind = "tag" if prefix == _TAGS else "branch"
    if not near:
        return RemoteHead(commit="", fault=f"it has no {kind}")
    shown = ", ".join(one_line(name, 60) for name in near[:_SHOWN_NAMES])
    more = f" and {len(near) - _SHOWN_NAMES} more" if len(near) > _SHOWN_NAMES else ""
    return RemoteHead(commit="", fault=f"it has {shown}{more}")
