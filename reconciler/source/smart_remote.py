"""A repository on another machine: looks and fetches over any transport, each within its time and its size."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Protocol

import pygit2

from reconciler.model.follow import Follow, FollowKind
from reconciler.source.heads import RemoteHead, chosen, name_prefix, not_there, ref_prefix
from reconciler.source.limits import SourceLimits
from reconciler.source.pack_intake import take_in
from reconciler.source.time_bound import within
from reconciler.source.upload_pack import Talk, list_refs, pack_of

_MOST_HAVES = 64


class Transport(Protocol):
    """How a server is reached. ``shown`` is its URL without credentials."""

    shown: str

    def talk(self) -> AbstractAsyncContextManager[Talk]:
        """A conversation; faults of the way there are raised as `UnreachableError`, as a clause about the server."""
        ...

    async def forget(self) -> None:
        """Close what is kept open."""
        ...


class SmartRemote:
    """See `remotes.Remote`.

    Everything waits in an event loop of its own, because only there one deadline holds over name resolution, connecting,
    handshakes, headers and bodies together: a server that sends a byte now and then would outlive any time-out of a
    single operation.
    """

    def __init__(self, transport: Transport, limits: SourceLimits) -> None:
        self.shown = transport.shown
        self._transport = transport
        self._limits = limits
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def look(self, follow: Follow) -> RemoteHead:
        """See `Remote.look`. A commit is not asked for: its name says where it stands, and fetching it says the rest."""
        if follow.kind is FollowKind.COMMIT:
            return RemoteHead(commit=follow.name, oid=follow.name)
        limit_s = min(self._limits.look_timeout_s, self._limits.fetch_timeout_s)
        return within(self._runner, self.shown, limit_s, self._look(follow))

    def fetch(self, mirror: pygit2.Repository, oid: str) -> None:
        """See `Remote.fetch`.

        Raises:
            NotGivenError: the server does not give that object out.
        """
        work = self._fetch(Path(mirror.path), oid, _haves(mirror))
        within(self._runner, self.shown, self._limits.fetch_timeout_s, work)

    def close(self) -> None:
        """See `Remote.close`."""
        self._runner.run(self._transport.forget())
        self._runner.close()

    async def _look(self, follow: Follow) -> RemoteHead:
        async with self._transport.talk() as talk:
            limit = self._limits.ref_bytes
            found = chosen(follow, await list_refs(talk, ref_prefix(follow), limit=limit))
            if found is not None:
                return found
            names = [ref.name for ref in await list_refs(talk, name_prefix(follow), limit=limit)]
            if not names and not await list_refs(talk, "refs/", limit=limit):
                return RemoteHead(commit="", fault="the repository has no commit yet", unborn=True)
            return not_there(follow, names)

    async def _fetch(self, mirror: Path, oid: str, haves: list[str]) -> None:
        async with (
            self._transport.talk() as talk,
            aclosing(pack_of(talk, oid, haves, limit=self._limits.fetch_bytes)) as pack,
        ):
            await take_in(mirror, pack, self._limits)


def _haves(mirror: pygit2.Repository) -> list[str]:
    """The newest commits that are here, so that a server sends only what is not."""
    tips = [mirror.references[name].peel(pygit2.Commit).id for name in mirror.references]
    if not tips:
        return []
    walker = mirror.walk(None, pygit2.enums.SortMode.TIME)
    for tip in dict.fromkeys(tips):
        walker.push(tip)
    return [str(commit.id) for commit, _ in zip(walker, range(_MOST_HAVES), strict=False)]
