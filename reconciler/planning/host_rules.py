"""What the host of a plan has room for: rules beside those of the manifests.

Only what can never be had is refused. Memory, CPUs and disks that are promised to more VMs than there are of them are common
practice, so that is told and nothing is held back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, PoolFacts
from reconciler.model.plan import Action, Change, Note
from reconciler.model.power import RunStrategy
from reconciler.model.problem_codes import problem
from reconciler.model.quantity import MIB, format_bytes
from reconciler.model.resolved import ResolvedVm, ResolvedVolume
from reconciler.planning.unresolvable import UnresolvableError

_STAYS_OFF = (RunStrategy.HALTED, RunStrategy.MANUAL)


def require_room(vm: ResolvedVm, host: HostFacts) -> None:
    """A VM's memory is not more than the host has; a host that does not say how much it has is not judged.

    Raises:
        UnresolvableError: the VM could never start here.
    """
    if not host.memory_mib or vm.domain.memory_mib <= host.memory_mib or vm.document is None:
        return
    path = vm.domain.origins.get("memory_mib", "")
    wanted, there = format_bytes(vm.domain.memory_mib * MIB), format_bytes(host.memory_mib * MIB)
    raise UnresolvableError(
        problem(
            "host-memory-exceeded",
            vm.document.place(tuple(path.split("."))),
            f"the VM has {wanted} of memory, and the host {there}",
            object=vm.key,
            path=path,
            hint="give it less, or keep it on another host with nodeSelector",
        )
    )


def beyond_its_pool(volume: ResolvedVolume, host: HostFacts) -> str:
    """Why a new volume can never be filled where it would be; empty when it can, or nobody knows."""
    pool = _pools(host).get(volume.pool)
    if pool is None or not pool.active or volume.size_bytes <= pool.capacity_bytes:
        return ""
    wanted, there = format_bytes(volume.size_bytes), _rounded(pool.capacity_bytes)
    return f"the disk is to have {wanted}, and its whole pool {pool.name} has {there}"


def promised_mib(vm: ResolvedVm) -> int:
    """The memory that a VM takes of the host by its own run strategy."""
    return 0 if vm.run_strategy in _STAYS_OFF else vm.domain.memory_mib


def cpu_strain(vm: ResolvedVm, host: HostFacts) -> Note | None:
    """A word where a VM has more CPUs than its host."""
    cpu = vm.domain.cpu
    count = cpu.sockets * cpu.cores * cpu.threads
    if not host.cpus or count <= host.cpus:
        return None
    text = f"its {count} virtual CPUs share the {host.cpus} of the host"
    return Note(key=vm.key, code="host-cpus-exceeded", message=text)


def strain(memory_mib: int, changes: Iterable[Change], host: HostFacts) -> Iterator[Note]:
    """What is promised to more than there is of it; ``memory_mib`` is what all VMs that should run have together."""
    here = ObjectKey("Host", "", host.hostname)
    if host.memory_mib and memory_mib > host.memory_mib:
        wanted, there = _rounded(memory_mib * MIB), _rounded(host.memory_mib * MIB)
        text = f"the VMs that should run have {wanted} of memory together, and the host {there}"
        yield Note(key=here, code="host-memory-overcommitted", message=text)
    yield from _pool_strain(changes, host, here)


def _pool_strain(changes: Iterable[Change], host: HostFacts, here: ObjectKey) -> Iterator[Note]:
    """New disks that may outgrow what is free now."""
    new: dict[str, list[int]] = defaultdict(list)
    for change in changes:
        volume = change.wanted
        if change.action is Action.CREATE and isinstance(volume, ResolvedVolume) and not change.restore:
            new[volume.pool].append(volume.size_bytes)
    pools = _pools(host)
    for name, sizes in sorted(new.items()):
        pool = pools.get(name)
        if pool is not None and pool.active and sum(sizes) > pool.available_bytes:
            disks = "a new disk" if len(sizes) == 1 else f"{len(sizes)} new disks"
            free, wanted = _rounded(pool.available_bytes), _rounded(sum(sizes))
            text = f"pool {name} has {free} free, and {disks} may grow to {wanted}"
            yield Note(key=here, code="pool-overcommitted", message=text)


def _pools(host: HostFacts) -> Mapping[str, PoolFacts]:
    return {pool.name: pool for pool in host.pools}


def _rounded(size_bytes: int) -> str:
    """A size for people, in whole MiB or GiB."""
    mib = size_bytes // MIB
    return f"{mib / 1024:.1f}Gi" if mib >= 10 * 1024 else f"{mib}Mi"
