"""Looks at an image that a stranger made, before anything else reads it: bounded in time and memory, and strict.

An image that names another file (a backing file, a data file) would make QEMU open that file on this host; one that
claims a huge size would fill it.

Source: qemu-img(1), ``info --output=json``; QEMU's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeexec.libvirt.settings import ImportLimits
from nodeexec.libvirt.volume_files import VolumeError, run_tool

_VMDK_DESCRIPTOR = b"# Disk DescriptorFile"
FORMATS = ("qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc")


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
    with path.open("rb") as file:
        if file.read(len(_VMDK_DESCRIPTOR)) == _VMDK_DESCRIPTOR:
            raise BadImageError("the image is a VMDK description that names other files; publish one monolithic file")
    command = [
        "prlimit", f"--as={limits.inspect_memory_bytes}", f"--cpu={int(limits.inspect_timeout_s)}", "--core=0",
        "qemu-img", "info", "--output=json", str(path),
    ]  # fmt: skip
    said = run_tool(command, "looking at the image", timeout_s=limits.inspect_timeout_s)
    try:
        facts: Mapping[str, Any] = json.loads(said)
        format_name, size_bytes = str(facts["format"]), int(facts["virtual-size"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadImageError("the image cannot be understood: qemu-img gave no sizes") from error
    if format_name not in FORMATS:
        raise BadImageError(f"the image has format {format_name!r}; supported are {', '.join(FORMATS)}")
    _refuse_references(facts)
    if not 0 < size_bytes <= limits.max_content_bytes:
        raise BadImageError(
            f"the image says it is a disk of {size_bytes} bytes; the limit is {limits.max_content_bytes}"
        )
    return ImageFacts(format=format_name, size_bytes=size_bytes)


def _refuse_references(facts: Mapping[str, Any]) -> None:
    """Nothing of the image may stand in another file."""
    specific = (facts.get("format-specific") or {}).get("data") or {}
    if facts.get("backing-filename") or facts.get("full-backing-filename"):
        raise BadImageError(
            "the image has a backing file; publish a stand-alone one (qemu-img convert -O qcow2 IMAGE STANDALONE)"
        )
    if specific.get("data-file") or specific.get("data-file-raw"):
        raise BadImageError("the image keeps its data in another file; publish a stand-alone one (qemu-img convert)")
    if facts.get("encrypted"):
        raise BadImageError("the image is encrypted; publish a plain one")
