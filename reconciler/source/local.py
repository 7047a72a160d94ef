"""Manifests for the commands that need no daemon: from a file, a directory, ``REPO@REV[:PATH]`` or standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pygit2

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import escaped, one_line
from reconciler.model.revision import Revision
from reconciler.source.commits import revision_of
from reconciler.source.limits import DEFAULT_LIMITS, SourceLimits
from reconciler.source.mirror import prepare_libgit2
from reconciler.source.trees import TreeReader, is_manifest

STDIN_NAME = "<stdin>"
Reading = Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What an argument names. ``files`` are (name to show, how to read it), sorted by name; ``refused`` are
    (name, reason) of manifests that are there and are not read; ``revision`` is set for ``REPO@REV``.
    """

    files: tuple[tuple[str, Reading], ...]
    refused: tuple[tuple[str, str], ...] = ()
    revision: Revision | None = None


def read_input(
    argument: str, refused: Callable[[str, str], None] | None = None, *, limits: SourceLimits = DEFAULT_LIMITS
) -> Iterator[tuple[str, bytes]]:
    """(file, bytes) of everything that an argument names, one file at a time.

    ``refused`` is called first with (file, reason) of each manifest that is not read; without it there must be none.

    Raises:
        SourceError: nothing is there, it cannot be read, or something is refused and nobody listens.
    """
    found = open_input(argument, limits=limits)
    for name, reason in found.refused:
        if refused is None:
            raise SourceError(f"{name} is not read: {reason}")
        refused(name, reason)
    for name, read in found.files:
        yield name, read()


def open_input(argument: str, *, limits: SourceLimits = DEFAULT_LIMITS, stdin: BinaryIO | None = None) -> Input:
    """What an argument names, listed and not yet read. A path that exists is a path, whatever stands in its name.

    Raises:
        SourceError: nothing of that name can be read.
    """
    if argument == "-":
        stream = stdin or sys.stdin.buffer
        return Input(files=((STDIN_NAME, lambda: _bounded(stream, STDIN_NAME, limits)),))
    path = Path(argument)
    try:
        if path.is_dir():
            return _directory(path, limits)
        if path.exists():
            return Input(files=((_shown(argument), lambda: _file(path, limits)),))
    except OSError as fault:
        raise SourceError(f"{_shown(argument)} cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise SourceError(f"{_shown(argument)!r} cannot be a path: {fault}") from fault
    at = argument.find("@")
    while at >= 0:
        repository = Path(argument[:at] or ".")
        if repository.is_dir():
            return open_tree(repository, argument[at + 1 :], limits=limits)
        at = argument.find("@", at + 1)
    raise SourceError(f"{_shown(argument)} does not exist: name a file, a directory, REPO@REVISION, or - for stdin")


def open_tree(repository: Path, revision: str, *, limits: SourceLimits = DEFAULT_LIMITS) -> Input:
    """The manifests of ``REVISION`` or ``REVISION:PATH`` in a repository, bare or not; a directory inside a work tree
    stands for that directory of the revision. Names are paths below the repository's root.

    Raises:
        SourceError: no repository, no such revision or path, or it is over a limit.
    """
    prepare_libgit2()
    spec, _, below = revision.partition(":")
    shown = f"{_shown(str(repository))}@{_shown(revision)}"
    try:
        found = pygit2.discover_repository(str(repository))
        if found is None:
            raise SourceError(f"{_shown(str(repository))} is not in a Git repository")
        opened = pygit2.Repository(found)
        commit = opened.revparse_single(spec or "HEAD").peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError) as fault:
        raise SourceError(
            f"{shown}: there is no revision {_shown(spec)!r} ({one_line(str(fault))}): "
            "name a branch, a tag or a commit of that repository"
        ) from fault
    inside = _inside(repository, opened) if not below else ()
    parts = inside + tuple(part.encode(errors="surrogateescape") for part in below.split("/") if part not in ("", "."))
    reader = TreeReader(opened, limits)
    listing = reader.list(
        reader.find(commit.tree_id.raw, parts),
        "".join(f"{part.decode(errors='backslashreplace')}/" for part in parts),
    )
    files = tuple((name, _blob_reader(opened, name, blob)) for name, blob in listing.files.items())
    return Input(files=files, refused=tuple(listing.refused.items()), revision=revision_of(commit))


