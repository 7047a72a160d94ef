"""A repository on this machine that is spoken with as a server is: git's own program, without that repository's hooks.

A hook is a program of whoever owns that repository; gitvirt may run as root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from reconciler.model.plain_text import one_line
from reconciler.source.errors import ServerError, UnreachableError
from reconciler.source.limits import SourceLimits
from reconciler.source.process_talk import ProcessTalk

_SETTINGS = ("core.hooksPath=/dev/null", "receive.autogc=false", "safe.directory=*")


class LocalTransport:
    """See `smart_remote.Transport`. One run of git a conversation."""

    def __init__(self, path: Path, limits: SourceLimits, *, service: str) -> None:
        self.shown = str(path)
        self._path, self._service = path, service
        self._limits = limits

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[ProcessTalk]:
        """See `Transport.talk`."""
        program = shutil.which("git")
        if program is None:
            raise UnreachableError("the program git is not on this machine: apt-get install git")
        if not self._path.exists():
            raise UnreachableError("it does not exist (is its file system mounted?)")
        process = await asyncio.create_subprocess_exec(
            program,
            *(part for setting in _SETTINGS for part in ("-c", setting)),
            self._service.removeprefix("git-"),
            str(self._path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "LC_ALL": "C",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
            },
            start_new_session=True,
        )
        talk = ProcessTalk(process, self._limits)
        try:
            yield talk
            await talk.bid_farewell()
        except ServerError:
            raise
        except (UnreachableError, ConnectionError) as fault:
            said = one_line((await talk.last_words()).replace("fatal: ", ""), 200)
            raise UnreachableError(said or str(fault)) from fault
        finally:
            await talk.end()

    async def forget(self) -> None:
        """See `Transport.forget`; nothing is kept."""
