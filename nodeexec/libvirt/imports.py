"""Imports and clones: slow work that goes on in the background, one directory each, known by the volume's name.

``<pool>/.gitvirt/incoming/<volume>/`` holds ``request.json`` (what is wanted, with the marks to be; how it failed last),
``lock`` (held by the worker), and the bytes on their way. Everything that is observed comes from these files, so a
daemon that starts anew, or a command beside it, sees the same. Only a whole, checked image gets the final name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import libvirt
import structlog

from nodeexec.libvirt.disk_keys import DiskKeys
from nodeexec.libvirt.download import ImportFailedError, download, unpack
from nodeexec.libvirt.errors import translate
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.image_check import inspect_image
from nodeexec.libvirt.image_copy import ImageCopy, copy_image
from nodeexec.libvirt.import_request import ImportRequest, as_data, load_request, request_from, same_wish, store_request
from nodeexec.libvirt.import_turns import ImportTurns
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.pool_lock import busy
from nodeexec.libvirt.pools import Pool, Pools
from nodeexec.libvirt.settings import ImportLimits
from nodeexec.libvirt.volume_files import (
    VolumeError,
    VolumeFile,
    put_in_place,
    read_volume,
    resize_image,
)
from nodeexec.libvirt.volume_marks import storage_class_of
from reconciler.model.errors import EngineError
from reconciler.model.keys import ObjectKey
from reconciler.model.resolved import SourceAccess, SourceKind, VolumeSource
from reconciler.ports import Clock, Workers

_log = structlog.get_logger("gitvirt.libvirt")
_DISCARD_WAIT_S = 2.0
_DOWNLOAD_SHARE = 0.8


class _CancelledError(Exception):
    """The volume is not wanted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportState:
    """How far it is. ``phase`` is CDI's."""

    request: ImportRequest
    phase: str
    progress: float | None
    allocated_bytes: int
    reason: str = ""
    retry_at: datetime | None = None


