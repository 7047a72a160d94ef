"""What is on a host that belongs to this world, and what should be: nothing doubled, nothing lost, nothing left over.

It is written from the manifests and from what the kernel, libvirt and the filesystem say, and uses nothing of gitvirt's own reading
of either. Each violation is one sentence.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.live.killed.world import KilledWorld

_XATTR = "user.gitvirt"
_RUNS = ("Always", "RerunOnFailure", "Once")
_PASSES_S = 20.0


@dataclass
class Declared:
    """What the files of a repository declare. ``claims`` are storage classes by name, ``seeded`` VMs with cloud-init data."""

    vms: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    seeded: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, files: Collection[str]) -> Declared:
        """From the text of the files."""
        found = cls()
        for document in (body for text in files for body in yaml.safe_load_all(text) if body):
            name, spec = document["metadata"]["name"], document["spec"]
            match document["kind"]:
                case "VirtualMachine":
                    found.vms[name] = document
                    for template in spec.get("dataVolumeTemplates", ()):
                        found.claims[template["metadata"]["name"]] = _class_of(template["spec"])
                    volumes = spec["template"]["spec"]["volumes"]
                    if any("cloudInitNoCloud" in volume for volume in volumes):
                        found.seeded.add(name)
                case "PersistentVolumeClaim" | "DataVolume":
                    found.claims[name] = _class_of(spec)
                case "NetworkAttachmentDefinition":
                    found.networks.add(name)
        return found

    @property
    def running(self) -> set[str]:
        """VMs that are to run."""
        return {name for name, document in self.vms.items() if document["spec"]["runStrategy"] in _RUNS}


def _class_of(spec: Mapping[str, Any]) -> str:
    return str((spec.get("storage") or spec.get("pvc") or spec).get("storageClassName", ""))


def violations(world: KilledWorld, ever: Collection[str] = ()) -> list[str]:
    """All that is not as it should be, once nothing is left to do. ``ever`` are claims that had a volume at some time: what of
    them is not declared any more has to be in the trash.
    """
    declared = Declared.of([text for text in world._files.values() if text])
    found = [
        *_domains(world, declared),
        *_networks(world, declared),
        *_volumes(world, declared),
        *_beside_the_volumes(world),
        *_trash(world, declared, ever),
        *_interfaces(world, declared),
        *_that_stay(lambda: [*_processes(world, declared), *_directories(world)]),
    ]
    return sorted(found)


def _that_stay(look: Callable[[], list[str]]) -> list[str]:
    """A daemon that looks at its host or writes its journal has a child, a lock or a file there for a moment: that is no violation."""
    until = time.monotonic() + _PASSES_S
    while (found := look()) and time.monotonic() < until:
        time.sleep(0.3)
    return found


def _domains(world: KilledWorld, declared: Declared) -> Iterator[str]:
    prefix = f"{world.namespace}_"
    domains = [domain for domain in world.connection.listAllDomains() if domain.name().startswith(prefix)]
    names = [domain.name().removeprefix(prefix) for domain in domains]
    yield from _differences("domains", names, declared.vms)
    for uuid, times in Counter(domain.UUIDString() for domain in domains).items():
        if times > 1:
            yield f"{times} domains have the UUID {uuid}"
    active = [domain.name().removeprefix(prefix) for domain in domains if domain.isActive()]
    yield from _differences("running guests", active, declared.running)
    yield from (f"{domain.name()} is transient" for domain in domains if not domain.isPersistent())
    yield from (f"libvirt keeps the secret {secret.UUIDString()}" for secret in world.connection.listAllSecrets())


def _networks(world: KilledWorld, declared: Declared) -> Iterator[str]:
    networks = [
        n for n in world.connection.listAllNetworks() if n.name().startswith((f"{world.namespace}_", "gitvirt-"))
    ]
    wanted = {f"{world.namespace}_{name}" for name in declared.networks}
    wanted |= {world.pod_network} if declared.vms else set()
    yield from _differences("networks", [network.name() for network in networks], wanted)
    yield from (f"network {network.name()} is off" for network in networks if not network.isActive())


def _volumes(world: KilledWorld, declared: Declared) -> Iterator[str]:
    inodes: Counter[tuple[int, int]] = Counter()
    for storage_class, directory in world.pools.items():
        files = (
            [path for path in directory.iterdir() if path.is_file() and path.name != "ballast"]
            if directory.exists()
            else []
        )
        wanted = {
            f"{world.namespace}_{name}.qcow2" for name, of_class in declared.claims.items() if of_class == storage_class
        }
        seeds = [path for path in files if path.suffix == ".iso"]
        yield from _differences(f"volumes in {directory.name}", [p.name for p in files if p not in seeds], wanted)
        yield from _seeds(world, seeds, declared.seeded if not storage_class else set())
        for path in files:
            inodes[path.stat().st_dev, path.stat().st_ino] += 1
            yield from _owner(world, path)
        yield from _known_to_libvirt(world, world.pool_names[storage_class], {path.name for path in files})
    yield from (f"{times} names stand for one file" for times in inodes.values() if times > 1)


def _seeds(world: KilledWorld, seeds: Collection[Path], seeded: Collection[str]) -> Iterator[str]:
    yield from _differences(
        "seeds", [path.name.split(".")[0].removeprefix(f"{world.namespace}_") for path in seeds], seeded
    )
    for path in seeds:
        domain = path.name.split(".")[0].removeprefix(f"{world.namespace}_")
        if domain in seeded and f"volume='{path.name}'" not in world.domain(domain).XMLDesc(2):
            yield f"no domain names the seed {path.name}"


def _owner(world: KilledWorld, path: Path) -> Iterator[str]:
    try:
        marks = json.loads(_marks_of(path))
    except (OSError, ValueError) as error:
        yield f"{path.name} has no marks: {error}"
        return
    if marks["owner"] != world.owner:
        yield f"{path.name} belongs to {marks['owner']}"


def _marks_of(path: Path) -> bytes:
    """On the file, or of one that came from a backup beside it."""
    try:
        return os.getxattr(path, _XATTR)
    except OSError:
        return (path.parent / ".gitvirt/marks" / f"{path.name}.json").read_bytes()


def _known_to_libvirt(world: KilledWorld, name: str, files: Collection[str]) -> Iterator[str]:
    pools = [pool for pool in world.connection.listAllStoragePools() if pool.name() == name and pool.isActive()]
    for pool in pools:
        told = {volume for volume in pool.listVolumes() if not volume.startswith(".")} - {"ballast", "lost+found"}
        if told != set(files):
            yield f"libvirt sees {sorted(told ^ set(files))} in {name} otherwise than the filesystem has it"


def _beside_the_volumes(world: KilledWorld) -> Iterator[str]:
    """The pools' own directories: nothing half made, and one entry of the register for each claim's volume."""
    for directory in world.pools.values():
        own = directory / ".gitvirt"
        yield from (f"left in {directory.name}: incoming/{name}" for name in _names(own / "incoming"))
        registered = [name.removesuffix(".json") for name in _names(own / "marks")]
        volumes = {path.name for path in directory.glob("*.qcow2")} if directory.exists() else set()
        yield from _differences(f"register of {directory.name}", registered, volumes)


def _trash(world: KilledWorld, declared: Declared, ever: Collection[str]) -> Iterator[str]:
    kept: Counter[str] = Counter()
    for directory in world.pools.values():
        for name in _names(directory / ".gitvirt/trash"):
            item = directory / ".gitvirt/trash" / name
            files = _names(item)
            facts = json.loads((item / "item.json").read_text()) if "item.json" in files else {}
            if not facts or (facts.get("volume") or "definition.xml") not in files:
                yield f"trash item {name} is not whole: {files}"
            elif facts["volume"]:
                kept[facts["key"].rpartition("/")[2]] += 1
    yield from (
        f"the disk {name} is neither here nor in the trash" for name in set(ever) - set(declared.claims) - set(kept)
    )


def _processes(world: KilledWorld, declared: Declared) -> Iterator[str]:
    guests, daemons = [], []
    servers: Counter[str] = Counter()
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            command = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        program, line = os.path.basename(command[0]), " ".join(command)
        if guest := re.search(rf"guest={world.namespace}_([a-z0-9.-]+),", line):
            guests.append(guest[1])
        elif program.startswith("qemu-") and str(world.directory) in line:
            yield f"process {directory.name} is left: {line[:120]}"
        elif program == "dnsmasq" and (net := re.search(r"dnsmasq/([^/]+)\.conf", line)):
            servers[net[1]] += _is_in(directory, world.host.libvirt.namespace)
        elif str(world.settings) in line and line.rstrip().endswith("run"):
            daemons.append(int(directory.name))
    yield from _differences("QEMU processes", guests, declared.running)
    # libvirt starts one with a helper of the same command line.
    networks = {f"{world.namespace}_{name}" for name in declared.networks} | {world.pod_network}
    yield from (f"{count} DHCP servers of {name}" for name, count in servers.items() if count > 2 and name in networks)
    yield from (
        f"a DHCP server of {name} is left"
        for name in servers
        if servers[name] and name not in networks and world.namespace in name
    )
    if daemons != [world.daemon_pid]:
        yield f"daemons run as {daemons}, wanted is {world.daemon_pid}"


def _is_in(process: Path, namespace: str) -> bool:
    try:
        return os.stat(process / "ns/net").st_ino == os.stat(f"/run/netns/{namespace}").st_ino
    except OSError:
        return False


def _interfaces(world: KilledWorld, declared: Declared) -> Iterator[str]:
    command = ["ip", "-n", world.host.libvirt.namespace, "-j", "link"]
    links = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    taps = [link["ifname"] for link in links if link["ifname"].startswith("vnet")]
    nics = sum(len(declared.vms[name]["spec"]["template"]["spec"].get("networks", ())) for name in declared.running)
    if len(taps) != nics:
        yield f"{len(taps)} taps for {nics} NICs of running guests"
    bridges = [link["ifname"] for link in links if link["ifname"] not in ("lo", *taps)]
    wanted = len(declared.networks) + bool(declared.vms)
    if len(bridges) != wanted:
        yield f"{bridges} are the bridges of {wanted} networks"


def _directories(world: KilledWorld) -> Iterator[str]:
    """gitvirt's own: one socket, one lock, no file of a process that is gone."""
    yield from (
        f"left at run time: {name}" for name in _names(world.directory / "run") if name not in ("control.sock", "kvm")
    )
    state = world.directory / "state"
    yield from (f"left in a repository: {path.relative_to(state)}" for path in state.rglob("*.git/**/*.lock"))
    locks = [path for path in Path("/run/gitvirt/locks").glob("*.lock") if _holder(path) == str(world.daemon_pid)]
    if len(locks) != 1:
        yield f"the daemon holds {len(locks)} locks"


def _holder(lock: Path) -> str:
    """Empty for one that is gone meanwhile: other tests have daemons too."""
    try:
        return lock.read_text().strip()
    except FileNotFoundError:
        return ""


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def _differences(what: str, found: Collection[str], wanted: Collection[str]) -> Iterator[str]:
    yield from (f"{what}: {name} {times} times" for name, times in Counter(found).items() if times > 1)
    yield from (f"{what}: {name} is not there" for name in sorted(set(wanted) - set(found)))
    yield from (f"{what}: {name} should not be there" for name in sorted(set(found) - set(wanted)))