def _blob_reader(repository: pygit2.Repository, name: str, blob: str) -> Reading:
    def read() -> bytes:
        try:
            return repository.odb.read(pygit2.Oid(hex=blob))[1]
        except (KeyError, pygit2.GitError) as fault:
            raise SourceError(f"{name} cannot be read from the repository: {one_line(str(fault))}") from fault

    return read


def _inside(directory: Path, repository: pygit2.Repository) -> tuple[bytes, ...]:
    """Where a directory lies in its repository's work tree; nowhere when it is the repository itself."""
    if not repository.workdir:
        return ()
    work_tree, wanted = Path(repository.workdir).resolve(), directory.resolve()
    if not wanted.is_relative_to(work_tree) or wanted.is_relative_to(Path(repository.path).resolve()):
        return ()
    return tuple(os.fsencode(part) for part in wanted.relative_to(work_tree).parts)


def _directory(root: Path, limits: SourceLimits) -> Input:
    """Manifests below a directory. Links to files inside it are followed; a link to a directory inside it adds nothing
    that is not found anyway.
    """
    files: list[tuple[str, Reading]] = []
    refused: list[tuple[str, str]] = []
    inside = root.resolve()
    for path in _walk(root):
        name = _shown(str(path))
        if reason := _refusal(path, inside):
            refused.append((name, reason))
        elif is_manifest(path.name):
            files.append((name, _file_reader(path, limits)))
    if len(files) > limits.files:
        raise SourceError(f"{_shown(str(root))} holds more than {limits.files} manifest files")
    return Input(files=tuple(sorted(files, key=lambda item: item[0])), refused=tuple(sorted(refused)))


def _file_reader(path: Path, limits: SourceLimits) -> Reading:
    return lambda: _file(path, limits)


def _walk(root: Path) -> Iterator[Path]:
    """Files and links below a directory, hidden ones left out, links not followed."""
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            entries: Iterable[os.DirEntry[str]] = list(os.scandir(directory))
        except OSError as fault:
            raise SourceError(f"{_shown(str(directory))} cannot be read: {fault.strerror}") from fault
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(directory / entry.name)
            else:
                yield directory / entry.name


def _refusal(path: Path, inside: Path) -> str:
    """Why something in a directory is not read; empty when it may be, or is no manifest."""
    try:
        link, target = path.is_symlink(), path.resolve(strict=True)
        kind = target.stat().st_mode
    except (OSError, RuntimeError) as fault:
        return f"it cannot be followed: {fault}" if path.is_symlink() or is_manifest(path.name) else ""
    if link and not target.is_relative_to(inside) and (is_manifest(path.name) or stat.S_ISDIR(kind)):
        return f"it is a symbolic link out of the directory, to {_shown(str(target))}"
    if is_manifest(path.name) and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return "it is not a regular file"
    return ""


def _file(path: Path, limits: SourceLimits) -> bytes:
    try:
        with path.open("rb") as stream:
            return _bounded(stream, _shown(str(path)), limits)
    except OSError as fault:
        raise SourceError(f"{_shown(str(path))} cannot be read: {fault.strerror}") from fault


def _bounded(stream: BinaryIO, name: str, limits: SourceLimits) -> bytes:
    data = stream.read(limits.blob_bytes + 1)
    if len(data) > limits.blob_bytes:
        raise SourceError(f"{name} has more than {limits.blob_bytes} bytes, the limit of one manifest file")
    return data


def _shown(text: str) -> str:
    """A path as text that can be shown, whatever its bytes are; unchanged when that is harmless."""
    return escaped(text) if escaped(text).replace("\\\\", "\\") != text else text
