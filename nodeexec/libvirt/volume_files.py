"""Volumes as files: read them with the marks on them, make them, give them their name, grow them.

A file gets its marks first and its final name last, so that nothing of ours ever stands under a final name without
saying whose it is. A name is taken with link(2), which never replaces a file.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nodeexec.libvirt.luks import NEW_ENCRYPTION, encrypted_image, key_argument
from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks, from_json, to_json
from nodeexec.libvirt.pool_lock import busy
from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.volume_sidecars import forget_sidecar, read_sidecar, write_sidecar

XATTR = "user.gitvirt"
FORMAT = "format"
"""``extra`` entry of the marks of an adopted volume, whose name need not tell its format."""
UNFINISHED = ".new"
"""Ends the name of a file that is being made."""
_QCOW2_MAGIC = b"QFI\xfb"
_QCOW2_LUKS = 2
_NO_XATTR = frozenset({errno.ENOTSUP, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EPERM})
_NO_LINK = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_TOOL_TIMEOUT_S = 120.0


class VolumeError(Exception):
    """A file operation on a volume failed; the message says which, and what to do."""


class NameTakenError(VolumeError):
    """The volume's name belongs to a file already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFile:
    """A file of a pool. ``size_bytes`` is what a guest sees, ``allocated_bytes`` what it takes on the pool. ``marks`` None
    means foreign.
    """

    name: str
    path: Path
    format: str
    size_bytes: int
    encrypted: bool
    allocated_bytes: int
    identity: str
    marks: DomainMarks | UnreadableMarks | None


