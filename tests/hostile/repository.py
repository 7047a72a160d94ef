"""Repositories with anything in them: trees are written as bytes, checked by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pygit2
import yaml

FILE, LINK, SUBMODULE, TREE = b"100644", b"120000", b"160000", b"40000"
Entry = tuple[bytes, bytes, str]
"""Mode, name and object id."""


class Repository:
    """A bare repository in ``directory``, and the settings of a gitvirt that follows it on the simulated host."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.git = pygit2.init_repository(str(directory / "repo.git"), bare=True, initial_head="main")

    def blob(self, data: bytes) -> str:
        """The id of a file's content."""
        return str(self.git.create_blob(data))

    def tree(self, entries: Iterable[Entry]) -> str:
        """The id of a tree."""
        raw = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
        return self.raw_tree(raw)

    def raw_tree(self, data: bytes) -> str:
        """The id of a tree object with these bytes."""
        return str(self.git.odb.write(pygit2.enums.ObjectType.TREE, data))

    def commit(self, tree: str) -> None:
        """A commit on main, without parents."""
        who = pygit2.Signature("Mallory", "mallory@example.org", 1_700_000_000, 0)
        head = self.git.create_commit(None, who, who, "hostile", pygit2.Oid(hex=tree), [])
        self.git.references.create("refs/heads/main", head, force=True)

    def commit_files(self, files: Mapping[str, bytes], more: Iterable[Entry] = ()) -> None:
        """Files in one directory, and whatever else."""
        entries = [(FILE, name.encode(), self.blob(data)) for name, data in files.items()]
        self.commit(self.tree(sorted([*entries, *more], key=lambda entry: entry[1])))

    def settings(self) -> Path:
        """The settings file."""
        path = self.directory / "settings.yaml"
        body = {
            "owner": f"test-{self.directory.name}"[:63],
            "source": {"url": str(self.directory / "repo.git")},
            "stateDirectory": str(self.directory / "state"),
            "runtimeDirectory": str(self.directory / "run"),
            "keyFile": str(self.directory / "key"),
            "engine": {"simulated": None},
            "web": {"listen": "off"},
            "mode": "enforce",
        }
        path.write_text(yaml.safe_dump(body))
        return path
