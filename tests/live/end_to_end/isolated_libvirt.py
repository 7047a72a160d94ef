"""A libvirtd of a test's own, in namespaces of its own, so that it can be killed while others work with the machine's."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path

import libvirt

_PRIVATE = {"run": "/run/libvirt", "lib": "/var/lib/libvirt", "etc": "/etc/libvirt", "log": "/var/log/libvirt",
            "cache": "/var/cache/libvirt"}  # fmt: skip
_CAPABILITIES = Path("/var/cache/libvirt/qemu/capabilities")
_QEMU_CONF = 'stdio_handler = "file"\nnamespaces = []\nremember_owner = 0\n'
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class IsolatedLibvirt:
    """Its files are in ``directory``. Network and mount namespace are its own, so bridges, addresses and definitions meet
    nobody else's.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._namespace = f"gve2e-{uuid.uuid4().hex[:6]}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """How to reach it."""
        return f"qemu+unix:///system?socket={self.directory}/run/libvirt-sock"

    def make(self) -> None:
        """Namespace, directories and settings; then `start`."""
        for part in _PRIVATE:
            (self.directory / part).mkdir(parents=True)
            (self.directory / part).chmod(0o755)
        (self.directory / "namespace").write_text(self._namespace)
        (self.directory / "etc/qemu.conf").write_text(_QEMU_CONF)
        (self.directory / "etc/libvirtd.conf").write_text(f'host_uuid = "{uuid.uuid4()}"\n')
        if _CAPABILITIES.is_dir():  # finding out anew what QEMU can do takes seconds
            shutil.copytree(_CAPABILITIES, self.directory / "cache/qemu/capabilities")
        subprocess.run(["ip", "netns", "add", self._namespace], check=True)
        subprocess.run(["ip", "-n", self._namespace, "link", "set", "lo", "up"], check=True)
        self.start()

    def start(self) -> None:
        """Start libvirtd and wait until it answers."""
        binds = " && ".join(f"mount --bind {self.directory}/{part} {place}" for part, place in _PRIVATE.items())
        script = f"{binds} && exec libvirtd --pid-file /run/libvirt/libvirtd.pid"
        with (self.directory / "libvirtd.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self._namespace, "unshare", "--mount", "sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                libvirt.open(self.uri).close()
                return
            except libvirt.libvirtError:
                assert self._process.poll() is None, (self.directory / "libvirtd.log").read_text()
                assert time.monotonic() < deadline, (self.directory / "libvirtd.log").read_text()
                time.sleep(0.1)

    def kill(self) -> None:
        """``kill -9``; its guests are left to themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def qemu_pid(self, domain: str) -> int:
        """The guest's process."""
        return int((self.directory / f"run/qemu/{domain}.pid").read_text())

    def remove(self) -> None:
        """Stop it, and what it left running."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        remove_left_over(self.directory)


def remove_left_over(directory: Path) -> None:
    """Guests, DHCP servers and the namespace of an isolated libvirtd that is gone."""
    name = directory / "namespace"
    if not name.exists():
        return
    for file in (*directory.glob("run/qemu/*.pid"), *directory.glob("run/network/*.pid")):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            program = Path(f"/proc/{pid}/comm").read_text()
            if program.startswith(("qemu", "dnsmasq")):
                os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", name.read_text()], check=False, capture_output=True)
