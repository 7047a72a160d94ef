"""The libvirt engine's own work against bare loops over libvirt-python: defining 200 domains, starting ten, looking at a
thousand.

Domains are defined off, without disks, so that what is measured is gitvirt's share and libvirt's, not QEMU's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt
from lxml import etree

from bench.figure import Figure
from bench.ten_vms import NAMESPACE, OWNER, THREADS, URI, commit, git, settings_of
from demo.clean import remove_everything_of
from reconciler.daemon.cycle_execution import execute
from reconciler.daemon.threads import ThreadWorkers
from reconciler.daemon.wake import Wake
from reconciler.model.outcome import Result
from reconciler.model.plan import Change
from reconciler.wiring import Core, build_core

DEFINED, STARTED, SCANNED, ROUNDS = 200, 10, 1000, 3
START_BATCHES = 3
"""Four guests that boot under emulation on two cores make every single round a matter of luck."""

MANIFEST = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}, namespace: bench}}
spec:
  runStrategy: {strategy}
  template:
    spec:
      domain:
        memory: {{guest: 64Mi}}
        devices: {{interfaces: [{{name: default, masquerade: {{}}}}]}}
      networks: [{{name: default, pod: {{}}}}]
---
"""


def measure() -> list[Figure]:
    """All three figures; gitvirt and its bound take turns, so that a busy moment of the machine hits both."""
    return [measure_define(), measure_start(), measure_scan()]


def measure_define() -> Figure:
    """The apply stage for new VMs that stay off."""
    ours: list[float] = []
    bare: list[float] = []
    for number in range(ROUNDS):
        with bench_core() as (core, work):
            _declare(core, work, DEFINED, "Halted")
            ours.append(_apply(core, core.cycle.plan_now().changes))
            xmls = _xmls(DEFINED)
            remove_everything_of(OWNER, networks=False)
            bare.append(_define_bare(xmls))
        print(f"    round {number}: gitvirt {ours[-1]:.2f} s, bare loop {bare[-1]:.2f} s", flush=True)
    what = f"define {DEFINED} domains (apply stage)"
    return Figure(what=what, bound="libvirt-python loop, same XML", measured=tuple(ours), bounds=tuple(bare), aim=1.5)


def measure_start() -> Figure:
    """The apply stage for VMs that are there and are to run. The domains are made anew after some rounds, for a guest that is
    stopped again and again soon after its start is backed off.
    """
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(START_BATCHES):
        with bench_core() as (core, work):
            _declare(core, work, STARTED, "Halted")
            core.cycle.run(Wake(everything=True))
            handles = [_connection().lookupByName(name) for name in _names(STARTED)]
            _start_bare(handles)  # the first start of all warms libvirt's caches
            _stop(handles)
            for _ in range(ROUNDS):
                bare.append(_start_bare(handles))
                _stop(handles)
                ours.append(_start(core, work, handles))
                _stop(handles)
                _declare(core, work, STARTED, "Halted")
                core.cycle.run(Wake(everything=True))
                print(f"    round {len(ours)}: gitvirt {ours[-1]:.2f} s, bare loop {bare[-1]:.2f} s", flush=True)
    what = f"start {STARTED} domains (apply stage)"
    return Figure(what=what, bound="bare 4-thread create() loop", measured=tuple(ours), bounds=tuple(bare), aim=1.1)


def _start(core: Core, work: Path, handles: Sequence[Any]) -> float:
    """Seconds until all run that are declared to run now."""
    _declare(core, work, STARTED, "Always")
    taken = _apply(core, core.cycle.plan_now().changes)
    if not all(handle.isActive() for handle in handles):
        raise RuntimeError("not all of the domains were started")
    return taken


def measure_scan() -> Figure:
    """One full look for drift: observe everything and compare it with what is wanted."""
    ours: list[float] = []
    bare: list[float] = []
    with bench_core() as (core, work):
        define_all(core, work, SCANNED)
        for number in range(ROUNDS):
            begun = time.perf_counter()
            plan = core.cycle.plan_now()
            ours.append(time.perf_counter() - begun)
            bare.append(_scan_bare())
            print(f"    round {number}: gitvirt {ours[-1]:.2f} s, bare {bare[-1]:.2f} s", flush=True)
            if plan.changes:
                raise RuntimeError("drift where there is none")
    what = f"drift scan of {SCANNED} domains (observe, compare, plan)"
    return Figure(what=what, bound="read and lxml-parse their XML", measured=tuple(ours), bounds=tuple(bare), aim=2.0)


@contextmanager
def bench_core() -> Iterator[tuple[Core, Path]]:
    """gitvirt over an empty repository with its network up; nothing of it is left afterwards."""
    remove_everything_of(OWNER)
    with tempfile.TemporaryDirectory(prefix="gitvirt-bench-") as name:
        directory = Path(name)
        work = directory / "work"
        git(directory, "init", "--quiet", "--initial-branch=main", str(work))
        commit(work, {"warm.yaml": MANIFEST.format(name="warm", strategy="Halted")})
        core = build_core(settings_of(directory, work))
        try:
            core.cycle.run(Wake(fetch=True))
            yield core, work
        finally:
            core.engine.close()
            remove_everything_of(OWNER)


def define_all(core: Core, work: Path, count: int) -> None:
    """That many domains, declared, defined and off."""
    _declare(core, work, count, "Halted")
    _apply(core, core.cycle.plan_now().changes)
    if core.cycle.plan_now().changes:
        raise RuntimeError("the defined domains are not as declared")


def _declare(core: Core, work: Path, count: int, strategy: str) -> None:
    """Commit the VMs, and have the source accept the commit without acting on it."""
    names = [f"vm{number}" for number in range(count)]
    commit(work, {"vms.yaml": "".join(MANIFEST.format(name=name, strategy=strategy) for name in names)})
    core.sources[""].fetch()


def _apply(core: Core, changes: Sequence[Change]) -> float:
    """Seconds that the apply stage takes."""
    begun = time.perf_counter()
    attempted, _ = execute(
        changes,
        postponed=(),
        begin=lambda _: None,
        engine=core.engine,
        workers=ThreadWorkers(THREADS),
        clock=core.clock,
    )
    taken = time.perf_counter() - begun
    failed = [
        f"{done.change.key}: {done.outcome.reason}" for done in attempted if done.outcome.result != Result.APPLIED
    ]
    if failed or len(attempted) != len(changes):
        raise RuntimeError(f"{len(failed)} changes failed, for instance {failed[:1]}")
    return taken


def _connection() -> Any:
    return libvirt.open(URI)


def _names(count: int) -> list[str]:
    return [f"{NAMESPACE}_vm{number}" for number in range(count)]


def _xmls(count: int) -> list[str]:
    connection = _connection()
    return [connection.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) for name in _names(count)]


def _define_bare(xmls: Sequence[str]) -> float:
    """The same XML, defined one after the other. The domains are there no more, so the very same names serve."""
    connection = _connection()
    begun = time.perf_counter()
    handles = [connection.defineXML(xml) for xml in xmls]
    taken = time.perf_counter() - begun
    for handle in handles:
        handle.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    return taken


def _start_bare(handles: Sequence[Any]) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda handle: handle.create(), handles))
    return time.perf_counter() - begun


def _stop(handles: Sequence[Any]) -> None:
    for handle in handles:
        if handle.isActive():
            handle.destroy()


def _scan_bare() -> float:
    connection = _connection()
    begun = time.perf_counter()
    for handle in connection.listAllDomains(0):
        etree.fromstring(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).encode())
    return time.perf_counter() - begun
