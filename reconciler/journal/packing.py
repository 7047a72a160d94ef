"""Gathers the journal's objects into packs now and then: history grows for years, a file for each object does not do.

Objects are removed only after the pack that holds them is on disk, so a crash leaves them twice, and a writer at the same
time finds every object in one place or the other.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pygit2

from reconciler.loose_objects import LooseObjects

LOOSE_LIMIT = 2000
PACKS_LIMIT = 20
_MERGED_OBJECTS = 50_000
"""Packs of more objects are left as they are, so that one run takes seconds, however long the history is."""
_INDEX_HEADER, _FANOUT_BYTES, _ID_BYTES = 8, 1024, 20


def pack_objects(path: Path, *, packs_limit: int = PACKS_LIMIT) -> None:
    """Pack all loose objects of the repository at ``path``; and its small packs into one, where there are many.

    Raises:
        pygit2.GitError, OSError, KeyError, CutOffError: an object cannot be read or the pack not written; nothing is lost.
    """
    directory = path / "objects" / "pack"
    for left in directory.glob("pack_git2_*"):
        left.unlink(missing_ok=True)
    loose = loose_objects(path)
    before = set(directory.glob("*.idx"))
    merged: dict[Path, list[bytes]] = {}
    if len(before) >= packs_limit:
        contents = {index: objects_of_index(index) for index in sorted(before)}
        merged = {index: objects for index, objects in contents.items() if len(objects) <= _MERGED_OBJECTS}
    LooseObjects(path).require_whole()
    repository = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.BARE)
    builder = pygit2.PackBuilder(repository)
    for name in loose:
        builder.add(pygit2.Oid(hex=name))
    for oid in {oid for objects in merged.values() for oid in objects}:
        builder.add(pygit2.Oid(raw=oid))
    if not len(builder):
        return
    builder.write()
    for name in loose:
        (path / "objects" / name[:2] / name[2:]).unlink(missing_ok=True)
    if set(directory.glob("*.idx")) - before:
        for index in merged:
            # The index goes first: a pack without one is invisible, an index without a pack is an error.
            index.unlink(missing_ok=True)
            index.with_suffix(".pack").unlink(missing_ok=True)


def loose_objects(path: Path) -> list[str]:
    """The hashes of the objects that are files of their own."""
    names = (entry for entry in (path / "objects").glob("[0-9a-f][0-9a-f]/*") if len(entry.name) == 38)
    return [entry.parent.name + entry.name for entry in names]


def objects_of_index(index: Path) -> list[bytes]:
    """The object ids (20 bytes each) of a pack's index, version 2."""
    data = index.read_bytes()
    (count,) = struct.unpack_from(">I", data, _INDEX_HEADER + _FANOUT_BYTES - 4)
    start = _INDEX_HEADER + _FANOUT_BYTES
    return [data[at : at + _ID_BYTES] for at in range(start, start + count * _ID_BYTES, _ID_BYTES)]
