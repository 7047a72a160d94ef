"""Seed ISOs and scratch disks: volumes that belong to one VM, are made with it and end with it."""

from __future__ import annotations

from contextlib import suppress

from nodeexec.libvirt.domains import uses_of
from nodeexec.libvirt.errors import ApplyEndedError
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.naming import (
    key_of_domain,
    scratch_of_volume,
    scratch_volume_name,
    seed_of_volume,
    seed_volume_name,
)
from nodeexec.libvirt.pools import Pool, Pools
from nodeexec.libvirt.seed_iso import build_seed_iso
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.volume_files import (
    NameTakenError,
    create_file,
    list_names,
    read_volume,
    write_file,
)
from nodeexec.libvirt.volume_marks import attached_marks, marked_vm
from nodeexec.libvirt.volume_sidecars import forget_sidecar
from reconciler.model.domain import ScratchSource, SeedSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.outcome import Result
from reconciler.model.policy import Policy
from reconciler.model.resolved import ResolvedVm
from reconciler.ports import Clock


class AttachedVolumes:
    """Makes and removes them in the default pool."""

    def __init__(self, pools: Pools, policy: Policy, clock: Clock) -> None:
        self._pools = pools
        self._policy = policy
        self._clock = clock

    def make(self, wanted: ResolvedVm, revision: str, steps: Steps) -> None:
        """Those that a VM needs and that are not there. The name of an ISO says what is in it, so one that is there fits.

        Raises:
            ApplyEndedError: an ISO is missing and its content is not at hand, or a name is taken.
            VolumeError, PoolUnreadableError, libvirt.libvirtError: the pool refuses.
        """
        domain = wanted.domain.name
        disks = [disk for disk in wanted.domain.disks if isinstance(disk.source, SeedSource | ScratchSource)]
        if not disks:
            return
        pool = self._pools.require(self._policy.default_pool)
        seeds = {seed.volume: seed for seed in wanted.seeds}
        before = len(steps.done)
        for disk in disks:
            if isinstance(disk.source, SeedSource):
                name, seed = seed_volume_name(domain, disk.name, disk.source.digest), seeds.get(disk.name)
                if self._is_there(pool, name):
                    continue
                if seed is None or seed.digest != disk.source.digest:
                    raise ApplyEndedError(
                        Result.FAILED,
                        f"{name} is not there and its cloud-init data is not at hand; make the manifest valid",
                    )
                content = build_seed_iso(seed.label, seed.files)
                self._put(steps, f"created seed {disk.name}", pool, name, wanted, revision, content)
            elif isinstance(disk.source, ScratchSource):
                name = scratch_volume_name(domain, disk.name)
                if not self._is_there(pool, name):
                    size = disk.source.capacity_bytes
                    self._put(steps, f"created scratch disk {disk.name}", pool, name, wanted, revision, size)
        if len(steps.done) > before:
            self._pools.refresh(pool)

    def drop(self, key: ObjectKey, steps: Steps, *halves: str | None) -> None:
        """Remove those of a VM that no half of its domain names any more; without halves, all of them.

        Raises:
            PoolUnreadableError, OSError, libvirt.libvirtError: the pool refuses.
        """
        pool = self._pools.read(self._policy.default_pool)
        if pool is None:
            return
        uses, before = uses_of(*halves), len(steps.done)
        for name in sorted(list_names(pool)):
            if vm_of_attached(name) != key or (pool.name, name) in uses.volumes:
                continue
            file = read_volume(pool, name)
            marks = file.marks if file is not None else None
            ours = isinstance(marks, DomainMarks) and marks.marks.owner == self._policy.owner
            if file is None or not ours or str(file.path) in uses.paths:
                continue
            steps.do(f"removed {name}", file.path.unlink)
            forget_sidecar(pool, name)
        if len(steps.done) > before and pool.active:
            self._pools.refresh(pool)

    def _put(
        self, steps: Steps, step: str, pool: Pool, name: str, wanted: ResolvedVm, revision: str, what: bytes | int
    ) -> None:
        own = Marks(
            owner=self._policy.owner,
            host=self._policy.host,
            revision=revision,
            applied=None,
            created_at=self._clock.now(),
        )
        marks = attached_marks(own, wanted.key)
        with suppress(NameTakenError):
            if isinstance(what, bytes):
                steps.do(step, lambda: write_file(pool, name, what, marks))
            else:
                steps.do(step, lambda: create_file(pool, name, format="qcow2", size_bytes=what, marks=marks))
        steps.attempting = ""

    def _is_there(self, pool: Pool, name: str) -> bool:
        """Raises ApplyEndedError when the file is somebody else's."""
        file = read_volume(pool, name)
        if file is None:
            return False
        marks = file.marks
        if not isinstance(marks, DomainMarks) or marks.marks.owner != self._policy.owner or marked_vm(marks) is None:
            raise ApplyEndedError(
                Result.REFUSED, f"{file.path} exists and is not gitvirt's; move it away or rename the VM"
            )
        return True


def vm_of_attached(volume: str) -> ObjectKey | None:
    """The VM that a seed's or scratch disk's name stands for; None for any other file."""
    found = seed_of_volume(volume) or scratch_of_volume(volume)
    return key_of_domain(found[0]) if found is not None else None