def read_volume(pool: Pool, name: str) -> VolumeFile | None:
    """One volume; None when no file has the name.

    Raises:
        VolumeError: it is there and cannot be read, is no plain file, or is damaged.
    """
    path = pool.path(name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VolumeError(f"{path}: {error.strerror}; gitvirt uses plain files only") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise VolumeError(f"{path} is not a plain file")
        head = os.pread(descriptor, 36, 0)
        marks = _marks_text(descriptor, pool, name)
    except OSError as error:
        raise VolumeError(f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    read_marks = from_json(marks) if marks is not None else None
    begins_as_qcow2 = head[:4] == _QCOW2_MAGIC
    qcow2 = _is_to_be_qcow2(name, read_marks) and (begins_as_qcow2 or read_marks is not None)
    if qcow2 and not begins_as_qcow2:
        raise VolumeError(
            f"{path} is damaged: it is a qcow2 image by its name and does not begin as one; put it back from a backup "
            "(gitvirt leaves it alone)"
        )
    return VolumeFile(
        name=name,
        path=path,
        format="qcow2" if qcow2 else "raw",
        size_bytes=int.from_bytes(head[24:32], "big") if qcow2 else facts.st_size,
        encrypted=qcow2 and int.from_bytes(head[32:36], "big") == _QCOW2_LUKS,
        allocated_bytes=facts.st_blocks * 512,
        identity=f"{facts.st_dev}:{facts.st_ino}",
        marks=read_marks,
    )


def _is_to_be_qcow2(name: str, marks: DomainMarks | UnreadableMarks | None) -> bool:
    """A guest writes what it likes to the head of a raw disk, so the format is never guessed from there: an adopted
    volume's marks say it, any other's name does.
    """
    said = str(marks.extra.get(FORMAT, "")) if isinstance(marks, DomainMarks) else ""
    return said == "qcow2" if said else name.endswith(".qcow2")


def list_names(pool: Pool) -> Iterator[str]:
    """Names of all plain files of the pool.

    Raises:
        OSError: the directory cannot be listed.
    """
    with os.scandir(pool.target) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                yield entry.name


def write_marks(pool: Pool, path: Path, name: str, marks: DomainMarks | None) -> None:
    """Put marks on the file at ``path`` that has, or will have, the volume name ``name``; None takes them off.

    Raises:
        VolumeError: neither the file nor the pool takes them.
    """
    try:
        if marks is None:
            forget_sidecar(pool, name)
            try:
                os.removexattr(path, XATTR)
            except OSError as error:
                if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                    raise
            return
        text = to_json(marks)
        try:
            os.setxattr(path, XATTR, text.encode(), follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_XATTR:
                raise
            write_sidecar(pool, name, text)
            with suppress(OSError):
                os.removexattr(path, XATTR)
        else:
            _register(pool, path, name, marks)
    except OSError as error:
        raise VolumeError(f"writing the marks of {path}: {error.strerror}") from error


def marks_of(pool: Pool, name: str) -> DomainMarks | None:
    """The marks of a volume, without a look into it; None where there are none that can be read."""
    try:
        text = os.getxattr(pool.target / name, XATTR, follow_symlinks=False).decode(errors="replace")
    except OSError:
        try:
            text = read_sidecar(pool, name) or ""
        except OSError:
            return None
    marks = from_json(text)
    return marks if isinstance(marks, DomainMarks) else None


def put_in_place(pool: Pool, fresh: Path, name: str, marks: DomainMarks) -> None:
    """Give a finished file its marks, and then its name.

    Raises:
        NameTakenError: a file has the name.
        VolumeError: the pool refuses.
    """
    final = pool.path(name)
    if os.path.lexists(final):
        # Marks that are written beside a name would be taken for those of the file that has it.
        raise NameTakenError(f"{final} exists already")
    write_marks(pool, fresh, name, marks)
    take_name(fresh, final)
    if read_sidecar(pool, name) is None:
        _register(pool, final, name, marks)


def _register(pool: Pool, path: Path, name: str, marks: DomainMarks) -> None:
    """Remember beside a claim's volume that it is there; its marks are on the file itself. A volume that has no name yet is not
    there. A pool that is full takes nothing from the volume but this.
    """
    if path != pool.target / name or not marks.extra.get("kind"):
        forget_sidecar(pool, name)
        return
    with suppress(OSError):
        write_sidecar(pool, name, to_json(marks), durable=False)


def take_name(source: Path, final: Path) -> None:
    """Give a finished file its name, unless the name is taken.

    Raises:
        NameTakenError: a file has it.
        VolumeError: the filesystem refuses.
    """
    try:
        os.link(source, final, follow_symlinks=False)
        source.unlink()
    except FileExistsError as error:
        raise NameTakenError(f"{final} exists already") from error
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise VolumeError(f"naming {final}: {error.strerror}") from error
        if os.path.lexists(final):
            raise NameTakenError(f"{final} exists already") from error
        source.rename(final)
    sync_directory(final.parent)


def create_file(
    pool: Pool, name: str, *, format: str, size_bytes: int, marks: DomainMarks, key: int | None = None
) -> None:
    """A blank volume. Something half made by an earlier attempt is made anew. ``key`` is a descriptor of the passphrase that
    it is encrypted with.

    Raises:
        VolumeError: the pool is full, or ``qemu-img`` fails.
    """
    with _making(pool, name, marks) as (fresh, descriptor):
        if format == "raw":
            os.truncate(descriptor, size_bytes)
        else:
            encryption = [*key_argument(key), *NEW_ENCRYPTION] if key is not None else []
            command = ["qemu-img", "create", "-q", *encryption, "-f", format, str(fresh), str(size_bytes)]
            run_tool(command, f"creating {name}", key=key)


def write_file(pool: Pool, name: str, content: bytes, marks: DomainMarks) -> None:
    """A volume with this content, for QEMU and root only.

    Raises:
        VolumeError: the pool is full or refuses.
    """
    with _making(pool, name, marks) as (_, descriptor), os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)


@contextmanager
def _making(pool: Pool, name: str, marks: DomainMarks) -> Iterator[tuple[Path, int]]:
    """An empty file beside its place, and its descriptor, to be filled. At the end it is on the disk, and then the volume; what
    could not be finished is removed.

    Raises:
        VolumeError: the pool is full or refuses.
    """
    try:
        with busy(pool):
            fresh = pool.private("incoming") / f"{name}{UNFINISHED}"
            with suppress(FileNotFoundError):
                fresh.unlink()
            descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                yield fresh, descriptor
                os.fsync(descriptor)
                put_in_place(pool, fresh, name, marks)
            except BaseException:
                with suppress(OSError):
                    fresh.unlink()
                raise
            finally:
                os.close(descriptor)
    except OSError as error:
        raise VolumeError(f"making {name} in {pool.target}: {error.strerror}") from error


def grow_file(volume: VolumeFile, size_bytes: int, key: int | None = None) -> None:
    """Grow a volume that no running guest has open. QEMU's own lock refuses one that is open after all. ``key`` is a descriptor
    of its passphrase, where it is encrypted.

    Raises:
        VolumeError: smaller than it is, or ``qemu-img`` fails.
    """
    if size_bytes < volume.size_bytes:
        raise VolumeError(f"{volume.path} has {volume.size_bytes} bytes; disks only grow")
    resize_image(volume.path, volume.format, size_bytes, f"growing {volume.name}", key)


def resize_image(path: Path, format: str, size_bytes: int, doing: str, key: int | None = None) -> None:
    """``qemu-img resize`` of a file, with its passphrase where it has one.

    Raises:
        VolumeError: ``qemu-img`` fails.
    """
    image = ["-f", format, str(path)] if key is None else [*key_argument(key), *encrypted_image(path)]
    run_tool(["qemu-img", "resize", "-q", *image, str(size_bytes)], doing, key=key)


def run_tool(command: list[str], doing: str, *, timeout_s: float = _TOOL_TIMEOUT_S, key: int | None = None) -> bytes:
    """Run ``qemu-img``, bounded in time; its output. It inherits the descriptor ``key``.

    Raises:
        VolumeError: it is missing, fails, or takes too long.
    """
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            pass_fds=() if key is None else (key,),
        )
    except subprocess.TimeoutExpired as error:
        raise VolumeError(f"{doing}: {command[0]} did not end in {timeout_s:.0f} s") from error
    except OSError as error:
        raise VolumeError(f"{doing}: {command[0]} cannot be run ({error.strerror}); install qemu-utils") from error
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise VolumeError(f"{doing}: {said[-1] if said else f'{command[0]} ended with {ended.returncode}'}")
    return ended.stdout


def sync_directory(path: Path) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _marks_text(descriptor: int, pool: Pool, name: str) -> str | None:
    try:
        return os.getxattr(descriptor, XATTR).decode(errors="replace")
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
    return read_sidecar(pool, name)
