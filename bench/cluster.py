"""What a cluster costs: a first sync of thousands of VMs beside kubectl's, a commit of one file, a cycle with nothing to do, and a
daemon that watches them.

etcd and kube-apiserver are those of ``KUBEBUILDER_ASSETS``; kubectl is found on PATH. ``GITVIRT_BENCH_VMS`` says how many VMs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.figure import Figure
from bench.idle_daemon import measured
from nodeexec.kubevirt.engine import KubevirtEngine
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.wake import Wake
from reconciler.journal.git_journal import PACKING
from reconciler.settings import load_settings
from reconciler.wiring import Core, build_core
from tests.cluster import servers
from tests.cluster.hands import Hands
from tests.unit.daemon.homes import Home

VMS = int(os.environ.get("GITVIRT_BENCH_VMS", "2000"))
SETTLES_S = 60.0


def measure() -> list[Figure]:
    """All of it, on one API server; nothing where there is none."""
    reason = servers.missing()
    if reason:
        print(f"    not measured: {reason}", flush=True)
        return []
    with tempfile.TemporaryDirectory(prefix="gitvirt-bench-") as directory:
        plane = servers.ControlPlane(Path(directory))
        try:
            plane.start()
            hands = Hands(plane.kubeconfig)
            hands.install_definitions()
            return _figures(plane, hands, Path(directory))
        finally:
            plane.stop()


def _figures(plane: servers.ControlPlane, hands: Hands, directory: Path) -> list[Figure]:
    home = _home(directory / "home", plane, "ours")
    for namespace in ("ours", "theirs"):
        hands.make_namespace(namespace)
    theirs = directory / "theirs"
    _write(theirs, "theirs")
    kubectl_s = _kubectl(plane, theirs)
    hands.clear("theirs")
    with _opened(home) as (core, engine):
        cold_s, cold = _timed(lambda: core.cycle.run(Wake(fetch=True)))
        _require(len(cold.record.applied) == VMS and not any(one.outcome.is_fault for one in cold.record.applied))
        print(f"    {VMS} VMs: {cold_s:.1f} s, kubectl {kubectl_s:.1f} s; requests {dict(engine.requests)}", flush=True)
        _settle(core)
        # The first change after it also asks the journal once what it has of everything.
        home.commit({"vm-00006.yaml": _vm("vm-00006", "ours", memory="512Mi")})
        first_s, _ = _timed(lambda: core.cycle.run(Wake(fetch=True)))
        home.commit({"vm-00007.yaml": _vm("vm-00007", "ours", memory="512Mi")})
        before = _writes(engine)
        change_s, changed = _timed(lambda: core.cycle.run(Wake(fetch=True)))
        _require(len(changed.record.applied) == 1)
        writes = _writes(engine) - before
        before, reads = _writes(engine), sum(engine.requests.values())
        silent_s, _ = _timed(lambda: core.cycle.run(Wake(everything=True)))
        _require(_writes(engine) == before)
        print(
            f"    one change: {first_s * 1000:.0f} ms, then {change_s * 1000:.0f} ms, {writes} requests that write",
            flush=True,
        )
        print(f"    a full look: {silent_s:.2f} s, {sum(engine.requests.values()) - reads} requests", flush=True)
        print(f"    memory {_memory_mb():.0f} MB with {VMS} VMs watched and declared", flush=True)
    idle = measured(home.settings_file, directory / "home" / "run" / "control.sock")
    return [
        _figure(f"{VMS} VMs, from nothing to applied", "kubectl apply --server-side", cold_s, kubectl_s, 1.3),
        _figure("one file of them changed: the whole cycle", "1 s", change_s, 1.0, 1.0),
        _figure("requests that write for it", "5", float(writes), 5.0, 1.0, unit="requests"),
        idle.figure(f"a daemon that watches {VMS} VMs: CPU in {idle.taken_s:.0f} s"),
    ]


def _settle(core: Core) -> None:
    """What a sync leaves to be done once, behind the cycles: the journal's new objects are packed."""
    begun, used = time.monotonic(), time.process_time()
    while core.workers.is_under_way(PACKING) and time.monotonic() < begun + SETTLES_S:
        time.sleep(0.5)
    taken, spent = time.monotonic() - begun, time.process_time() - used
    print(f"    settling after it (the journal is packed): {spent:.2f} s of CPU in {taken:.1f} s", flush=True)


def _figure(what: str, bound: str, measured: float, bounds: float, aim: float, unit: str = "s") -> Figure:
    return Figure(what=what, bound=bound, measured=(measured,), bounds=(bounds,), aim=aim, unit=unit)


@contextmanager
def _opened(home: Home) -> Iterator[tuple[Core, KubevirtEngine]]:
    core = build_core(load_settings(home.settings_file))
    try:
        assert isinstance(core.engine, KubevirtEngine)
        yield core, core.engine
    finally:
        core.close()


def _home(directory: Path, plane: servers.ControlPlane, namespace: str) -> Home:
    home = Home(directory=directory)
    _write(home.repository, namespace)
    home.git("init", "-q", "-b", "main")
    home.git("add", "-A")
    home.git("commit", "-q", "-m", "all")
    settings = {
        "source": {"url": str(home.repository)},
        "engine": {"kubevirt": {"kubeconfig": str(plane.kubeconfig), "leaseNamespace": namespace}},
        "mode": "enforce",
        "stateDirectory": str(directory / "state"),
        "runtimeDirectory": str(directory / "run"),
        "keyFile": str(directory / "key"),
    }
    home.settings_file.write_text(yaml.safe_dump(settings))
    return home


def _write(directory: Path, namespace: str) -> None:
    directory.mkdir(parents=True)
    for number in range(VMS):
        name = f"vm-{number:05}"
        (directory / f"{name}.yaml").write_text(_vm(name, namespace))


def _vm(name: str, namespace: str, memory: str = "256Mi") -> str:
    return f"""apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}, tier: backend}}}}
spec:
  runStrategy: Always
  template:
    metadata: {{labels: {{kubevirt.io/vm: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 60
      domain:
        cpu: {{sockets: 1, cores: 2, threads: 1}}
        memory: {{guest: {memory}}}
        devices:
          disks:
          - {{name: root, bootOrder: 1, disk: {{bus: virtio}}}}
          - {{name: seed, disk: {{bus: virtio}}}}
          interfaces:
          - {{name: default, masquerade: {{}}}}
      networks:
      - {{name: default, pod: {{}}}}
      volumes:
      - {{name: root, containerDisk: {{image: registry.example.org/disks/{name}}}}}
      - name: seed
        cloudInitNoCloud:
          userData: |
            #cloud-config
            hostname: {name}
            packages: [qemu-guest-agent]
"""


def _kubectl(plane: servers.ControlPlane, directory: Path) -> float:
    begun = time.monotonic()
    subprocess.run(
        ["kubectl", "--kubeconfig", str(plane.kubeconfig), "apply", "--server-side", "-f", str(directory)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - begun


def _timed(work: Callable[[], CycleReport]) -> tuple[float, CycleReport]:
    begun = time.monotonic()
    report = work()
    return time.monotonic() - begun, report


def _writes(engine: Any) -> int:
    return sum(count for method, count in engine.requests.items() if method != "GET")


def _memory_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _require(held: bool) -> None:
    """Figures of something else than what is said are worth nothing."""
    if not held:
        raise RuntimeError("the cycle did not do what is to be measured")