class Imports:
    """Starts, resumes, watches and discards imports and clones."""

    def __init__(
        self, *, pools: Pools, events: EventStream, clock: Clock, workers: Workers, limits: ImportLimits, keys: DiskKeys
    ) -> None:
        self._pools = pools
        self._events = events
        self._clock = clock
        self._workers = workers
        self._limits = limits
        self._keys = keys
        self._turns = ImportTurns(limits.at_once, limits.at_once_a_host, events.emit)
        self._cancelled: set[str] = set()

    def begin(self, pool: Pool, request: ImportRequest, access: SourceAccess | None = None) -> bool:
        """Write down what is wanted and see that a worker is at it, or will be when it is its turn; True when the request is
        new. A worker that makes something else is told to stop; the next call starts another. ``access`` is what opens the
        source; it is never written down.

        Raises:
            VolumeError: the pool refuses.
        """
        directory = self._directory(pool, request.volume)
        try:
            with busy(pool):
                directory.mkdir(mode=0o700, exist_ok=True)
                known = load_request(directory)
                fresh = known is None or not same_wish(request_from(known), request)
                if fresh:
                    store_request(directory, as_data(request))
        except (OSError, ValueError) as error:
            raise VolumeError(f"writing {directory}: {error}") from error
        name = _worker_name(pool, request.volume)
        if self._workers.is_under_way(name):
            if fresh:
                self._cancelled.add(name)
            return fresh
        self._cancelled.discard(name)
        host = _host(request.source)
        if self._turns.take(request.key, host):
            self._workers.background(name, lambda: self._take_turn(pool, request.volume, host, access))
        return fresh

    def observe(self, pool: Pool) -> Iterator[ImportState]:
        """Every volume in the making of a pool.

        Raises:
            OSError: the directory cannot be listed.
            ValueError: a request is damaged.
        """
        base = pool.existing_private("incoming")
        if base is None:
            return
        for directory in sorted(base.iterdir()):
            state = self.state(pool, directory.name) if directory.is_dir() else None
            if state is not None:
                yield state

    def state(self, pool: Pool, volume: str) -> ImportState | None:
        """One volume in the making; None when there is none of the name.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        base = pool.existing_private("incoming")
        data = load_request(base / pool.path(volume).name) if base is not None else None
        if base is None or data is None:
            return None
        directory = base / volume
        request = request_from(data)
        at_work = self._workers.is_under_way(_worker_name(pool, volume)) or _is_locked(directory)
        reason, retry_at = str(data.get("reason", "")), data.get("retry_at")
        return ImportState(
            request=request,
            phase=_phase(request.source, at_work=at_work, failed=bool(reason)),
            progress=_progress(directory, int(data.get("total_bytes", 0))) if at_work else None,
            allocated_bytes=sum(_allocated(directory / name) for name in ("part", "image", "disk")),
            reason="" if at_work else reason or self._why_idle(request.key),
            retry_at=datetime.fromisoformat(retry_at) if retry_at and not at_work else None,
        )

    def discard(self, pool: Pool, volume: str) -> bool:
        """Stop the work and remove what there is of it; False when the worker has not stopped yet.

        Raises:
            OSError: it cannot be removed.
        """
        base = pool.existing_private("incoming")
        if base is None or not (base / pool.path(volume).name).is_dir():
            return True
        directory, name = base / volume, _worker_name(pool, volume)
        if known := load_request(directory):
            self._turns.forget(request_from(known).key)
        self._cancelled.add(name)
        deadline = time.monotonic() + _DISCARD_WAIT_S
        while self._workers.is_under_way(name) or _is_locked(directory):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        shutil.rmtree(directory)
        self._cancelled.discard(name)
        return True

    def remove_finished(self, pool: Pool) -> Iterator[str]:
        """Remove what a killed worker left of volumes that have their place by now, or that it never wrote down; their names. Nobody
        may be making anything in the pool meanwhile.

        Raises:
            OSError: it cannot be removed.
        """
        base = pool.existing_private("incoming")
        for directory in sorted(base.iterdir()) if base is not None else ():
            if not directory.is_dir() or _is_locked(directory):
                continue
            if load_request(directory) is None or os.path.lexists(pool.path(directory.name)):
                shutil.rmtree(directory)
                yield directory.name

    def _directory(self, pool: Pool, volume: str) -> Path:
        return pool.private("incoming") / pool.path(volume).name

    def _why_idle(self, key: ObjectKey) -> str:
        return "it waits for its turn" if self._turns.waits(key) else "it was interrupted"

    def _take_turn(self, pool: Pool, volume: str, host: str, access: SourceAccess | None) -> None:
        try:
            self._work(pool, volume, access)
        finally:
            self._turns.leave(host)

    def _work(self, pool: Pool, volume: str, access: SourceAccess | None) -> None:
        """The background work of one volume, from the first byte to the final name."""
        directory = self._directory(pool, volume)
        data = load_request(directory)
        if data is None:
            return
        request = request_from(data)
        with (directory / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            try:
                self._events.emit(request.key)
                self._make(pool, directory, request, access)
                shutil.rmtree(directory)
            except _CancelledError:
                _log.info("import.cancelled", object=str(request.key))
            except (VolumeError, OSError) as error:
                reason = f"the pool {pool.name} is full" if _is_full(error) else str(error)
                self._failed(directory, data, reason)
                _log.warning("import.failed", object=str(request.key), reason=reason)
            except libvirt.libvirtError as error:
                self._failed(directory, data, translate(error, "refreshing the pool").message)
            except EngineError as error:  # libvirtd is away
                self._failed(directory, data, str(error))
        self._events.emit(request.key)

    def _make(self, pool: Pool, directory: Path, request: ImportRequest, access: SourceAccess | None) -> None:
        until = time.monotonic() + self._limits.timeout_s
        limits = self._limits.for_disk(request.size_bytes)

        def keep_going() -> None:
            if _worker_name(pool, request.volume) in self._cancelled:
                raise _CancelledError
            if time.monotonic() > until:
                raise ImportFailedError(f"it did not end within {self._limits.timeout_s:.0f} s")

        keep_going()
        disk = directory / "disk"
        for name in ("part", "image", "disk"):
            with suppress(FileNotFoundError):
                (directory / name).unlink()
        if read_volume(pool, request.volume) is not None:
            return
        source: VolumeFile | None = None
        if request.source.kind is SourceKind.HTTP:
            if access is None:
                raise ImportFailedError(f"{request.source}: its whole address is not at hand; make the manifest valid")
            part = directory / "part"
            download(
                access.url.reveal.decode(),
                part,
                access=access,
                checksum=request.source.checksum,
                limits=limits,
                keep_going=keep_going,
                total=lambda size: store_request(directory, {**as_data(request), "total_bytes": size}),
            )
            image = unpack(part, directory / "image", limits=limits, keep_going=keep_going)
            facts = inspect_image(image, self._limits)
            copy = ImageCopy(image=image, image_format=facts.format, disk=disk, format=request.format)
            size_bytes = facts.size_bytes
        else:
            source = self._clone_source(request)
            copy = ImageCopy(image=source.path, image_format=source.format, disk=disk, format=request.format)
            size_bytes = source.size_bytes
        if request.size_bytes and size_bytes > request.size_bytes:
            raise ImportFailedError(
                f"the disk has {size_bytes} bytes and the claim asks for {request.size_bytes}; "
                f"raise resources.requests.storage"
            )
        with ExitStack() as keys:
            key = keys.enter_context(self._keys.of_volume(request.storage_class, request.encrypted))
            if source is not None and source.encrypted:
                marks = source.marks if isinstance(source.marks, DomainMarks) else None
                storage_class = storage_class_of(marks) if marks is not None else ""
                copy = replace(copy, image_key=keys.enter_context(self._keys.of_volume(storage_class, encrypted=True)))
            copy_image(replace(copy, key=key), keep_going, memory_bytes=limits.convert_memory_bytes)
            if request.size_bytes > size_bytes:
                resize_image(disk, request.format, request.size_bytes, f"growing {request.volume}", key)
        keep_going()
        with disk.open("rb") as file:
            os.fsync(file.fileno())
        put_in_place(pool, disk, request.volume, request.marks)
        self._pools.refresh(pool)

    def _clone_source(self, request: ImportRequest) -> VolumeFile:
        if request.copy_from is None:
            raise ImportFailedError(f"{request.source} names no volume")
        pool_name, volume = request.copy_from
        found = read_volume(self._pools.require(pool_name), volume)
        if found is None:
            raise ImportFailedError(f"{request.source.claim} is not there to be cloned")
        if found.encrypted and not request.encrypted:
            raise ImportFailedError(
                f"{request.source.claim} is encrypted and the storage class of its clone is not; name one that is"
            )
        return found

    def _failed(self, directory: Path, data: Mapping[str, Any], reason: str) -> None:
        failures = int(data.get("failures", 0)) + 1
        delay_s = min(self._limits.first_retry_s * 2 ** min(failures - 1, 20), self._limits.most_retry_s)
        retry_at = self._clock.now() + timedelta(seconds=delay_s)
        for name in ("part", "image", "disk"):
            with suppress(FileNotFoundError):
                (directory / name).unlink()
        said = {**data, "failures": failures, "reason": reason, "retry_at": retry_at.isoformat(), "total_bytes": 0}
        with suppress(OSError):
            store_request(directory, said)


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _phase(source: VolumeSource, *, at_work: bool, failed: bool) -> str:
    kind = "Clone" if source.kind is SourceKind.CLONE else "Import"
    if at_work:
        return f"{kind}InProgress"
    return "Failed" if failed else f"{kind}Scheduled"


def _progress(directory: Path, total_bytes: int) -> float | None:
    """Of the download, the part that takes long; None when the server did not say how much there is."""
    try:
        if (directory / "disk").exists():
            return 0.9
        received = (directory / "part").stat().st_size
    except OSError:
        return None
    return round(_DOWNLOAD_SHARE * min(1.0, received / total_bytes), 3) if total_bytes else None


def _host(source: VolumeSource) -> str:
    """The server that an import reads from; empty for a clone."""
    try:
        return urlsplit(source.url).hostname or ""
    except ValueError:
        return ""


def _worker_name(pool: Pool, volume: str) -> str:
    return f"import {pool.name}/{volume}"


def _is_locked(directory: Path) -> bool:
    """Whether a worker, of this process or another, is at it."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _allocated(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0
