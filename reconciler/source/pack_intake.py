"""Takes a pack from a stranger into the mirror: indexed by a bounded ``git index-pack`` in a place of its own, and moved
into the mirror only when it is whole and everything it speaks of is there.

Source: git-index-pack(1); receive-pack's quarantine, gitglossary and git-receive-pack(1).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from reconciler.model.plain_text import one_line
from reconciler.source.errors import UnreachableError
from reconciler.source.limits import SourceLimits

_QUARANTINE = "tmp_objdir-gitvirt-"
_LONGEST_COMPLAINT = 4096
_LINKS_ELSEWHERE = 1  # the pack refers to objects that the mirror has already
_SETTINGS = (
    "pack.threads=1",
    "core.bigFileThreshold=16m",
    "core.packedGitWindowSize=32m",
    "core.packedGitLimit=256m",
)


async def take_in(mirror: Path, pieces: AsyncIterator[bytes], limits: SourceLimits) -> None:
    """Store the pack that arrives in ``pieces`` in the bare repository ``mirror``.

    Raises:
        UnreachableError: it is damaged, incomplete or over a limit; nothing of it is kept.
        OSError: the disk cannot be written.
    """
    program = shutil.which("git")
    if program is None:
        raise UnreachableError("the program git is not on this machine: apt-get install git")
    objects = mirror / "objects"
    for left in objects.glob(f"{_QUARANTINE}*"):
        shutil.rmtree(left, ignore_errors=True)
    quarantine = objects / f"{_QUARANTINE}{uuid.uuid4().hex[:12]}"
    (quarantine / "pack").mkdir(parents=True, mode=0o700)
    try:
        await _index(program, mirror, quarantine, pieces, limits)
        _move(quarantine / "pack", objects / "pack")
    finally:
        shutil.rmtree(quarantine, ignore_errors=True)


async def _index(
    program: str, mirror: Path, quarantine: Path, pieces: AsyncIterator[bytes], limits: SourceLimits
) -> None:
    process = await asyncio.create_subprocess_exec(
        program,
        *(part for setting in _SETTINGS for part in ("-c", setting)),
        "index-pack",
        "--stdin",
        "--fix-thin",
        "--check-self-contained-and-connected",
        f"--max-input-size={limits.fetch_bytes}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "GIT_DIR": str(mirror),
            "GIT_OBJECT_DIRECTORY": str(quarantine),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(mirror / "objects"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_REPLACE_OBJECTS": "1",
        },
        start_new_session=True,
    )
    try:
        # It waits for its first byte, so the limits are there before anything of the stranger's is read.
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limits.index_memory_bytes,) * 2)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2 * limits.fetch_bytes,) * 2)
        await _feed(process, pieces)
        complaint = await _complaint(process)
        if await process.wait() not in (0, _LINKS_ELSEWHERE):
            raise UnreachableError(f"the pack that it sent is refused ({complaint or 'git index-pack was ended'})")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _feed(process: asyncio.subprocess.Process, pieces: AsyncIterator[bytes]) -> None:
    if process.stdin is None:
        raise AssertionError("git index-pack was started without pipes")
    # Who stops reading has said why on standard error.
    with contextlib.suppress(ConnectionError):
        async for piece in pieces:
            process.stdin.write(piece)
            await process.stdin.drain()
    process.stdin.close()


async def _complaint(process: asyncio.subprocess.Process) -> str:
    if process.stderr is None:
        raise AssertionError("git index-pack was started without pipes")
    kept = b""
    while piece := await process.stderr.read(_LONGEST_COMPLAINT):
        kept = (kept + piece)[:_LONGEST_COMPLAINT]
    return one_line(kept.decode(errors="replace").replace("fatal: ", ""), 200)


def _move(quarantine: Path, packs: Path) -> None:
    """The index last: a pack without one is not looked at."""
    packs.mkdir(exist_ok=True)
    for path in sorted(quarantine.iterdir(), key=lambda path: path.suffix == ".idx"):
        path.rename(packs / path.name)
    handle = os.open(packs, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
