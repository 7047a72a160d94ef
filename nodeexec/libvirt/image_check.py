"""Looks at an image that a stranger made, before anything else reads it: bounded in time and memory, and strict.

Its own header is read first (`image_header`), because QEMU opens the files that an image names while it looks. Only an image that
names none comes before ``qemu-img``, which is told the format, sees no network, and has bounds on memory and CPU time.

Source: qemu-img(1), ``info --output=json``; prlimit(1); setpriv(1); unshare(1).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, run
from typing import Any

from nodeexec.libvirt.image_header import BadHeaderError, format_of
from nodeexec.libvirt.settings import ImportLimits
from nodeexec.libvirt.volume_files import VolumeError, run_tool

_SECTOR = 512


class BadImageError(VolumeError):
    """The image will not be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """``size_bytes`` is the disk's size as a guest would see it."""

    format: str
    size_bytes: int


def inspect_image(path: Path, limits: ImportLimits) -> ImageFacts:
    """What kind of image it is.

    Raises:
        BadImageError: it is refused.
        VolumeError: ``qemu-img`` could not look at it within its bounds.
    """
    try:
        format_name = format_of(path)
    except BadHeaderError as error:
        raise BadImageError(f"the image is refused: {error}") from error
    size_bytes = _sectors(path) if format_name == "raw" else _virtual_size(path, format_name, limits)
    if not 0 < size_bytes <= limits.max_content_bytes:
        raise BadImageError(
            f"the image says it is a disk of {size_bytes} bytes; the limit is {limits.max_content_bytes}"
        )
    return ImageFacts(format=format_name, size_bytes=size_bytes)


def bounded(command: list[str], *, memory_bytes: int, cpu_s: int = 0) -> list[str]:
    """The command with bounds: address space, CPU time (0 = none), no core dump, no network where this user may say so, and no longer
    life than that of the thread that starts it: a killed gitvirt leaves nobody behind that reads and writes images.
    """
    bounds = [f"--as={memory_bytes}", "--core=0", *([f"--cpu={cpu_s}"] if cpu_s else [])]
    alone = ["unshare", "--net"] if _can_unshare() else []
    return ["setpriv", "--pdeathsig=KILL", "prlimit", *bounds, *alone, *command]


def _sectors(path: Path) -> int:
    """A raw file's size as a disk: whole sectors."""
    return -(-path.stat().st_size // _SECTOR) * _SECTOR


def _virtual_size(path: Path, format_name: str, limits: ImportLimits) -> int:
    command = bounded(
        ["qemu-img", "info", "--output=json", "-f", format_name, str(path)],
        memory_bytes=limits.inspect_memory_bytes,
        cpu_s=int(limits.inspect_timeout_s),
    )
    said = run_tool(command, "looking at the image", timeout_s=limits.inspect_timeout_s)
    try:
        facts: Mapping[str, Any] = json.loads(said)
        size_bytes = int(facts["virtual-size"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadImageError("the image cannot be understood: qemu-img gave no sizes") from error
    _refuse_references(facts)
    return size_bytes


def _refuse_references(facts: Mapping[str, Any]) -> None:
    """The same questions to QEMU, should it read a header otherwise than gitvirt does."""
    specific = (facts.get("format-specific") or {}).get("data") or {}
    if facts.get("backing-filename") or facts.get("full-backing-filename"):
        raise BadImageError("the image has a backing file; publish a stand-alone one (qemu-img convert)")
    if specific.get("data-file") or specific.get("data-file-raw"):
        raise BadImageError("the image keeps its data in another file; publish a stand-alone one (qemu-img convert)")
    if facts.get("encrypted"):
        raise BadImageError("the image is encrypted; publish a plain one")


@cache
def _can_unshare() -> bool:
    """Whether this process may give a child a network of its own: root may, in most containers too."""
    if os.geteuid() != 0:
        return False
    try:
        return (
            run(["unshare", "--net", "true"], stdin=DEVNULL, capture_output=True, timeout=10, check=False).returncode
            == 0
        )
    except OSError:
        return False
