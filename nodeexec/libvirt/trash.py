"""The trash: dated directories that keep what was deleted until somebody empties them by name.

``<pool>/.gitvirt/trash/<ITEM>/`` has ``item.json``, written first, and the files, moved in by rename. An item whose file is
not there was never finished (or was taken back) and is not listed. ``age.json`` notes how long it was seen to lie there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodeexec.kernel_times import kernel_time_data, kernel_time_from
from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks, from_json, to_json
from nodeexec.libvirt.pool_lock import busy
from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.volume_files import VolumeError, VolumeFile, put_in_place, sync_directory
from nodeexec.libvirt.volume_marks import source_data, source_from, source_of, storage_class_of
from nodeexec.libvirt.volume_sidecars import forget_sidecar
from nodeexec.trash_age import TrashAge, age_data, age_from
from reconciler.model.keys import ObjectKey
from reconciler.model.live import TrashItem
from reconciler.model.moment import KernelTime, Moment

DEFINITION = "definition.xml"
NVRAM = "nvram.fd"
TPM = "tpm"
AGE = "age.json"
_ITEM_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z_[A-Za-z]+_[a-z0-9.-]*_[a-z0-9.-]+(?:_[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredItem:
    """A trash item and its directory. ``volume`` is the file name of a claim's volume, empty for a VM. ``age`` is what was
    noted of how long it was seen to lie there, ``trashed`` when it was deleted, by the kernel's clock.
    """

    facts: TrashItem
    directory: Path
    volume: str
    marks: DomainMarks | None
    age: TrashAge | None = None
    trashed: KernelTime | None = None

    @property
    def file(self) -> Path:
        """What has to be there for the item to count."""
        return self.directory / (self.volume or DEFINITION)


def is_item_name(item: str) -> bool:
    """Whether it could be the name of an item (and so is no path)."""
    return _ITEM_NAME.fullmatch(item) is not None


def list_items(pool: Pool) -> tuple[StoredItem, ...]:
    """All items of a pool, sorted by name.

    Raises:
        OSError: the trash cannot be listed.
        ValueError: an item is damaged.
    """
    base = pool.existing_private("trash")
    if base is None:
        return ()
    found = (_read(pool, path) for path in sorted(base.iterdir()) if is_item_name(path.name))
    return tuple(item for item in found if item is not None)


def find_item(pool: Pool, item: str) -> StoredItem | None:
    """One item by name.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    base = pool.existing_private("trash")
    return _read(pool, base / item) if base is not None and is_item_name(item) else None


def trash_volume(pool: Pool, key: ObjectKey, volume: VolumeFile, revision: str, now: Moment) -> TrashItem:
    """Move a claim's volume into the trash.

    Raises:
        VolumeError: the pool refuses.
    """
    marks = volume.marks if isinstance(volume.marks, DomainMarks) else None
    if marks is None:
        raise VolumeError(f"{volume.path} has no readable marks of gitvirt; it is not touched")
    facts = TrashItem(
        item="",
        key=key,
        owner=marks.marks.owner,
        trashed_at=now.at,
        pool=pool.name,
        size_bytes=volume.size_bytes,
        source=source_of(marks),
        storage_class=storage_class_of(marks),
        format=volume.format,
        revision=revision,
        applied=marks.marks.applied,
    )
    try:
        with busy(pool):
            directory, facts = _new_item(pool, facts, volume.name, marks, now)
            volume.path.rename(directory / volume.name)
            sync_directory(directory)
            sync_directory(pool.target)
    except OSError as error:
        raise VolumeError(f"moving {volume.path} to the trash: {error.strerror}") from error
    forget_sidecar(pool, volume.name)
    return facts


def trash_definition(
    pool: Pool, facts: TrashItem, marks: DomainMarks | None, xml: str, nvram: Path | None, tpm: Path | None, now: Moment
) -> TrashItem:
    """Keep a VM's definition, and copies of its firmware variables and TPM state.

    Raises:
        VolumeError: the pool refuses, or the state cannot be read.
    """
    try:
        with busy(pool):
            directory, facts = _new_item(pool, facts, "", marks, now)
            if nvram is not None and nvram.exists():
                shutil.copyfile(nvram, directory / NVRAM)
                _sync_file(directory / NVRAM)
            if tpm is not None and tpm.is_dir():
                shutil.copytree(tpm, directory / TPM)
            fresh = directory / f".{DEFINITION}.new"
            fresh.write_text(xml, encoding="utf-8")
            fresh.chmod(0o600)
            _sync_file(fresh)
            fresh.replace(directory / DEFINITION)
            sync_directory(directory)
    except OSError as error:
        raise VolumeError(f"keeping the definition of {facts.key} in the trash: {error}") from error
    return facts


def take_back(pool: Pool, item: StoredItem, name: str, marks: DomainMarks) -> None:
    """Put an item's volume back under ``name``, with ``marks``.

    Raises:
        NameTakenError: a file has the name.
        VolumeError: the pool refuses.
    """
    try:
        with busy(pool):
            put_in_place(pool, item.file, name, marks)
            remove_item(item)
    except OSError as error:
        raise VolumeError(f"taking {item.facts.item} out of the trash: {error.strerror}") from error


def destroy_item(pool: Pool, item: StoredItem) -> None:
    """Remove an item for good while nobody sweeps up, who would take what is left of it halfway for a left-over.

    Raises:
        VolumeError: the pool refuses.
    """
    try:
        with busy(pool):
            remove_item(item)
    except OSError as error:
        raise VolumeError(f"removing {item.directory}: {error.strerror}") from error


