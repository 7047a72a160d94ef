"""What a client says to ``git upload-pack`` and what it hears: protocol version 2, and version 0 for servers that are not
told of 2 (an sshd that does not pass ``GIT_PROTOCOL`` on).

Source: gitprotocol-v2(5), gitprotocol-pack(5), gitprotocol-capabilities(5).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from reconciler.model.plain_text import one_line
from reconciler.source.errors import NotGivenError, ServerError, UnreachableError
from reconciler.source.heads import Ref
from reconciler.source.pkt_line import Mark, PktReader, pkt

AGENT = "agent=git/gitvirt"
READ, WRITE = "git-upload-pack", "git-receive-pack"
"""What is asked of a server: to give, or to take."""

_HASH = re.compile(r"[0-9a-f]{40}")
_NO_HASH = "0" * 40
_DATA, _PROGRESS, _FATAL = 1, 2, 3
_PEELED = "^{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """What a server says first. ``refs`` are those of version 0; version 2 is asked for them."""

    version: int
    capabilities: frozenset[str]
    refs: tuple[Ref, ...] = ()

    def value(self, name: str) -> str:
        """What stands behind a capability; empty when it has nothing or is not there."""
        return next((text.partition("=")[2] for text in self.capabilities if text.startswith(f"{name}=")), "")


class Talk(Protocol):
    """One conversation with a server."""

    async def advertised(self) -> Advertisement:
        """What it said first."""
        ...

    def ask(
        self, request: bytes, *, limit: int, then: BinaryIO | None = None
    ) -> AbstractAsyncContextManager[PktReader]:
        """Send a request, and the rest of a file after it; its answer, of at most ``limit`` bytes."""
        ...


async def read_advertisement(reader: PktReader) -> Advertisement:
    """Parse what a server says first.

    Raises:
        UnreachableError: it is not a server that gitvirt can speak with.
    """
    first = await reader.line()
    if isinstance(first, str) and first.startswith("# service="):
        await reader.line()
        first = await reader.line()
    found = await (_version_2(reader) if first == "version 2" else _version_0(reader, first))
    if (found.value("object-format") or "sha1") != "sha1":
        raise UnreachableError("its objects are named by SHA-256, which gitvirt does not read yet")
    return found


async def _version_2(reader: PktReader) -> Advertisement:
    capabilities = [line async for line in _lines(reader)]
    return Advertisement(version=2, capabilities=frozenset(capabilities))


async def _version_0(reader: PktReader, first: str | Mark) -> Advertisement:
    line = await reader.line() if first == "version 1" else first
    capabilities: list[str] = []
    refs: dict[str, Ref] = {}
    while isinstance(line, str):
        line, nul, said = line.partition("\0")
        if nul:
            capabilities = said.split()
        oid, _, name = line.partition(" ")
        _refuse_shallow(line)
        _note(refs, _checked(oid), name)
        line = await reader.line()
    return Advertisement(version=0, capabilities=frozenset(capabilities), refs=tuple(refs.values()))


def _note(refs: dict[str, Ref], oid: str, name: str) -> None:
    if name.endswith(_PEELED):
        tag = refs.get(name.removesuffix(_PEELED))
        if tag is not None:
            refs[tag.name] = Ref(name=tag.name, oid=tag.oid, peeled=oid)
    elif oid != _NO_HASH:
        refs[name] = Ref(name=name, oid=oid)


async def list_refs(talk: Talk, prefix: str, *, limit: int) -> tuple[Ref, ...]:
    """The refs whose names begin with ``prefix``; an older server says all.

    Raises:
        UnreachableError: no answer that can be used.
    """
    server = await talk.advertised()
    if server.version != 2:
        return server.refs
    request = _command(server, "ls-refs", ["peel", f"ref-prefix {prefix}"])
    async with talk.ask(request, limit=limit) as reader:
        return tuple([_ref(line) async for line in _lines(reader) if not line.startswith("unborn ")])


def _ref(line: str) -> Ref:
    oid, _, rest = line.partition(" ")
    name, *attributes = rest.split(" ")
    peeled = next((text.removeprefix("peeled:") for text in attributes if text.startswith("peeled:")), "")
    return Ref(name=name, oid=_checked(oid), peeled=_checked(peeled) if peeled else "")


async def pack_of(talk: Talk, want: str, haves: Sequence[str], *, limit: int) -> AsyncGenerator[bytes, None]:
    """The pack with one object, its history and all that belongs to it, less what comes with ``haves``; in pieces.

    Raises:
        UnreachableError: no answer that can be used.
    """
    server = await talk.advertised()
    request = _fetch_2(server, want, haves) if server.version == 2 else _fetch_0(server, want, haves)
    async with talk.ask(request, limit=limit) as reader:
        if server.version == 2:
            await _skip_to_pack(reader)
        while (data := await reader.next()) is not Mark.FLUSH:
            piece = _piece(data)
            if piece:
                yield piece


def _fetch_2(server: Advertisement, want: str, haves: Sequence[str]) -> bytes:
    wishes = ["no-progress", "ofs-delta", "thin-pack", f"want {want}", *(f"have {oid}" for oid in haves), "done"]
    return _command(server, "fetch", wishes)


def _fetch_0(server: Advertisement, want: str, haves: Sequence[str]) -> bytes:
    known: Collection[str] = server.capabilities
    if "side-band-64k" not in known:
        raise UnreachableError("it is too old: it does not know side-band-64k (git 1.5 and newer do)")
    listed = {oid for ref in server.refs for oid in (ref.oid, ref.peeled)}
    if want not in listed and not {"allow-reachable-sha1-in-want", "allow-any-sha1-in-want"} & set(known):
        raise NotGivenError(f"it gives out only what its refs stand at, and none stands at {want[:12]}")
    wished = [name for name in ("side-band-64k", "ofs-delta", "thin-pack", "no-progress") if name in known]
    first = pkt(" ".join(["want", want, *wished, AGENT]))
    return b"".join([first, Mark.FLUSH.value, *(pkt(f"have {oid}") for oid in haves), pkt("done")])


async def _skip_to_pack(reader: PktReader) -> None:
    while (line := await reader.line()) != "packfile":
        if line is Mark.FLUSH:
            raise UnreachableError("it answered without a pack")
        if isinstance(line, str):
            _refuse_shallow(line)


def _refuse_shallow(line: str) -> None:
    if line.startswith("shallow "):
        raise UnreachableError("its repository is shallow: follow one that holds the whole history")


def _piece(data: bytes | Mark) -> bytes:
    """The pack's bytes of one line of the side band."""
    if isinstance(data, Mark):
        raise UnreachableError("its pack ends in the middle")
    band = data[0] if data else 0
    if band == _DATA:
        return data[1:]
    if band == _FATAL:
        raise ServerError(data[1:].decode(errors="replace"))
    if band == _PROGRESS or data.startswith((b"ACK ", b"NAK")):
        return b""
    if data.startswith(b"ERR "):
        raise ServerError(data[4:].decode(errors="replace"))
    raise UnreachableError("what it sends is not Git's protocol")


def _command(server: Advertisement, name: str, arguments: Sequence[str]) -> bytes:
    head = [f"command={name}", AGENT]
    if server.value("object-format"):
        head.append("object-format=sha1")
    return b"".join([*map(pkt, head), Mark.DELIMITER.value, *map(pkt, arguments), Mark.FLUSH.value])


async def _lines(reader: PktReader) -> AsyncIterator[str]:
    """Lines up to the next flush."""
    while isinstance(line := await reader.line(), str):
        yield line
    if line is not Mark.FLUSH:
        raise UnreachableError("what it sends is not Git's protocol")


def _checked(oid: str) -> str:
    if not _HASH.fullmatch(oid):
        raise UnreachableError(f"what it sends is not Git's protocol ({one_line(oid, 50)!r} is no hash)")
    return oid
