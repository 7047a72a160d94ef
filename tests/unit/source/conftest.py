"""A real remote repository, driven by the git command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.model.source_spec import SourceSpec
from reconciler.source.git_source import GitSource

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Upstream:
    """A repository with a work tree, as an administrator has it. ``served`` is the name of the bare one that servers have of it, if any."""

    def __init__(self, path: Path) -> None:
        self.path, self.served = path, ""
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, data: bytes | None = None, **variables: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**ENVIRONMENT, **variables},
            input=data,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="replace").strip()

    def write(self, name: str, text: str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, files: dict[str, str] | None = None, message: str = "change", **variables: str) -> str:
        for name, text in (files or {}).items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, **variables)
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, entries: list[tuple[str, str, str, bytes]], message: str = "crafted") -> str:
        """Commit a root tree of raw (mode, type, hash, name) entries on main, checked by nobody."""
        raw = b"".join(
            mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, _, oid, name in entries
        )
        tree = self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=raw)
        arguments = ["commit-tree", tree, "-m", message]
        if self.git("for-each-ref", "refs/heads/main"):
            arguments += ["-p", "main"]
        commit = self.git(*arguments)
        self.git("update-ref", "refs/heads/main", commit)
        return commit

    def blob(self, data: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", data=data)


class SteppedClock:
    """A second passes with each look."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time

    def monotonic(self) -> float:
        return self.now().timestamp()


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


@pytest.fixture
def make_source(tmp_path: Path, upstream: Upstream) -> Callable[..., GitSource]:
    def make(**changes: object) -> GitSource:
        of_source = {name: changes.pop(name) for name in ("clock", "limits", "state_directory") if name in changes}
        spec = SourceSpec(**{"url": str(upstream.path), **changes})
        return GitSource(spec, **{"state_directory": tmp_path / "state", "clock": SteppedClock(), **of_source})

    return make