def remove_item(item: StoredItem) -> None:
    """Remove an item and all that is in it, for good.

    Raises:
        VolumeError: the pool refuses.
    """
    try:
        with suppress(FileNotFoundError):
            item.file.unlink()
        shutil.rmtree(item.directory)
    except OSError as error:
        raise VolumeError(f"removing {item.directory}: {error.strerror}") from error


def write_age(item: StoredItem, age: TrashAge) -> None:
    """Note how long an item was seen to lie there, in the place of an earlier note.

    Raises:
        OSError: the pool refuses.
    """
    fresh = item.directory / f".{AGE}.new"
    fresh.write_text(json.dumps(age_data(age), sort_keys=True), encoding="utf-8")
    fresh.chmod(0o600)
    _sync_file(fresh)
    fresh.replace(item.directory / AGE)


def _read_age(directory: Path) -> TrashAge | None:
    """A note that is not there or makes no sense says nothing."""
    try:
        return age_from(json.loads((directory / AGE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None


def _new_item(
    pool: Pool, facts: TrashItem, volume: str, marks: DomainMarks | None, now: Moment
) -> tuple[Path, TrashItem]:
    """The directory with its item.json, under a name that no item has."""
    base = pool.private("trash")
    stem = f"{facts.trashed_at.astimezone(UTC):%Y%m%dT%H%M%SZ}_{facts.key.kind}_{facts.key.namespace}_{facts.key.name}"
    for number in range(1, 1000):
        name = stem if number == 1 else f"{stem}_{number}"
        try:
            (base / name).mkdir(mode=0o700)
        except FileExistsError:
            continue
        data = {
            "version": 1,
            "key": str(facts.key),
            "owner": facts.owner,
            "trashed_at": facts.trashed_at.astimezone(UTC).isoformat(),
            "trashed_by_kernel": kernel_time_data(now),
            "size_bytes": facts.size_bytes,
            "source": source_data(facts.source) if facts.source else None,
            "storage_class": facts.storage_class,
            "format": facts.format,
            "revision": facts.revision,
            "applied": dict(facts.applied) if facts.applied is not None else None,
            "volume": volume,
            "marks": to_json(marks) if marks is not None else None,
        }
        _write_facts(base / name, data)
        sync_directory(base)
        return base / name, _facts(pool, name, data, marks)
    raise VolumeError(f"the trash of pool {pool.name} has a thousand items named {stem}; empty it")


def _write_facts(directory: Path, data: Mapping[str, Any]) -> None:
    """Whole or not at all: half an item.json would make the whole trash unreadable.

    Raises:
        OSError: the pool refuses; the directory is gone again.
    """
    fresh = directory / ".item.json.new"
    try:
        fresh.write_text(json.dumps(data, sort_keys=True, indent=1), encoding="utf-8")
        fresh.chmod(0o600)
        _sync_file(fresh)
        fresh.replace(directory / "item.json")
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _read(pool: Pool, directory: Path) -> StoredItem | None:
    item = _read_any(pool, directory)
    return item if item is not None and _counts(pool, item) else None


def _read_any(pool: Pool, directory: Path) -> StoredItem | None:
    try:
        text = (directory / "item.json").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        data = json.loads(text)
        read = from_json(data["marks"]) if data.get("marks") else None
        marks = None if isinstance(read, UnreadableMarks) else read
        volume = str(data.get("volume", ""))
        return StoredItem(
            facts=_facts(pool, directory.name, data, marks),
            directory=directory,
            volume=pool.path(volume).name if volume else "",
            marks=marks,
            age=_read_age(directory),
            trashed=kernel_time_from(data.get("trashed_by_kernel")),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{directory / 'item.json'} is damaged ({error}), so nobody knows what the trash holds there; put it right, or move "
            "the directory out of the trash"
        ) from error


def _counts(pool: Pool, item: StoredItem) -> bool:
    """Whether its file is there, and is not the one that was put back already."""
    try:
        kept = item.file.lstat()
    except FileNotFoundError:
        return False
    if not item.volume:
        return True
    try:
        back = pool.path(item.volume).lstat()
    except FileNotFoundError:
        return True
    return (kept.st_dev, kept.st_ino) != (back.st_dev, back.st_ino)


def remove_unfinished(pool: Pool, owner: str) -> Iterator[str]:
    """Remove directories of the owner that a crash left without their file, and those of which nobody can tell whose they were;
    their names. Nobody may be making an item meanwhile.

    Raises:
        OSError: one cannot be removed.
    """
    base = pool.existing_private("trash")
    for directory in sorted(base.iterdir()) if base is not None else ():
        if not is_item_name(directory.name):
            continue
        with suppress(ValueError):
            item = _read_any(pool, directory)
            if item is None or (item.facts.owner == owner and not _counts(pool, item)):
                shutil.rmtree(directory)
                yield directory.name


def _facts(pool: Pool, name: str, data: Mapping[str, Any], marks: DomainMarks | None) -> TrashItem:
    return TrashItem(
        item=name,
        key=ObjectKey.parse(data["key"]),
        owner=str(data["owner"]),
        trashed_at=datetime.fromisoformat(data["trashed_at"]),
        pool=pool.name,
        size_bytes=int(data.get("size_bytes", 0)),
        source=source_from(data["source"]) if data.get("source") else None,
        storage_class=str(data.get("storage_class", "")),
        format=str(data.get("format", "")),
        revision=str(data.get("revision", "")),
        applied=data.get("applied"),
        host=marks.marks.host if marks is not None else "",
    )


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
