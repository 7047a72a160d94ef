"""Real libvirt and QEMU as a world of the contract suite: names, pool and bridges are this test's own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import libvirt

from nodeexec.libvirt.engine import LibvirtEngine
from nodeexec.libvirt.import_addresses import ImportAddresses
from nodeexec.libvirt.settings import ImportLimits, LibvirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.daemon.threads import ThreadWorkers
from reconciler.model.keys import ObjectKey
from reconciler.model.policy import Policy
from tests.contract.builders import Site
from tests.contract.guests import image_of
from tests.contract.world import Traits, look_vm

_PARENT = Path("/var/tmp")
_PREFIX = "gitvirt-contract-"
_RUN = "run"
"""File of a world's directory: process id and token of the run it belongs to."""


class _Server(ThreadingHTTPServer):
    """``/fast/GUEST``, and ``/slow/GUEST``, which comes when time passes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Images)
        self.time_passes = threading.Event()


class _Images(BaseHTTPRequestHandler):
    """The requests of a `_Server`."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        _, speed, guest = self.path.split("/", 2)
        if guest not in ("polite", "deaf", "brief"):
            self.send_error(404)
            return
        data = image_of(guest)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            if speed == "slow":
                assert isinstance(self.server, _Server)
                self.server.time_passes.wait()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class LibvirtWorld:
    """See `World`."""

    traits = Traits(unplugs=False)

    def __init__(self) -> None:
        self._token = uuid.uuid4().hex[:6]
        namespace = f"ct{self._token}"
        self._connection = libvirt.open("qemu:///system")
        sweep_killed_runs(self._connection)
        self._directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
        self._directory.chmod(0o755)
        (self._directory / _RUN).write_text(f"{os.getpid()} {self._token}", encoding="ascii")
        self._pool = self._directory / "pool"
        self._server = _Server()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        policy = Policy(
            owner=f"contract-{self._token}",
            identity_seed=self._token,
            host=f"host-{self._token}",
            default_namespace=namespace,
            default_pool=f"gvc-{self._token}",
        )
        settings = LibvirtSettings(
            accelerator="qemu",
            default_pool_target=str(self._pool),
            console_log_directory=str(self._directory / "consoles"),
            runtime_directory=str(self._directory / "runtime"),
            imports=ImportLimits(addresses=ImportAddresses(allowed=(ip_network("127.0.0.1/32"),))),
        )
        self.site = Site(policy=policy, namespace=namespace)
        self.workers = ThreadWorkers()
        self.engine = LibvirtEngine(settings=settings, policy=policy, clock=SystemClock(), workers=self.workers)

    def clean_up(self) -> None:
        """Remove everything of this test, whatever state it is in."""
        self._server.time_passes.set()
        try:
            self.engine.close()
        finally:
            self._server.shutdown()
            self._server.server_close()
            remove_all(self._connection, self._token)
            self._connection.close()
            shutil.rmtree(self._directory, ignore_errors=True)

    def bridge(self, number: int) -> str:
        return f"gc{self._token}{number}"

    def pass_time(self, seconds: float) -> None:
        self._server.time_passes.set()
        time.sleep(seconds)

    def settle(self) -> None:
        """libvirt answers at once."""

    def runs(self, key: ObjectKey) -> int:
        return look_vm(self, key).history.runs

    def publish(self, guest: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/fast/{guest}"

    def publish_slowly(self, guest: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/slow/{guest}"

    def own_name(self, key: ObjectKey) -> str:
        return f"{key.namespace}_{key.name}"

    def _file(self, key: ObjectKey) -> tuple[str, str]:
        for kind in ("qcow2", "raw"):
            path = self._pool / f"{self.own_name(key)}.{kind}"
            if path.exists():
                return kind, str(path)
        raise FileNotFoundError(f"{self.own_name(key)} in {self._pool}")

    def write(self, key: ObjectKey, pattern: int) -> None:
        kind, path = self._file(key)
        subprocess.run(
            ["qemu-io", "-f", kind, "-c", f"write -P {pattern} 0 64k", path], check=True, capture_output=True
        )

    def reads(self, key: ObjectKey, pattern: int) -> bool:
        kind, path = self._file(key)
        command = ["qemu-io", "-r", "-f", kind, "-c", f"read -P {pattern} 0 64k", path]
        said = subprocess.run(command, check=False, capture_output=True, text=True)
        return said.returncode == 0 and "failed" not in said.stdout + said.stderr

    def destroy(self, key: ObjectKey) -> None:
        self._connection.lookupByName(self.own_name(key)).destroy()

    def kill(self, key: ObjectKey) -> None:
        pid = int(Path(f"/run/libvirt/qemu/{self.own_name(key)}.pid").read_text(encoding="ascii"))
        os.kill(pid, signal.SIGKILL)

    def edit_memory(self, key: ObjectKey, mib: int) -> None:
        xml = self._connection.lookupByName(self.own_name(key)).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        for element in ("memory", "currentMemory"):
            xml = re.sub(rf"<{element} unit='KiB'>\d+<", f"<{element} unit='KiB'>{mib * 1024}<", xml)
        self._connection.defineXML(xml)

    def undefine(self, key: ObjectKey) -> None:
        self._connection.lookupByName(self.own_name(key)).undefine()

    def volume_names(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in self._pool.iterdir() if not path.name.startswith(".")))

    def spoil_network(self, key: ObjectKey) -> None:
        self._connection.networkLookupByName(self.own_name(key)).destroy()

    def make_foreign_vm(self, name: str) -> ObjectKey:
        key = ObjectKey("VirtualMachine", self.site.namespace, name)
        self._connection.defineXML(
            f"<domain type='qemu'><name>{self.own_name(key)}</name><memory unit='MiB'>32</memory>"
            "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
        )
        return key

    def snapshot_of(self, key: ObjectKey) -> str:
        domain = self._connection.lookupByName(self.own_name(key))
        return f"{domain.state()} {domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)}"

    def lose(self, key: ObjectKey) -> Callable[[], None]:
        path = Path(self._file(key)[1])
        aside = self._directory / path.name
        path.rename(aside)
        return lambda: aside.replace(path)

    def darken_pool(self) -> Callable[[], None]:
        """The pool's directory is somewhere else, as when its filesystem is not mounted."""
        aside = self._directory / "aside"
        self._pool.rename(aside)

        def brighten() -> None:
            if self._pool.exists():
                shutil.rmtree(self._pool)
            aside.rename(self._pool)

        return brighten


def remove_all(connection: libvirt.virConnect, token: str) -> None:
    """Remove every domain, network and pool of one world, whatever state they are in."""
    prefix = f"ct{token}_"
    for domain in connection.listAllDomains():
        if domain.name().startswith(prefix):
            if domain.isActive():
                domain.destroy()
            if domain.isPersistent():
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    for network in connection.listAllNetworks():
        if network.name().startswith(prefix):
            if network.isActive():
                network.destroy()
            network.undefine()
    for pool in connection.listAllStoragePools():
        if pool.name() == f"gvc-{token}":
            if pool.isActive():
                pool.destroy()
            pool.undefine()


def sweep_killed_runs(connection: libvirt.virConnect) -> None:
    """Remove the worlds of test runs that were killed before they could clean up: their process is gone."""
    for directory in _PARENT.glob(f"{_PREFIX}*"):
        try:
            pid, token = (directory / _RUN).read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue
        if not Path(f"/proc/{pid}").exists():
            remove_all(connection, token)
            shutil.rmtree(directory, ignore_errors=True)
