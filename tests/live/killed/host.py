"""A host for being killed on: a libvirtd and a virtlogd of its own, and filesystems that can be filled, taken away and made read-only.

Nothing of it is anybody else's, so that libvirtd can be stopped and disks can be pulled while others work with the machine's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.live.end_to_end.isolated_libvirt import IsolatedLibvirt, remove_left_over

PARENT = Path("/var/tmp")
PREFIX = "gitvirt-killed-"
_RUN = "run-of"


class Filesystem:
    """A small ext4 on a loop device, mounted where libvirt sees it too."""

    def __init__(self, directory: Path, name: str, size_mib: int) -> None:
        self._image = directory / f"{name}.img"
        self.target = directory / "mounts" / name
        self.target.mkdir()
        with self._image.open("wb") as file:
            file.truncate(size_mib << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self.mount()
        self.target.chmod(0o711)

    def mount(self) -> None:
        """Put it in its place."""
        _run("mount", "-o", "loop", str(self._image), str(self.target))

    def take_away(self) -> None:
        """Whoever has a file open keeps it; everybody else sees the empty directory below."""
        _run("umount", "--lazy", str(self.target))

    def make_read_only(self) -> None:
        """A bind mount over it, since a filesystem with files open for writing cannot be made so itself."""
        _run("mount", "--bind", str(self.target), str(self.target))
        _run("mount", "-o", "remount,bind,ro", str(self.target))

    def make_writable(self) -> None:
        """Take that bind mount off."""
        _run("umount", "--lazy", str(self.target))

    def fill(self, leave_kib: int = 0) -> None:
        """Leave that much room and no more."""
        free = os.statvfs(self.target)
        ballast_bytes = free.f_bavail * free.f_frsize - (leave_kib << 10)
        subprocess.run(
            ["fallocate", "--length", str(max(ballast_bytes, 4096)), str(self.target / "ballast")], check=False
        )
        if not leave_kib:
            with suppress(OSError), (self.target / "ballast").open("ab", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

    def empty(self) -> None:
        """Take the ballast away."""
        (self.target / "ballast").unlink(missing_ok=True)


class Host:
    """All of it, below one directory."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
        self.directory.chmod(0o755)
        (self.directory / _RUN).write_text(str(os.getpid()))
        mounts = self.directory / "mounts"
        mounts.mkdir()
        _run("mount", "--bind", str(mounts), str(mounts))
        _run("mount", "--make-private", str(mounts))
        _run("mount", "--make-shared", str(mounts))
        self.libvirt = IsolatedLibvirt(self.directory / "isolated", with_logd=True)

    def make(self) -> None:
        """Start the daemons."""
        self.libvirt.make()

    @property
    def is_whole(self) -> bool:
        """Whether both daemons live."""
        return self.libvirt.is_running and self.libvirt.has_logd

    def mend(self) -> None:
        """Whatever was killed or stands still goes on."""
        self.libvirt.thaw()
        if not self.libvirt.is_running:
            self.libvirt.start()
        if not self.libvirt.has_logd:
            self.libvirt.start_logd()

    def filesystem(self, name: str, size_mib: int) -> Filesystem:
        """A new, mounted filesystem."""
        return Filesystem(self.directory, name, size_mib)

    def remove(self) -> None:
        """All of it is gone afterwards."""
        try:
            self.libvirt.remove()
        finally:
            _remove(self.directory)


def sweep_killed_hosts() -> None:
    """Remove the hosts of test runs that were killed before they could clean up."""
    for directory in PARENT.glob(f"{PREFIX}*"):
        try:
            pid = int((directory / _RUN).read_text())
        except (OSError, ValueError):
            continue
        if not Path(f"/proc/{pid}").exists():
            remove_left_over(directory / "isolated")
            _remove(directory)


def _remove(directory: Path) -> None:
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed([point for point in mounted if point.startswith(f"{directory}/")]):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)
