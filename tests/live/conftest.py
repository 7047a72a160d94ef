"""A libvirt engine on this host with an owner, a namespace and a pool of its own; all of it is gone afterwards."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveObject, LiveVm, LiveVolume
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.policy import Policy
from reconciler.model.resolved import ResolvedNetwork, ResolvedVolume
from reconciler.planning.resolve_network import resolve_network
from tests.contract.builders import Site, create, digest, document, is_ready, update
from tests.live.image_server import ImageServer
from tests.live.requirement import require_libvirt

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class LiveHost:
    """The engine, what is declared on it, and the raw libvirt connection that plays other people's hands."""

    engine: Any
    site: Site
    directory: Path
    connection: Any
    new_engine: Callable[..., Any]
    """Another engine on this host; arguments of `LibvirtEngine` that are to be others."""
    heard: queue.SimpleQueue[tuple[float, ObjectKey]] = field(default_factory=queue.SimpleQueue)

    @property
    def pool(self) -> Path:
        """The directory of the pool."""
        return self.directory / "pool"

    def look(self, key: ObjectKey) -> LiveObject | None:
        """What stands under ``key``."""
        observation = self.engine.observe([key])
        assert not observation.is_unknown(key), observation.unreadable
        return observation.objects.get(key)

    def vm(self, key: ObjectKey) -> LiveVm:
        """A VM that is there."""
        live = self.look(key)
        assert isinstance(live, LiveVm), live
        return live

    def volume(self, key: ObjectKey) -> LiveVolume:
        """A volume that is there."""
        live = self.look(key)
        assert isinstance(live, LiveVolume), live
        return live

    def network(self, key: ObjectKey) -> LiveNetwork:
        """A network that is there."""
        live = self.look(key)
        assert isinstance(live, LiveNetwork), live
        return live

    def domain(self, key: ObjectKey) -> Any:
        """The virDomain."""
        return self.connection.lookupByName(f"{key.namespace}_{key.name}")

    def applied(self, change: Change) -> Outcome:
        """Apply, and insist that it was done."""
        outcome: Outcome = self.engine.apply(change)
        assert outcome.result in (Result.APPLIED, Result.UNCHANGED), outcome
        return outcome

    def until(self, true: Callable[[], Any], limit_s: float = 180.0, every_s: float = 0.2) -> Any:
        """Wait until something is true and return it."""
        deadline = time.monotonic() + limit_s
        while not (value := true()):
            assert time.monotonic() < deadline, f"did not come true within {limit_s} s"
            time.sleep(every_s)
        return value

    def settle(
        self, make: Callable[[LiveObject | None], Change], key: ObjectKey, limit_s: float = 180.0
    ) -> list[Outcome]:
        """Observe and apply as the cycle does until it is done."""
        outcomes: list[Outcome] = []
        deadline = time.monotonic() + limit_s
        while True:
            outcomes.append(self.engine.apply(make(self.look(key))))
            if outcomes[-1].result not in (Result.PROGRESSING, Result.RETRY, Result.CONFLICT):
                assert outcomes[-1].result in (Result.APPLIED, Result.UNCHANGED), outcomes
                return outcomes
            assert time.monotonic() < deadline, outcomes[-3:]
            time.sleep(min(outcomes[-1].retry_after_s or 0.5, 1.0))

    def made(self, volume: ResolvedVolume, limit_s: float = 180.0) -> ResolvedVolume:
        """The volume, ready, and known to libvirt, which hears of it between its getting its place and the tidying up."""
        live = self.look(volume.key)
        self.engine.apply(update(volume, live) if live else create(volume))
        self.until(lambda: is_ready(self.look(volume.key)), limit_s)
        incoming = self.pool / ".gitvirt" / "incoming" / self.volume(volume.key).volume
        self.until(lambda: not incoming.exists(), limit_s)
        return volume

    def subnet(self, number: int) -> str:
        """The first three numbers of a range that is, in all likelihood, nobody else's: ``10.213.8``."""
        token = self.site.policy.identity_seed
        return f"10.{192 + int(token[:2], 16) % 60}.{int(token[2:4], 16) & 0xF8 | number}"

    def dhcp_network(self, name: str, number: int) -> ResolvedNetwork:
        """A network with DHCP on a range of its own."""
        config = {
            "cniVersion": "0.3.1",
            "type": "bridge",
            "bridge": f"gl{self.site.policy.owner[-6:]}{number}",
            "ipam": {"type": "host-local", "subnet": f"{self.subnet(number)}.0/24"},
        }
        manifest = document("NetworkAttachmentDefinition", self.site.namespace, name, {"config": json.dumps(config)})
        resolved = resolve_network(manifest, policy=self.site.policy, digest=digest, host_bridges=())
        self.site.networks[resolved.key] = resolved
        self.applied(create(resolved))
        return resolved

    def next_event(self, key: ObjectKey, limit_s: float = 60.0) -> float:
        """The monotonic time at which the next event of ``key`` came out."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                at, heard = self.heard.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no event of {key} came within {limit_s} s") from None
            if heard == key:
                return at

    def forget_events(self) -> None:
        """Drop what was heard so far."""
        while not self.heard.empty():
            self.heard.get()

    def agent(self, key: ObjectKey, command: str) -> str:
        """Run a shell command in the guest through its agent; its output."""
        import base64

        import libvirt_qemu

        domain = self.domain(key)

        def ask(request: dict[str, Any]) -> Any:
            return json.loads(libvirt_qemu.qemuAgentCommand(domain, json.dumps(request), 60, 0))["return"]

        arguments = {"path": "/bin/sh", "arg": ["-c", command], "capture-output": True}
        pid = ask({"execute": "guest-exec", "arguments": arguments})["pid"]

        def ended() -> Any:
            status = ask({"execute": "guest-exec-status", "arguments": {"pid": pid}})
            return status if status["exited"] else None

        status = self.until(ended, every_s=0.1)
        return base64.b64decode(status.get("out-data", "")).decode()


@pytest.fixture
def libvirt_engine() -> Iterator[LiveHost]:
    """See `LiveHost`."""
    require_libvirt()
    import libvirt

    from nodeexec.libvirt.engine import LibvirtEngine
    from nodeexec.libvirt.import_addresses import ImportAddresses
    from nodeexec.libvirt.settings import ImportLimits, LibvirtSettings
    from reconciler.daemon.clock import SystemClock
    from reconciler.daemon.threads import ThreadWorkers

    token = uuid.uuid4().hex[:6]
    # QEMU runs as another user and has to get at the disks, which it cannot below a private temporary directory.
    directory = Path(tempfile.mkdtemp(prefix="gitvirt-live-", dir="/var/tmp"))
    directory.chmod(0o755)
    policy = Policy(
        owner=f"live-{token}",
        identity_seed=token,
        host=f"host-{token}",
        default_namespace=f"lt{token}",
        default_pool=f"gvl-{token}",
    )
    settings = LibvirtSettings(
        accelerator="qemu",
        default_pool_target=str(directory / "pool"),
        console_log_directory=str(directory / "consoles"),
        runtime_directory=str(directory / "run"),
        agent_refresh_s=1.0,
        imports=ImportLimits(
            first_retry_s=1.0, addresses=ImportAddresses(allowed=(ip_network("127.0.0.1/32"), ip_network("::1/128")))
        ),
    )
    engines: list[Any] = []

    def new_engine(**others: Any) -> Any:
        common = {"settings": settings, "policy": policy, "clock": SystemClock(), "workers": ThreadWorkers()}
        engines.append(LibvirtEngine(**{**common, **others}))
        return engines[-1]

    connection = libvirt.open("qemu:///system")
    host = LiveHost(
        engine=new_engine(),
        site=Site(policy=policy, namespace=policy.default_namespace),
        directory=directory,
        connection=connection,
        new_engine=new_engine,
    )
    events = host.engine.events()
    threading.Thread(target=lambda: [host.heard.put((time.monotonic(), key)) for key in events], daemon=True).start()
    try:
        yield host
    finally:
        for engine in engines:
            engine.close()
        remove_everything(connection, policy)
        connection.close()
        shutil.rmtree(directory, ignore_errors=True)


def remove_everything(connection: Any, policy: Policy) -> None:
    """Domains, networks and the pool of one test, whatever state they are in."""
    import libvirt

    prefix = f"{policy.default_namespace}_"
    for domain in connection.listAllDomains():
        if domain.name().startswith(prefix):
            if domain.isActive():
                domain.destroy()
            if domain.isPersistent():
                flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                domain.undefineFlags(flags)
    for network in connection.listAllNetworks():
        if network.name().startswith(prefix):
            if network.isActive():
                network.destroy()
            network.undefine()
    for pool in connection.listAllStoragePools():
        if pool.name() == policy.default_pool:
            if pool.isActive():
                pool.destroy()
            pool.undefine()


@pytest.fixture(scope="session")
def demo_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bootable demo guest, built once and kept by its builder."""
    path = tmp_path_factory.mktemp("guest") / "demo-guest.qcow2"
    command = [str(ROOT / "demo/guest/build"), str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    return path


@pytest.fixture
def guest_disk(libvirt_engine: LiveHost, demo_image: Path) -> Iterator[Any]:
    """A root disk with the demo guest."""
    server = ImageServer({"guest.qcow2": demo_image.read_bytes()})
    try:
        source = {"http": {"url": server.url("guest.qcow2")}}
        yield libvirt_engine.made(libvirt_engine.site.data_volume("root", source, size="80Mi"))
    finally:
        server.close()
