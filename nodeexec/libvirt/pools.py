"""Storage pools: directories that libvirt knows. A pool that cannot be read is unknown, never empty."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt

from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.errors import Fault, fault_of, translate
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.mounts import unmounted
from nodeexec.libvirt.safe_xml import parse_xml
from nodeexec.libvirt.settings import LibvirtSettings
from reconciler.model.live import PoolFacts

PRIVATE = ".gitvirt"
"""gitvirt's own directory in a pool: ``trash/``, ``incoming/``, ``marks/``. Only root may look inside."""

_MOUNTED_POOLS = ("fs", "netfs")
_DIRECTORY_POOLS = ("dir", *_MOUNTED_POOLS)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}", re.ASCII)
_REFRESH_ATTEMPTS = 20
_REFRESH_PAUSE_S = 0.1


class PoolUnreadableError(Exception):
    """Nothing may be concluded about the pool's volumes; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool whose volumes are files in the directory ``target``."""

    name: str
    target: Path
    active: bool = True

    def path(self, volume: str) -> Path:
        """The file of a volume.

        Raises:
            ValueError: the name could lead out of the directory.
        """
        if not _FILE_NAME.fullmatch(volume):
            raise ValueError(f"{volume!r} is not a volume's file name")
        return self.target / volume

    def private(self, part: str) -> Path:
        """A directory of gitvirt's own in the pool, made when missing; never followed through a symlink.

        Raises:
            OSError: it cannot be made, or is not a plain directory.
        """
        path = self.target / PRIVATE
        for step in (path, path / part):
            try:
                step.mkdir(mode=0o700)
            except FileExistsError:
                if step.is_symlink() or not step.is_dir():
                    raise NotADirectoryError(20, "gitvirt's own directory is something else", str(step)) from None
        return path / part

    def existing_private(self, part: str) -> Path | None:
        """The same without making it; None when it is not there."""
        path = self.target / PRIVATE / part
        plain = path.is_dir() and not path.is_symlink() and not path.parent.is_symlink()
        return path if plain else None


