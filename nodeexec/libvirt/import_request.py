"""What is wanted of a volume in the making, as it is kept in ``request.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks, from_json, to_json
from nodeexec.libvirt.volume_files import sync_directory
from nodeexec.libvirt.volume_marks import source_data, source_from
from reconciler.model.keys import ObjectKey
from reconciler.model.resolved import VolumeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """A volume in the making. ``copy_from`` is the file of a clone, as (pool, volume)."""

    key: ObjectKey
    volume: str
    format: str
    size_bytes: int
    source: VolumeSource
    storage_class: str
    marks: DomainMarks
    copy_from: tuple[str, str] | None = None
    encrypted: bool = False


def load_request(directory: Path) -> dict[str, Any] | None:
    """What was written down in a directory of a volume in the making; None when there is nothing.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    try:
        data = json.loads((directory / "request.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(data, dict):
        raise ValueError(f"{directory}/request.json is damaged")
    return data


def store_request(directory: Path, data: Mapping[str, Any]) -> None:
    """Write it down, whole or not at all.

    Raises:
        OSError: the disk is full.
    """
    fresh = directory / ".request.json.new"
    with fresh.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        json.dump(data, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / "request.json")
    sync_directory(directory)


def same_wish(known: ImportRequest, wanted: ImportRequest) -> bool:
    """Whether the work under way is the one that is asked for; only the times in the marks may differ."""
    return replace(known, marks=wanted.marks) == wanted and known.marks.marks.applied == wanted.marks.marks.applied


def as_data(request: ImportRequest) -> dict[str, Any]:
    """The request as JSON keeps it."""
    return {
        "key": str(request.key),
        "volume": request.volume,
        "format": request.format,
        "size_bytes": request.size_bytes,
        "source": source_data(request.source),
        "storage_class": request.storage_class,
        "marks": to_json(request.marks),
        "copy_from": list(request.copy_from) if request.copy_from else None,
        "encrypted": request.encrypted,
    }


def request_from(data: Mapping[str, Any]) -> ImportRequest:
    """The request that `as_data` wrote.

    Raises:
        ValueError: it is damaged.
    """
    try:
        marks = from_json(data["marks"])
        if isinstance(marks, UnreadableMarks):
            raise ValueError(marks.reason)
        copy_from = data.get("copy_from")
        return ImportRequest(
            key=ObjectKey.parse(data["key"]),
            volume=str(data["volume"]),
            format=str(data["format"]),
            size_bytes=int(data["size_bytes"]),
            source=source_from(data["source"]),
            storage_class=str(data["storage_class"]),
            marks=marks,
            copy_from=(str(copy_from[0]), str(copy_from[1])) if copy_from else None,
            encrypted=data.get("encrypted") is True,
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"the request of a volume in the making is damaged: {error}") from error
