"""The whole way in, in one process of its own: git objects → tree → YAML → schema → rules → references → resolve → plan → the
cycle on the simulated host, and the XML that libvirt would get.

``python -m tests.hostile.way_in SETTINGS`` follows the repository of the settings for some cycles and prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodeexec.libvirt import domain_xml, network_xml, support
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.marks import DomainMarks, from_metadata, to_metadata
from nodeexec.libvirt.new_marks import marks_for
from reconciler.daemon.key import numbering_digest
from reconciler.manifests.declared_set import DeclaredSet
from reconciler.manifests.load import load_blob
from reconciler.model.declared import Reading
from reconciler.model.live import HostFacts, Observation
from reconciler.model.policy import Policy
from reconciler.model.problem import Problem
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedVm
from reconciler.planning.resolve import resolve

FLAVOUR = Flavour(accelerator="qemu", seed_pool="default", console_log_directory="/var/log/gitvirt/consoles")
POLICY = Policy(
    host="here",
    host_labels={"kubernetes.io/hostname": "here"},
    allowed_bridges=("br-allowed",),
    allowed_interfaces=("eth1",),
)
NOTHING = Observation(
    taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    host=HostFacts(hostname=POLICY.host, labels=POLICY.host_labels, bridges=("lo", "eth0")),
    objects={},
)


def take_in(files: Mapping[str, bytes]) -> tuple[tuple[Problem, ...], Mapping[Any, Resolved]]:
    """What a set of files comes to, without Git and without a host, down to the XML. Never raises for what the files hold."""
    together = DeclaredSet(support.check)
    together.update((), [load_blob(data, name) for name, data in sorted(files.items())])
    declared = together.declared({"": Reading(revision="r")})
    desired = resolve(declared, NOTHING, policy=POLICY, digest=numbering_digest())
    for resolved in desired.objects.values():
        build_xml(resolved)
    return (*together.problems, *desired.trouble.values()), desired.objects


def build_xml(resolved: Resolved) -> None:
    """The XML that libvirt would get, marks included, and read back: it says what was meant, and nothing of a manifest became an
    element of its own.
    """
    own = marks_for(resolved, "r", None, policy=POLICY, now=NOTHING.taken_at)
    metadata = to_metadata(DomainMarks(marks=own))
    if isinstance(resolved, ResolvedVm):
        xml = domain_xml.build(resolved.domain, FLAVOUR, metadata=metadata)
        parsed = domain_xml.parse(xml).spec
        assert [(disk.name, disk.serial) for disk in parsed.disks] == [
            (disk.name, disk.serial) for disk in resolved.domain.disks
        ]
    elif isinstance(resolved, ResolvedNetwork):
        xml = network_xml.build(resolved.network, "n", metadata=metadata)
        assert resolved.network.host_bridge or network_xml.parse(xml) == resolved.network
    else:
        return
    read = from_metadata(xml)
    assert isinstance(read, DomainMarks)
    assert read.marks == own


def follow(settings: Path, cycles: int = 3) -> dict[str, Any]:
    """Some cycles over the repository; what came of it and what it cost."""
    from reconciler.daemon.wake import Wake
    from reconciler.settings import load_settings
    from reconciler.wiring import build_core

    core = build_core(load_settings(settings))
    begun = time.process_time()
    core.cycle.run(Wake(fetch=True))
    first_s = time.process_time() - begun
    begun = time.process_time()
    for _ in range(cycles - 1):
        report = core.cycle.run(Wake(fetch=True, everything=True))
    again_s = time.process_time() - begun
    codes: dict[str, list[str]] = {}
    for found in report.problems:
        codes.setdefault(found.place.file, []).append(found.code)
    (status,) = report.sources.values()
    return {
        "source": str(status.state),
        "message": status.message,
        "codes": {file: sorted(set(some)) for file, some in codes.items()},
        "count": len(report.problems),
        "longest": max((len(found.message) + len(found.hint) for found in report.problems), default=0),
        "status": {str(status.key): status.printable_status for status in core.cycle.status()},
        "first_s": first_s,
        "again_s": again_s,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def watch_files(seen: set[str]) -> None:
    """Note what is opened for writing, what is run, and what secrets of the system are read, from here on."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path, flags = os.fsdecode(arguments[0]), arguments[2] or 0
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or path.startswith("/etc/shadow"):
                seen.add(path)
        elif event in ("subprocess.Popen", "os.exec", "os.system", "socket.connect"):
            seen.add(f"{event} {arguments[:2]}")

    sys.addaudithook(hook)


if __name__ == "__main__":
    touched: set[str] = set()
    watch_files(touched)
    result = follow(Path(sys.argv[1]))
    print(json.dumps({**result, "touched": sorted(touched)}))