@dataclass(slots=True)
class _Refresh:
    """Refreshes of one pool: those who ask while one waits share it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    running: threading.Lock = field(default_factory=threading.Lock)
    asked: int = 0
    done: int = 0


class Pools:
    """Looks pools up, makes the default one, and tells libvirt of files that appeared or went."""

    def __init__(
        self,
        connection: Connection,
        settings: LibvirtSettings,
        default_pool: str,
        events: EventStream,
        named_in: Callable[[str, Path], Collection[str]],
    ) -> None:
        """``named_in`` gives the volumes that VMs of ours have in a pool with a directory."""
        self._connection = connection
        self._settings = settings
        self._default = default_pool
        self._events = events
        self._named_in = named_in
        self._refreshes: dict[str, _Refresh] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> Pool | None:
        """A pool for looking only. None: it is the default pool and was never made, so it is truly empty.

        Raises:
            PoolUnreadableError: it is missing, of another type, or its directory cannot be listed.
        """
        handle = self._lookup(name)
        if handle is None:
            target = Path(self._settings.default_pool_target)
            if name != self._default or (target / PRIVATE).exists():
                raise PoolUnreadableError(
                    f"storage pool {name!r} does not exist in libvirt; define and start it (virsh pool-define-as "
                    f"{name} dir --target DIRECTORY; virsh pool-autostart {name}; virsh pool-start {name})"
                )
            self._refuse_emptied(name, target)
            return None
        return self._read_handle(name, handle)

    def require(self, name: str) -> Pool:
        """A pool for working in: made when it is the default one and missing, started when it is off.

        Raises:
            PoolUnreadableError: it cannot be used.
            libvirt.libvirtError: libvirt refuses.
        """
        handle = self._lookup(name)
        if handle is None and name == self._default:
            self._refuse_emptied(name, Path(self._settings.default_pool_target))
            handle = self._make_default()
        if handle is not None and not handle.isActive():
            with _already_there():
                handle.create(0)
        pool = self.read(name)
        if pool is None:
            raise PoolUnreadableError(f"storage pool {name!r} does not exist in libvirt")
        return pool

    def all(self) -> tuple[tuple[str, Pool | PoolUnreadableError], ...]:
        """Every pool that libvirt knows and whose volumes are files, or why it cannot be read; sorted by name."""
        found: dict[str, Pool | PoolUnreadableError] = {}
        for handle in self._connection.get().listAllStoragePools(0):
            name = handle.name()
            try:
                found[name] = self._read_handle(name, handle)
            except PoolUnreadableError as error:
                found[name] = error
        return tuple(sorted(found.items()))

    def facts(self) -> tuple[PoolFacts, ...]:
        """Sizes of all pools, for the host's facts; of an unreadable one zeros."""
        return tuple(_facts(name, pool) for name, pool in self.all())

    def refresh(self, pool: Pool) -> None:
        """Let libvirt list the pool's directory again. Callers at the same time share one listing.

        Raises:
            libvirt.libvirtError: libvirt cannot list it.
        """
        with self._lock:
            state = self._refreshes.setdefault(pool.name, _Refresh())
        with state.lock:
            state.asked += 1
            mine = state.asked
        with state.running:
            if state.done >= mine:
                return
            with state.lock:
                covers = state.asked
            self._refresh_now(pool.name)
            state.done = covers

    def _refresh_now(self, name: str) -> None:
        """A pool that uploads or clones just now refuses; that ends soon."""
        handle = self._connection.get().storagePoolLookupByName(name)
        for attempt in range(_REFRESH_ATTEMPTS):
            self._events.expect_refresh(name)
            try:
                handle.refresh(0)
                return
            except libvirt.libvirtError as error:
                self._events.refresh_failed(name)
                if fault_of(error) is not Fault.TRANSIENT or attempt == _REFRESH_ATTEMPTS - 1:
                    raise
            time.sleep(_REFRESH_PAUSE_S)

    def _lookup(self, name: str) -> Any:
        try:
            return self._connection.get().storagePoolLookupByName(name)
        except libvirt.libvirtError as error:
            if fault_of(error) is Fault.NOT_FOUND:
                return None
            raise PoolUnreadableError(translate(error, f"looking up storage pool {name!r}").message) from error

    def _read_handle(self, name: str, handle: Any) -> Pool:
        try:
            active, (kind, target) = bool(handle.isActive()), _target(name, handle.XMLDesc(0))
        except libvirt.libvirtError as error:
            raise PoolUnreadableError(translate(error, f"reading storage pool {name!r}").message) from error
        if kind in _MOUNTED_POOLS and not active:
            raise PoolUnreadableError(
                f"storage pool {name!r} is off, and so its filesystem is not mounted; `virsh pool-start {name}`"
            )
        if not target.is_dir() or not os.access(target, os.R_OK | os.X_OK):
            raise PoolUnreadableError(
                f"storage pool {name!r}: its directory {target} cannot be read; mount it or make it readable"
            )
        self._refuse_emptied(name, target)
        return Pool(name=name, target=target, active=active)

    def _refuse_emptied(self, name: str, target: Path) -> None:
        """A directory that holds nothing of gitvirt's any more is most likely one whose filesystem is not mounted: then all disks
        look as if they had never been made.

        Raises:
            PoolUnreadableError: it held something.
        """
        if (target / PRIVATE).is_dir():
            return
        mount = unmounted(target)
        if mount is not None:
            raise PoolUnreadableError(
                f"storage pool {name!r}: {mount} is not mounted, and /etc/fstab says that it is to be; nothing is made, "
                "deleted or started there until it is"
            )
        named = self._named_in(name, target)
        if named and not any((target / volume).exists() for volume in named):
            raise PoolUnreadableError(
                f"storage pool {name!r}: {target} has none of the {len(named)} volumes that VMs of this host have there, nor "
                "anything else of gitvirt's. Is its filesystem mounted? Nothing is made, deleted or started there until it "
                f"is; if the volumes are lost for good, `mkdir {target / PRIVATE}` says so"
            )

    def _make_default(self) -> Any:
        """The pool that VMs without a storage class use, as libvirt's own tools make it."""
        connection = self._connection.get()
        target = Path(self._settings.default_pool_target)
        target.mkdir(mode=0o711, parents=True, exist_ok=True)
        xml = f"<pool type='dir'><name>{self._default}</name><target><path>{target}</path></target></pool>"
        with _already_there():
            handle = connection.storagePoolDefineXML(xml, 0)
            handle.setAutostart(1)
        return connection.storagePoolLookupByName(self._default)


@contextmanager
def _already_there() -> Iterator[None]:
    """Somebody made or started it in the meantime: that is what was wanted."""
    try:
        yield
    except libvirt.libvirtError as error:
        harmless = (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_FAILED)
        if error.get_error_code() not in harmless:
            raise


def _target(name: str, xml: str) -> tuple[str, Path]:
    """(type, directory) of a pool."""
    root = parse_xml(xml)
    kind = root.get("type", "")
    path = root.findtext("target/path") or ""
    if kind not in _DIRECTORY_POOLS or not path.startswith("/"):
        raise PoolUnreadableError(
            f"storage pool {name!r} has type {kind!r}; this version of gitvirt works with {', '.join(_DIRECTORY_POOLS)}"
        )
    return kind, Path(path)


def _facts(name: str, pool: Pool | PoolUnreadableError) -> PoolFacts:
    if isinstance(pool, PoolUnreadableError):
        return PoolFacts(name=name, capacity_bytes=0, available_bytes=0, active=False)
    size = os.statvfs(pool.target)
    return PoolFacts(
        name=name,
        capacity_bytes=size.f_frsize * size.f_blocks,
        available_bytes=size.f_frsize * size.f_bavail,
        active=pool.active,
    )
