"""Manifests for the commands that need no daemon: from a file, a directory, ``REPO@REV[:PATH]`` or standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import escaped
from reconciler.model.revision import Revision
from reconciler.source.limits import DEFAULT_LIMITS, SourceLimits
from reconciler.source.manifest_names import is_manifest

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
            return Input(files=((shown_path(argument), lambda: _file(path, limits)),))
    except OSError as fault:
        raise SourceError(f"{shown_path(argument)} cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise SourceError(f"{shown_path(argument)!r} cannot be a path: {fault}") from fault
    at = argument.find("@")
    while at >= 0:
        repository = Path(argument[:at] or ".")
        if repository.is_dir():
            from reconciler.source.local_trees import open_tree  # noqa: PLC0415  (brings libgit2 along)

            return open_tree(repository, argument[at + 1 :], limits=limits)
        at = argument.find("@", at + 1)
    raise SourceError(f"{shown_path(argument)} does not exist: name a file, a directory, REPO@REVISION, or - for stdin")


def _directory(root: Path, limits: SourceLimits) -> Input:
    """Manifests below a directory. Links to files inside it are followed; a link to a directory inside it adds nothing
    that is not found anyway.
    """
    files: list[tuple[str, Reading]] = []
    refused: list[tuple[str, str]] = []
    inside = root.resolve()
    for path in _walk(root):
        name = shown_path(str(path))
        if reason := _refusal(path, inside):
            refused.append((name, reason))
        elif is_manifest(path.name):
            files.append((name, _file_reader(path, limits)))
    if len(files) > limits.files:
        raise SourceError(f"{shown_path(str(root))} holds more than {limits.files} manifest files")
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
            raise SourceError(f"{shown_path(str(directory))} cannot be read: {fault.strerror}") from fault
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
        return f"it is a symbolic link out of the directory, to {shown_path(str(target))}"
    if is_manifest(path.name) and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return "it is not a regular file"
    return ""


def _file(path: Path, limits: SourceLimits) -> bytes:
    try:
        with path.open("rb") as stream:
            return _bounded(stream, shown_path(str(path)), limits)
    except OSError as fault:
        raise SourceError(f"{shown_path(str(path))} cannot be read: {fault.strerror}") from fault


def _bounded(stream: BinaryIO, name: str, limits: SourceLimits) -> bytes:
    data = stream.read(limits.blob_bytes + 1)
    if len(data) > limits.blob_bytes:
        raise SourceError(f"{name} has more than {limits.blob_bytes} bytes, the limit of one manifest file")
    return data


def shown_path(text: str) -> str:
    """A path as text that can be shown, whatever its bytes are; unchanged when that is harmless."""
    return escaped(text) if escaped(text).replace("\\\\", "\\") != text else text
