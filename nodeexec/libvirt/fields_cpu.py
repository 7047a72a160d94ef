"""Rows for vCPUs, the CPU model and memory.

*Source*: libvirt's "Domain XML format": CPU allocation, CPU model and topology, memory allocation and backing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.libvirt.codecs import MIB_IN_KIB, NUMBER
from nodeexec.libvirt.safe_xml import Element
from nodeexec.libvirt.table import Joint, Reading, Row, Writing
from nodeexec.libvirt.xml_place import add, ensure, find, find_all
from reconciler.model.domain import CpuSpec

PASSTHROUGH = "host-passthrough"
HOST_MODEL = "host-model"
MAXIMUM = "maximum"
HOST_MODES = (PASSTHROUGH, HOST_MODEL)


def read_topology(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """vCPUs now and at most, and how they are laid out. A number of vCPUs that no number of whole sockets gives (set by
    hand) reads as that many sockets of one core.
    """
    vcpu, topology = find(root, "vcpu"), find(root, "cpu/topology")
    most = int((vcpu.text if vcpu is not None else None) or 1)
    now = int((vcpu.get("current") if vcpu is not None else None) or most)
    cores = int(topology.get("cores", "1")) if topology is not None else 1
    threads = int(topology.get("threads", "1")) if topology is not None else 1
    a_socket = cores * threads
    if now % a_socket or most % a_socket:
        cores = threads = a_socket = 1
    return {
        "cpu.sockets": now // a_socket,
        "cpu.cores": cores,
        "cpu.threads": threads,
        "cpu.max_sockets": most // a_socket,
    }


def write_topology(root: Element, cpu: CpuSpec, _writing: Writing) -> None:
    """The guest gets room for all sockets, of which only the first are plugged in."""
    most = max(cpu.max_sockets, cpu.sockets)
    a_socket = cpu.cores * cpu.threads
    vcpu = add(root, "vcpu", str(most * a_socket), placement="static")
    if most > cpu.sockets:
        vcpu.set("current", str(cpu.sockets * a_socket))
    add(ensure(root, "cpu"), "topology", sockets=str(most), cores=str(cpu.cores), threads=str(cpu.threads))


def read_model(root: Element, reading: Reading) -> Mapping[str, Any]:
    """A running domain shows what libvirt made of the model for this host, so there the kept one speaks; and where
    the XML says no more than "the default", the kept name of it does.
    """
    kept = reading.kept.get("cpu") or {}
    kept_model = str(kept.get("model", ""))
    kept_features = tuple((str(name), str(policy)) for name, policy in kept.get("features") or ())
    cpu = find(root, "cpu")
    if reading.running and kept:
        return {"cpu.model": kept_model, "cpu.features": kept_features}
    if cpu is None:
        return {"cpu.model": "", "cpu.features": ()}
    features = tuple(
        sorted((feature.get("name", ""), feature.get("policy", "require")) for feature in find_all(cpu, "feature"))
    )
    mode, named = cpu.get("mode", "custom"), find(cpu, "model")
    if mode == "custom":
        model = (named.text or "") if named is not None else ""
    elif mode == default_mode(reading.accelerator):
        model = kept_model if kept_model in ("", *HOST_MODES) else ""
    else:
        model = mode
    return {"cpu.model": model, "cpu.features": features}


def write_model(root: Element, cpu: CpuSpec, writing: Writing) -> None:
    """Emulation has no host CPU to show: there the host's models become the most that the emulator can do."""
    element = ensure(root, "cpu")
    accelerator = writing.host.accelerator
    if cpu.model in ("", *HOST_MODES):
        wanted = cpu.model or default_mode(accelerator)
        mode = wanted if accelerator == "kvm" else MAXIMUM
        element.set("mode", mode)
        element.set("check", "partial" if mode == HOST_MODEL else "none")
    else:
        element.set("mode", "custom")
        element.set("match", "exact")
        element.set("check", "partial" if accelerator == "kvm" else "none")
        add(element, "model", cpu.model, fallback="allow")
    for name, policy in cpu.features:
        add(element, "feature", policy=policy or "require", name=name)


def default_mode(accelerator: str) -> str:
    """The CPU mode behind an empty model."""
    return HOST_MODEL if accelerator == "kvm" else MAXIMUM


CPU_ROWS: tuple[Row | Joint, ...] = (
    Row(field="memory_mib", places=("memory", "currentMemory"), codec=MIB_IN_KIB),
    Row(field="hugepages_kib", places=("memoryBacking/hugepages/page@size",), codec=NUMBER),
    Joint(
        fields=("cpu.sockets", "cpu.cores", "cpu.threads", "cpu.max_sockets"),
        read=read_topology,
        write=lambda root, spec, writing: write_topology(root, spec.cpu, writing),
        knows=("vcpu", "cpu/topology"),
    ),
    Joint(
        fields=("cpu.model", "cpu.features"),
        read=read_model,
        write=lambda root, spec, writing: write_model(root, spec.cpu, writing),
        knows=("cpu/model", "cpu/feature", "cpu/vendor", "cpu/maxphysaddr"),
    ),
)
