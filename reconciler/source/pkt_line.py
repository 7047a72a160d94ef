"""Git's wire format: lines with their length before them, and marks between them.

Source: gitprotocol-common(5), gitprotocol-v2(5).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import Enum

from reconciler.source.errors import ServerError, UnreachableError

LONGEST_LINE = 65520
_LENGTH_DIGITS = 4
_HEX = frozenset(b"0123456789abcdefABCDEF")


class Mark(Enum):
    """What can stand in place of a line."""

    FLUSH = b"0000"
    DELIMITER = b"0001"
    RESPONSE_END = b"0002"


_MARKS = {mark.value: mark for mark in Mark}


def pkt(text: str) -> bytes:
    """A line as it is sent, with its line break."""
    return f"{len(text) + _LENGTH_DIGITS + 1:04x}{text}\n".encode("ascii")


class PktReader:
    """Reads lines from the pieces in which they arrive. ``limit`` bounds the bytes of everything; more is an error."""

    def __init__(self, pieces: AsyncIterator[bytes], *, limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self._received = 0
        self._buffer = bytearray()

    async def next(self) -> bytes | Mark:
        """The next line's bytes, or a mark.

        Raises:
            UnreachableError: the stream ends, is over the limit, is not in this format, or says that there is an error.
        """
        head = bytes(await self._take(_LENGTH_DIGITS))
        if head in _MARKS:
            return _MARKS[head]
        if not _HEX.issuperset(head) or not _LENGTH_DIGITS <= (length := int(head, 16)) <= LONGEST_LINE:
            raise UnreachableError("what it sends is not Git's protocol")
        return bytes(await self._take(length - _LENGTH_DIGITS))

    async def line(self) -> str | Mark:
        """The next line as text without its line break, or a mark. An error that the server reports is raised.

        Raises:
            UnreachableError: see `next`.
        """
        data = await self.next()
        if isinstance(data, Mark):
            return data
        text = data.decode(errors="replace").removesuffix("\n")
        if text.startswith("ERR "):
            raise ServerError(text.removeprefix("ERR "))
        return text

    async def drain(self) -> None:
        """Read what is left, so that a connection can be used again.

        Raises:
            UnreachableError: it is over the limit.
        """
        async for piece in self._pieces:
            self._count(piece)

    async def _take(self, size: int) -> bytearray:
        while len(self._buffer) < size:
            piece = await anext(self._pieces, b"")
            if not piece:
                raise UnreachableError("it hung up in the middle of its answer")
            self._count(piece)
            self._buffer += piece
        taken = self._buffer[:size]
        del self._buffer[:size]
        return taken

    def _count(self, piece: bytes) -> None:
        self._received += len(piece)
        if self._received > self._limit:
            raise UnreachableError(f"it sent more than the limit of {self._limit} bytes and was cut off")
