"""A conversation with git through a program's standard input and output: ssh, or git itself on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO

from reconciler.source.limits import SourceLimits
from reconciler.source.pkt_line import Mark, PktReader
from reconciler.source.upload_pack import Advertisement, read_advertisement

_PIECE_BYTES = 64 * 1024
_LONGEST_COMPLAINT = 64 * 1024
_LAST_WORDS_S = 2.0
_FAREWELL_S = 0.5


class ProcessTalk:
    """See `upload_pack.Talk`. The server remembers what was said, so the conversation is one stream."""

    def __init__(self, process: asyncio.subprocess.Process, limits: SourceLimits) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("a program was started without pipes")
        self._process, self._limits = process, limits
        self._stdin = process.stdin
        self._pieces = _pieces(process.stdout)
        self._complaints = bytearray()
        self._listener = asyncio.ensure_future(_gather(process.stderr, self._complaints))
        self._server: Advertisement | None = None

    async def advertised(self) -> Advertisement:
        """See `Talk.advertised`."""
        if self._server is None:
            self._server = await read_advertisement(PktReader(self._pieces, limit=self._limits.ref_bytes))
        return self._server

    @asynccontextmanager
    async def ask(self, request: bytes, *, limit: int, then: BinaryIO | None = None) -> AsyncIterator[PktReader]:
        """See `Talk.ask`."""
        self._stdin.write(request)
        await self._stdin.drain()
        while then is not None and (piece := then.read(_PIECE_BYTES)):
            self._stdin.write(piece)
            await self._stdin.drain()
        yield PktReader(self._pieces, limit=limit)

    async def bid_farewell(self) -> None:
        """Tell the server that nothing more is wanted; one that is there ends then by itself."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._stdin.write(Mark.FLUSH.value)
            self._stdin.close()
            async with asyncio.timeout(_FAREWELL_S):
                await self._process.wait()

    async def last_words(self) -> str:
        """What the program, or the server behind it, complained of, once it ended; waits a little for that."""
        self._stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._process.wait()
                await self._listener
        return self._complaints.decode(errors="replace")

    async def end(self) -> None:
        """Leave no process behind."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener


async def _pieces(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await stream.read(_PIECE_BYTES):
        yield piece


async def _gather(stream: asyncio.StreamReader, into: bytearray) -> None:
    """Keep what is complained of up to a limit, and read on, so that nothing blocks."""
    async for piece in _pieces(stream):
        into += piece[: _LONGEST_COMPLAINT - len(into)]
