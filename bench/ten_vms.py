"""Creating ten VMs (disk and NIC, running): gitvirt from an empty host against a bare four-thread libvirt-python loop.

gitvirt's time runs from the wake-up that fetches the commit to the end of the cycle that has all ten running, journal
included. The loop makes the same volumes and starts domains with the very XML that gitvirt defined. Both find their
network there already.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import libvirt
import yaml

from bench.figure import Figure
from demo.clean import remove_everything_of
from reconciler.daemon.wake import Wake
from reconciler.settings import Settings, load_settings
from reconciler.wiring import build_core

OWNER, NAMESPACE, URI = "gitvirt-bench", "bench", "qemu:///system"
COUNT, ROUNDS, THREADS = 10, 3, 4
DISK_MIB = 64

MANIFEST = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: bench}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {mib}Mi}}}}}}
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}, namespace: bench}}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        memory: {{guest: 64Mi}}
        devices:
          disks: [{{name: root, disk: {{bus: virtio}}}}]
          interfaces: [{{name: default, masquerade: {{}}}}]
      networks: [{{name: default, pod: {{}}}}]
      volumes: [{{name: root, persistentVolumeClaim: {{claimName: {name}}}}}]
"""


def measure() -> list[Figure]:
    """Rounds of both, in turn, so that a busy moment of the machine hits both."""
    ours: list[float] = []
    bare: list[float] = []
    connection = libvirt.open(URI)
    try:
        for number in range(ROUNDS + 1):
            taken, xmls = _gitvirt()
            loop = _bare_loop(connection, xmls)
            if number:  # the first round warms caches of libvirt and QEMU for both
                ours.append(taken)
                bare.append(loop)
            print(f"    round {number}: gitvirt {taken:.2f} s, bare loop {loop:.2f} s", flush=True)
    finally:
        remove_everything_of(OWNER)
        connection.close()
    what = f"create {COUNT} VMs, running"
    return [Figure(what=what, bound="bare 4-thread libvirt loop", measured=tuple(ours), bounds=tuple(bare), aim=1.3)]


def _gitvirt() -> tuple[float, list[str]]:
    """Seconds, and the XML of each domain as defined."""
    remove_everything_of(OWNER)
    with tempfile.TemporaryDirectory(prefix="gitvirt-bench-") as name:
        directory = Path(name)
        work = directory / "work"
        git(directory, "init", "--quiet", "--initial-branch=main", str(work))
        # One VM first: it brings the network up and the engine to life, neither of which is creating VMs.
        commit(work, {"warm.yaml": MANIFEST.format(name="warm", mib=DISK_MIB)})
        core = build_core(settings_of(directory, work))
        try:
            _run_until(core, 1)
            commit(work, {f"{n}.yaml": MANIFEST.format(name=f"vm{n}", mib=DISK_MIB) for n in range(COUNT)})
            begun = time.perf_counter()
            _run_until(core, COUNT + 1)
            taken = time.perf_counter() - begun
        finally:
            core.engine.close()
    connection = libvirt.open(URI)
    names = [f"{NAMESPACE}_vm{n}" for n in range(COUNT)]
    xmls = [connection.lookupByName(n).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) for n in names]
    connection.close()
    remove_everything_of(OWNER, networks=False)
    return taken, xmls


def settings_of(directory: Path, work: Path) -> Settings:
    """Settings of a bench that lives in ``directory`` and follows ``work``."""
    body = {
        "owner": OWNER,
        "mode": "enforce",
        "stateDirectory": str(directory / "state"),
        "runtimeDirectory": str(directory / "run"),
        "keyFile": str(directory / "key"),
        "source": {"url": str(work), "branch": "main"},
        "web": {"listen": "off"},
        "podNetwork": {"bridge": "gvbench0", "address": "10.81.0.1/24", "dhcpRange": ["10.81.0.10", "10.81.0.250"]},
    }
    path = directory / "settings.yaml"
    path.write_text(yaml.safe_dump(body))
    return load_settings(path)


def _run_until(core: Any, running: int) -> None:
    """Cycles until that many VMs run."""
    core.cycle.run(Wake(fetch=True))
    for _ in range(100):
        up = [s for s in core.cycle.status() if s.key.kind == "VirtualMachine" and s.printable_status == "Running"]
        if len(up) == running:
            return
        core.cycle.run(Wake(everything=True))
    raise RuntimeError("the VMs do not come up: " + "; ".join(f"{s.key}: {s.message}" for s in core.cycle.status()))


def _bare_loop(connection: Any, xmls: list[str]) -> float:
    """Seconds for the same VMs under other names, made by hand."""
    pool = connection.storagePoolLookupByName("default")

    def make(number: int) -> None:
        volume = f"bare_vm{number}.qcow2"
        pool.createXML(
            f"<volume><name>{volume}</name><capacity unit='MiB'>{DISK_MIB}</capacity>"
            "<target><format type='qcow2'/></target></volume>"
        )
        xml = re.sub(r"<metadata>.*?</metadata>", "", xmls[number], flags=re.DOTALL)
        xml = re.sub(r"<uuid>.*?</uuid>|<entry name='uuid'>.*?</entry>", "", xml)
        xml = re.sub(r"<mac address='..:..:..", "<mac address='02:fe:fe", xml)
        xml = xml.replace(f"{NAMESPACE}_vm{number}", f"bare_vm{number}")
        connection.defineXML(xml).create()

    begun = time.perf_counter()
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(make, range(COUNT)))
        return time.perf_counter() - begun
    finally:
        for number in range(COUNT):
            _forget(connection, pool, number)


def _forget(connection: Any, pool: Any, number: int) -> None:
    steps: tuple[Callable[[], Any], ...] = (
        lambda: connection.lookupByName(f"bare_vm{number}").destroy(),
        lambda: connection.lookupByName(f"bare_vm{number}").undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM),
        lambda: pool.storageVolLookupByName(f"bare_vm{number}.qcow2").delete(),
    )
    for remove in steps:
        try:
            remove()
        except libvirt.libvirtError:
            continue  # it was not made


def commit(work: Path, files: dict[str, str]) -> None:
    """Write files and commit them."""
    for name, text in files.items():
        (work / name).write_text(text)
    git(work, "add", "--all")
    git(work, "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "--message", "VMs")


def git(directory: Path, *arguments: str) -> None:
    """Run git."""
    subprocess.run(["git", "-C", str(directory), *arguments], check=True, capture_output=True)
