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
_QEMU_CONF = 'stdio_handler = "{handler}"\nnamespaces = []\nremember_owner = 0\n'
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class IsolatedLibvirt:
    """Its files are in ``directory``. Network and mount namespace are its own, so bridges, addresses and definitions meet
    nobody else's; of mounts, those below a shared mount point are seen. ``with_logd`` gives it a virtlogd of its own.
    """

    def __init__(self, directory: Path, *, with_logd: bool = False) -> None:
        self.directory = directory
        self.namespace = f"gve2e-{uuid.uuid4().hex[:6]}"
        self._with_logd = with_logd
        self._process: subprocess.Popen[bytes] | None = None
        self._logd: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """How to reach it."""
        return f"qemu+unix:///system?socket={self.directory}/run/libvirt-sock"

    def make(self) -> None:
        """Namespace, directories and settings; then `start`."""
        for part in _PRIVATE:
            (self.directory / part).mkdir(parents=True)
            (self.directory / part).chmod(0o755)
        (self.directory / "namespace").write_text(self.namespace)
        (self.directory / "etc/qemu.conf").write_text(_QEMU_CONF.format(handler="logd" if self._with_logd else "file"))
        (self.directory / "etc/libvirtd.conf").write_text(f'host_uuid = "{uuid.uuid4()}"\n')
        if _CAPABILITIES.is_dir():  # finding out anew what QEMU can do takes seconds
            shutil.copytree(_CAPABILITIES, self.directory / "cache/qemu/capabilities")
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "lo", "up"], check=True)
        if self._with_logd:
            self.start_logd()
        self.start()

    def start(self) -> None:
        """Start libvirtd and wait until it answers."""
        self._process = self._run("libvirtd")
        deadline = time.monotonic() + 120
        while True:
            try:
                libvirt.open(self.uri).close()
                return
            except libvirt.libvirtError:
                assert self._process.poll() is None, (self.directory / "libvirtd.log").read_text()
                assert time.monotonic() < deadline, (self.directory / "libvirtd.log").read_text()
                time.sleep(0.1)

    def start_logd(self) -> None:
        """Start virtlogd and wait until its socket is there."""
        self._logd = self._run("virtlogd")
        deadline = time.monotonic() + 60
        while not (self.directory / "run/virtlogd-sock").exists():
            assert self._logd.poll() is None and time.monotonic() < deadline, (
                self.directory / "virtlogd.log"
            ).read_text()
            time.sleep(0.05)

    def _run(self, program: str) -> subprocess.Popen[bytes]:
        """One of libvirt's daemons, with the private directories in place."""
        binds = " && ".join(f"mount --bind {self.directory}/{part} {place}" for part, place in _PRIVATE.items())
        script = f"{binds} && exec {program} --pid-file /run/libvirt/{program}.pid"
        with (self.directory / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [
                    "ip",
                    "netns",
                    "exec",
                    self.namespace,
                    "unshare",
                    "--mount",
                    "--propagation",
                    "slave",
                    "sh",
                    "-c",
                    script,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509  (one system call)
            )

    @property
    def is_running(self) -> bool:
        """Whether libvirtd lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_logd(self) -> bool:
        """Whether virtlogd lives."""
        return self._logd is not None and self._logd.poll() is None

    def kill(self) -> None:
        """``kill -9``; its guests are left to themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It stands still; whoever asks it waits."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill_logd(self) -> None:
        """``kill -9`` of virtlogd, which holds the other end of console logs."""
        assert self._logd is not None
        self._logd.kill()
        self._logd.wait()
        (self.directory / "run/virtlogd-sock").unlink(missing_ok=True)

    def qemu_pid(self, domain: str) -> int:
        """The guest's process."""
        return int((self.directory / f"run/qemu/{domain}.pid").read_text())

    def remove(self) -> None:
        """Stop it, and what it left running."""
        for process in (self._process, self._logd):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
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
