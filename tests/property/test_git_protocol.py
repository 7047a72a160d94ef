"""Whatever a Git server says, the reader ends with a value or says what is wrong; it never breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from reconciler.source.errors import UnreachableError
from reconciler.source.heads import Ref
from reconciler.source.pkt_line import Mark, PktReader
from reconciler.source.upload_pack import Advertisement, list_refs, pack_of, read_advertisement

HASH = "0123456789abcdef0123456789abcdef01234567"
LINES = st.sampled_from(
    [b"version 2\n", b"version 1\n", b"# service=git-upload-pack\n", b"packfile\n", b"NAK\n", b"ERR no\n", b"shallow-info\n",
     f"{HASH} refs/heads/main\n".encode(), f"{HASH} refs/tags/v1 peeled:{HASH}\n".encode(), b"\1PACK", b"\2words", b"\3no",
     f"{HASH} HEAD\0side-band-64k ofs-delta\n".encode(), f"{HASH} refs/tags/v1^{{}}\n".encode(), b"object-format=sha256\n"]
)  # fmt: skip
WORDS = st.one_of(
    st.builds(lambda data: b"%04x" % (len(data) + 4) + data, st.one_of(LINES, st.binary(max_size=60))),
    st.sampled_from([mark.value for mark in Mark]),
    st.binary(max_size=8),
)
SAID = st.lists(WORDS, max_size=12).map(b"".join)
CUTS = st.integers(min_value=1, max_value=40)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Recorded:
    """A conversation that was written down before."""

    def __init__(self, version: int, answer: bytes, size: int) -> None:
        self._server = Advertisement(
            version=version, capabilities=frozenset({"side-band-64k"}), refs=(Ref(name="x", oid=HASH),)
        )
        self._answer, self._size = answer, size

    async def advertised(self) -> Advertisement:
        return self._server

    @asynccontextmanager
    async def ask(self, request: bytes, *, limit: int) -> AsyncIterator[PktReader]:
        yield PktReader(pieces(self._answer, self._size), limit=limit)


async def everything(version: int, said: bytes, size: int) -> list[str]:
    """How each way of reading ends."""
    talk = Recorded(version, said, size)

    async def advertisement() -> object:
        return await read_advertisement(PktReader(pieces(said, size), limit=10_000))

    async def refs() -> object:
        return await list_refs(talk, "refs/", limit=10_000)

    async def pack() -> object:
        return [piece async for piece in pack_of(talk, HASH, [], limit=10_000)]

    ends = []
    for read in (advertisement, refs, pack):
        try:
            ends.append(repr(await read()))
        except UnreachableError as fault:
            ends.append(str(fault))
    return ends


@given(st.sampled_from([0, 2]), SAID, CUTS)
def test_reading_ends_in_one_way_however_it_is_cut_into_pieces(version: int, said: bytes, size: int) -> None:
    ends = asyncio.run(everything(version, said, size))
    assert all(ends)
    assert ends == asyncio.run(everything(version, said, len(said) or 1))


@given(SAID)
def test_nothing_is_read_beyond_the_limit(said: bytes) -> None:
    async def read() -> int:
        reader, count = PktReader(pieces(said, 7), limit=20), 0
        try:
            while True:
                data = await reader.next()
                count += len(data.value if isinstance(data, Mark) else data) + (0 if isinstance(data, Mark) else 4)
        except UnreachableError:
            return count

    assert asyncio.run(read()) <= 20
