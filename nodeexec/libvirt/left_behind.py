"""Generated volumes (seed ISOs, scratch disks) that no domain names any more: what an ``undefine`` by hand leaves behind, a process
that ended between the domain and what belongs to it, or a removal that failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nodeexec.libvirt.attached_volumes import vm_of_attached
from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.observe_volumes import fingerprint_of
from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.volume_files import VolumeError, list_names, marks_of, read_volume
from nodeexec.libvirt.volume_marks import marked_vm
from reconciler.model.keys import ATTACHED_VOLUME, ObjectKey
from reconciler.model.live import LiveVolume
from reconciler.model.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """Reads them. Only a volume with marks of this owner and host that was generated for a VM, and is named by no domain at
    all, is one; of anything else nothing is said.
    """

    index: DomainIndex
    policy: Policy

    def of(self, pool: Pool) -> Iterator[LiveVolume]:
        """Those of a pool.

        Raises:
            OSError: the pool cannot be listed.
        """
        in_use = self.index.volumes_in(pool.name, pool.target)
        for name in sorted(list_names(pool)):
            if name not in in_use and (live := self.named(pool, name)) is not None:
                yield live

    def named(self, pool: Pool, name: str) -> LiveVolume | None:
        """One of them by its name on the host, None when it is not there or is something else."""
        marks = marks_of(pool, name) if vm_of_attached(name) is not None else None
        vm = marked_vm(marks)
        if vm is None or marks is None or not self._is_ours(marks):
            return None
        if self.index.users_of_volume(pool, name):
            return None
        try:
            file = read_volume(pool, name)
        except VolumeError:
            return None
        if file is None:
            return None
        live = LiveVolume(
            key=ObjectKey(ATTACHED_VOLUME, vm.namespace, name),
            fingerprint="",
            marks=marks.marks,
            pool=pool.name,
            volume=name,
            format=file.format,
            size_bytes=file.size_bytes,
            encrypted=file.encrypted,
            attached_to=vm,
        )
        return replace(live, fingerprint=fingerprint_of(live), allocated_bytes=file.allocated_bytes)

    def _is_ours(self, marks: DomainMarks) -> bool:
        return marks.marks.owner == self.policy.owner and marks.marks.host == self.policy.host
