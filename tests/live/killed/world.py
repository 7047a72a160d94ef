"""A world on a host that is killed: the daemon can be killed too, and pools on filesystems of their own."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import libvirt

from reconciler.daemon.control_client import RemoteFaultError
from tests.live.end_to_end.world import PATIENCE_S, World
from tests.live.killed.host import Filesystem, Host
from tests.ports import free_port

PATTERN_BYTES = 65536


class KilledWorld(World):
    """``pools`` are the directories of its pools by their storage class; the default one has the empty name."""

    def __init__(self, image: Path, host: Host) -> None:
        super().__init__(image, host.libvirt.uri)
        self.host = host
        self.small = host.filesystem(f"small-{self.token}", 112)
        self.pools = {"": self.directory / "pool", "small": self.small.target}
        self.pool_names = {"": f"gve-{self.token}", "small": f"gve-{self.token}-small"}
        self._web = free_port()

    def _settings(self, bare: Path) -> dict[str, Any]:
        return {
            **super()._settings(bare),
            "storageClasses": {"small": {"pool": self.pool_names["small"]}},
            "web": {"listen": f"127.0.0.1:{self._web}"},
            # The tests delete much within the hour, and what waits for a person is not what they are about.
            "blastRadius": {"few": 1000},
        }

    def open(self) -> None:
        """As any world, with the small pool."""
        self.define_small_pool()
        super().open()

    def define_small_pool(self) -> None:
        """libvirt knows it, and it is on."""
        xml = (
            f"<pool type='dir'><name>{self.pool_names['small']}</name>"
            f"<target><path>{self.small.target}</path></target></pool>"
        )
        self.connection.storagePoolDefineXML(xml, 0).create(0)

    @property
    def daemon_pid(self) -> int:
        """The daemon's process."""
        assert self._daemon is not None
        return self._daemon.pid

    def kill_daemon(self) -> None:
        """``kill -9``."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def start_daemon_unheard(self) -> None:
        """Start it and do not wait until it answers."""
        until, self.until = self.until, lambda *_a, **_k: None
        try:
            self.start_daemon()
        finally:
            self.until = until

    def approve_all(self, limit_s: float = PATIENCE_S) -> None:
        """Release whatever waits for a person, until nothing is left to do."""

        def done() -> bool:
            try:
                plan = self.ask("plan")
                for hold in plan["held"]:
                    self.ask("approve", hold_id=hold["hold_id"])
            except RemoteFaultError:  # it cannot look at the host (yet), or something else waits by now
                return False
            return not (plan["changes"] or plan["held"] or plan["blocked"])

        self.until_followed(limit_s)
        self.until("all is approved and done", done, limit_s, 0.5)

    def ready(self) -> tuple[int, str]:
        """What ``/readyz`` answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._web, timeout=60)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()
        finally:
            connection.close()

    def look(self) -> None:
        """Have the daemon look at everything now."""
        self.ask("reconcile")

    def messages(self) -> str:
        """What the daemon says of itself and of every object."""
        status = self.ask("status")
        return "\n".join((*status["messages"], *(f"{row['object']}: {row['message']}" for row in status["objects"])))

    def volume(self, claim: str, storage_class: str = "") -> Path:
        """The file of a claim's volume."""
        return self.pools[storage_class] / f"{self.namespace}_{claim}.qcow2"

    def write(self, claim: str, pattern: int, storage_class: str = "") -> None:
        """Write a byte over the first 64 KiB of a volume that no guest has open."""
        self._qemu_io(f"write -P {pattern} 0 {PATTERN_BYTES}", self.volume(claim, storage_class))

    def reads(self, claim: str, pattern: int, storage_class: str = "") -> bool:
        """Whether the first 64 KiB of a volume are that byte."""
        return "failed" not in self._qemu_io(f"read -P {pattern} 0 {PATTERN_BYTES}", self.volume(claim, storage_class))

    def qemu_pid(self, name: str) -> int:
        """The process of a running guest."""
        return self.host.libvirt.qemu_pid(f"{self.namespace}_{name}")

    def runs_in_another(self, name: str, than: int) -> bool:
        """Whether it runs in another process. One that is just being started runs for libvirt before it has one."""
        try:
            return self.runs(name) and self.qemu_pid(name) != than
        except (OSError, ValueError):
            return False

    def pull_the_plug(self, name: str) -> None:
        """Its QEMU process is killed."""
        os.kill(self.qemu_pid(name), signal.SIGKILL)

    def lives(self, names: Collection[str]) -> dict[str, tuple[int, str]]:
        """Process and boot id of running guests: the same as before, and nobody restarted them."""
        return {name: (self.qemu_pid(name), self.boot_id(name)) for name in names}

    def close(self) -> None:
        """As any world; its libvirtd may be away, or stand still."""
        self.host.mend()
        self.reconnect()
        super().close()

    @staticmethod
    def _qemu_io(command: str, path: Path) -> str:
        said = subprocess.run(
            ["qemu-io", "-f", "qcow2", "-c", command, str(path)],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return said.stdout + said.stderr


__all__ = ["Filesystem", "Host", "KilledWorld", "libvirt"]
