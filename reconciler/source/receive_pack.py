"""What a client says to ``git receive-pack`` and what it hears: one ref forward, with the pack that it needs.

Source: gitprotocol-pack(5), "Pushing Data To a Server"; gitprotocol-capabilities(5).
"""

from __future__ import annotations

from typing import BinaryIO

from reconciler.source.errors import ServerError, UnreachableError
from reconciler.source.pkt_line import Mark, PktReader, pkt
from reconciler.source.upload_pack import AGENT, Talk

NO_HASH = "0" * 40
_REPORT = "report-status"
_MOST_REPORT_BYTES = 64 * 1024


async def stands_at(talk: Talk, ref: str) -> str:
    """The commit of a ref of the server; empty where there is no such ref.

    Raises:
        UnreachableError: it is no server that can be spoken with.
    """
    server = await talk.advertised()
    return next((one.oid for one in server.refs if one.name == ref), "")


async def move_ref(talk: Talk, ref: str, *, before: str, after: str, pack: BinaryIO) -> None:
    """Have a ref moved, if it still stands at ``before`` (empty for a new one). There is no way to ask for more than that.

    Raises:
        ServerError: it refuses; the text is the server's.
        UnreachableError: no answer that can be used.
    """
    server = await talk.advertised()
    if _REPORT not in server.capabilities:
        raise UnreachableError("it does not say whether it takes what is sent (report-status)")
    line = f"{before or NO_HASH} {after} {ref}\0 {_REPORT} {AGENT}"
    async with talk.ask(pkt(line) + Mark.FLUSH.value, limit=_MOST_REPORT_BYTES, then=pack) as reader:
        await _read_report(reader, ref)


async def _read_report(reader: PktReader, ref: str) -> None:
    unpacked = await reader.line()
    if unpacked != "unpack ok":
        raise ServerError(f"it could not store it ({str(unpacked).removeprefix('unpack ')})")
    said = ""
    while isinstance(line := await reader.line(), str):
        said = said or line
    if said != f"ok {ref}":
        raise ServerError(f"it refuses to move {ref} ({said.removeprefix(f'ng {ref}').strip() or 'no reason given'})")
