"""A branch elsewhere that is moved forward to what a repository here holds, and never in any other way."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pygit2

from reconciler.model.follow import ref_followed
from reconciler.model.plain_text import one_line
from reconciler.model.source_spec import SourceSpec
from reconciler.source.errors import UnreachableError
from reconciler.source.http_transport import HttpTransport
from reconciler.source.limits import SourceLimits
from reconciler.source.local_transport import LocalTransport
from reconciler.source.receive_pack import move_ref, stands_at
from reconciler.source.remote_url import HttpUrl, LocalUrl, parse_url
from reconciler.source.remotes import checked_follow
from reconciler.source.smart_remote import SmartRemote, Transport
from reconciler.source.ssh_transport import SshTransport
from reconciler.source.time_bound import within
from reconciler.source.upload_pack import READ, WRITE


class PushRemote:
    """See `ports.JournalRemote`. For one thread at a time."""

    def __init__(self, spec: SourceSpec, ref: str, limits: SourceLimits) -> None:
        """Nothing is connected yet. ``ref`` is the whole name of the branch.

        Raises:
            SourceError: no transport knows such a URL, or it lacks what it needs.
        """
        checked_follow(ref_followed(ref))
        self._limits = replace(limits, fetch_timeout_s=spec.timeout_s)
        self._spec, self._ref = spec, ref
        self._transport = _transport(spec, self._limits, WRITE)
        self._giver = SmartRemote(_transport(spec, self._limits, READ), self._limits)
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.shown = f"{self._transport.shown} ({ref.removeprefix('refs/heads/')})"

    def push(self, repository: Path, head: str) -> str:
        """See `JournalRemote.push`."""
        shown, limit_s = self._transport.shown, self._limits.fetch_timeout_s
        return within(self._runner, shown, limit_s, self._push(repository, head))

    def fetch(self, into: Path, commit: str) -> None:
        """See `JournalRemote.fetch`."""
        try:
            self._giver.fetch(pygit2.Repository(str(into), pygit2.enums.RepositoryOpenFlag.BARE), commit)
        except pygit2.GitError as fault:
            raise UnreachableError(f"{self.shown} cannot be brought into {into}: {one_line(str(fault))}") from fault

    def close(self) -> None:
        """See `JournalRemote.close`."""
        self._runner.run(self._transport.forget())
        self._runner.close()
        self._giver.close()

    async def _push(self, repository: Path, head: str) -> str:
        async with self._transport.talk() as talk:
            before = await stands_at(talk, self._ref)
            if before == head:
                return ""
            if not head or (before and not _descends(repository, head, before)):
                return before
            with tempfile.TemporaryFile(dir=repository) as pack:
                await _pack_between(repository, before, head, pack)
                pack.seek(0)
                await move_ref(talk, self._ref, before=before, after=head, pack=pack)
        return ""


def _transport(spec: SourceSpec, limits: SourceLimits, service: str) -> Transport:
    url = parse_url(spec.url)
    if isinstance(url, LocalUrl):
        return LocalTransport(url.path, limits, service=service)
    if isinstance(url, HttpUrl):
        return HttpTransport(url, spec, limits, service=service)
    return SshTransport(url, spec, limits, service=service)


def _descends(repository: Path, head: str, ancestor: str) -> bool:
    """Whether a commit comes after another one; not when that one is not here."""
    opened = pygit2.Repository(str(repository), pygit2.enums.RepositoryOpenFlag.BARE)
    oid = pygit2.Oid(hex=ancestor)
    return oid in opened.odb and opened.descendant_of(pygit2.Oid(hex=head), oid)


async def _pack_between(repository: Path, before: str, head: str, into: BinaryIO) -> None:
    """What ``head`` has and ``before`` has not, as a pack.

    Raises:
        UnreachableError: git cannot make it.
    """
    program = shutil.which("git")
    if program is None:
        raise UnreachableError("the program git is not on this machine: apt-get install git")
    process = await asyncio.create_subprocess_exec(
        program,
        *("-c", "pack.threads=1", "pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q"),
        stdin=asyncio.subprocess.PIPE,
        stdout=into,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "GIT_DIR": str(repository),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_REPLACE_OBJECTS": "1",
        },
        start_new_session=True,
    )
    try:
        wanted = f"{head}\n" + (f"^{before}\n" if before else "")
        _, said = await process.communicate(wanted.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise UnreachableError(f"git cannot pack what it lacks ({one_line(said.decode(errors='replace'), 200)})")
