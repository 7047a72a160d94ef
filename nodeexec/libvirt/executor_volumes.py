"""Changes of claims: made, imported and cloned beside their place, grown, taken to and from the trash. Never shrunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import libvirt

from nodeexec.libvirt.compare import compare
from nodeexec.libvirt.disk_keys import DiskKeys
from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.errors import ApplyEndedError
from nodeexec.libvirt.image_chain import overlays_on
from nodeexec.libvirt.import_request import ImportRequest
from nodeexec.libvirt.imports import Imports
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.naming import volume_name
from nodeexec.libvirt.new_marks import marks_for
from nodeexec.libvirt.observe import Observer
from nodeexec.libvirt.pools import Pool, Pools
from nodeexec.libvirt.safe_xml import parse_xml
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.trash import StoredItem, find_item, take_back, trash_volume
from nodeexec.libvirt.volume_files import VolumeError, VolumeFile, create_file, grow_file, read_volume, write_marks
from nodeexec.libvirt.volume_marks import claim_marks, storage_class_of
from nodeexec.libvirt.volume_sidecars import forget_sidecar
from reconciler.model.live import LOST, LiveVolume, Unreadable
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change
from reconciler.model.policy import Policy
from reconciler.model.resolved import ResolvedVolume, SourceKind
from reconciler.ports import Clock

WAIT_S = 5.0
COPY_POLL_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeChanges:
    """Applies one change of one volume."""

    policy: Policy
    clock: Clock
    domains: Domains
    index: DomainIndex
    observer: Observer
    pools: Pools
    imports: Imports
    keys: DiskKeys

    def apply(self, change: Change, steps: Steps) -> Outcome:
        """Re-observe, then act.

        Raises:
            ApplyEndedError: the change ends early.
            VolumeError, PoolUnreadableError, OSError, ValueError, libvirt.libvirtError: as the parts say.
        """
        self.index.refresh(fresh=change.action is Action.DELETE)
        wanted = change.wanted
        if change.action is not Action.DELETE and not isinstance(wanted, ResolvedVolume):
            raise ApplyEndedError(Result.REFUSED, f"{change.key}: the change does not say what is wanted")
        live = self.observer.volume(change.key, None)
        if isinstance(live, Unreadable):
            raise ApplyEndedError(Result.RETRY, live.reason, retry_after_s=WAIT_S)
        if live is not None:
            self._refuse_foreign(change, live)
            if live.fingerprint != change.expected and change.action is not Action.CREATE:
                raise ApplyEndedError(Result.CONFLICT, f"{change.key} changed since it was planned", retry_after_s=1.0)
        if not isinstance(wanted, ResolvedVolume):
            return self._delete(change, live, steps)
        if live is not None and live.phase == LOST and not change.restore and wanted.fresh_disk != live.loss:
            raise ApplyEndedError(Result.REFUSED, live.reason)
        if live is None or live.phase != "Succeeded":
            if change.action is not Action.CREATE:
                raise ApplyEndedError(Result.CONFLICT, f"{change.key} is not there", retry_after_s=1.0)
            outcome = self._create(change, wanted, steps)
            if live is not None and live.phase == LOST:
                self._forget_loss(live, wanted)
            return outcome
        if change.action is Action.CREATE and live.marks is not None and live.marks.applied != dict(wanted.applied):
            raise ApplyEndedError(Result.CONFLICT, f"{change.key} is there already", retry_after_s=1.0)
        return self._update(change, wanted, live, steps)

    def _forget_loss(self, lost: LiveVolume, wanted: ResolvedVolume) -> None:
        """What was lost under another name, or in another pool, than what takes its place is not looked for any more."""
        if (lost.pool, lost.volume) != (wanted.pool, volume_name(wanted.key.namespace, wanted.key.name, wanted.format)):
            forget_sidecar(self.pools.require(lost.pool), lost.volume)

    def _refuse_foreign(self, change: Change, live: LiveVolume) -> None:
        if live.marks is None or live.marks.owner != self.policy.owner:
            whose = f"belongs to {live.marks.owner!r}" if live.marks is not None else "was not made by gitvirt"
            raise ApplyEndedError(
                Result.REFUSED, f"volume {live.volume} of pool {live.pool} {whose}; rename it or the claim"
            )
        if live.key != change.key:
            raise ApplyEndedError(Result.REFUSED, f"the volume {live.volume} is that of {live.key}")

    def _create(self, change: Change, wanted: ResolvedVolume, steps: Steps) -> Outcome:
        pool = self.pools.require(wanted.pool)
        name = volume_name(wanted.key.namespace, wanted.key.name, wanted.format)
        marks = self._new_marks(change, wanted)
        if change.restore:
            return self._take_back(change, wanted, steps)
        if wanted.source.kind is SourceKind.BLANK:
            with self.keys.of_volume(wanted.storage_class, wanted.encrypted) as key:
                steps.do(
                    "created volume",
                    lambda: create_file(
                        pool, name, format=wanted.format, size_bytes=wanted.size_bytes, marks=marks, key=key
                    ),
                )
            self.pools.refresh(pool)
            return steps.outcome()
        copy_from = self._clone_source(wanted) if wanted.source.kind is SourceKind.CLONE else None
        request = ImportRequest(
            key=wanted.key,
            volume=name,
            format=wanted.format,
            size_bytes=wanted.size_bytes,
            source=wanted.source,
            storage_class=wanted.storage_class,
            marks=marks,
            copy_from=copy_from,
            encrypted=wanted.encrypted,
        )
        word = "clone" if copy_from else "import"
        if self.imports.begin(pool, request, wanted.access):
            steps.done.append(f"began {word}")
        return steps.outcome(Result.PROGRESSING, f"{word} under way: {wanted.source}", COPY_POLL_S)

    def _new_marks(self, change: Change, wanted: ResolvedVolume) -> DomainMarks:
        own = marks_for(wanted, change.revision, None, policy=self.policy, now=self.clock.now())
        return claim_marks(own, wanted.key.kind, wanted.source, wanted.storage_class)

    def _clone_source(self, wanted: ResolvedVolume) -> tuple[str, str]:
        """(pool, volume) of a source that no guest writes to now.

        Raises:
            ApplyEndedError: it is not there, not finished, not ours, or in use.
        """
        claim = wanted.source.claim
        if claim is None:
            raise ApplyEndedError(Result.FAILED, f"{wanted.key}: the clone names no source")
        source = self.observer.volume(claim, None)
        if not isinstance(source, LiveVolume):
            raise ApplyEndedError(
                Result.PROGRESSING, f"waits for {claim}, the source of the clone", retry_after_s=WAIT_S
            )
        if source.marks is None or source.marks.owner != self.policy.owner:
            raise ApplyEndedError(Result.REFUSED, f"{source.volume} is not gitvirt's and is not cloned")
        if source.phase != "Succeeded":
            raise ApplyEndedError(Result.PROGRESSING, f"waits for {claim}: {source.phase}", retry_after_s=WAIT_S)
        pool = self.pools.require(source.pool)
        running = self.index.users_of_volume(pool, source.volume, running=True)
        if running:
            named = ", ".join(str(key) for key in running)
            raise ApplyEndedError(
                Result.PROGRESSING, f"waits until {named} stops: a disk in use is not cloned", retry_after_s=WAIT_S
            )
        return source.pool, source.volume

    def _take_back(self, change: Change, wanted: ResolvedVolume, steps: Steps) -> Outcome:
        pool, item = self._trash_item(change.restore)
        if item.facts.key != wanted.key or item.facts.owner != self.policy.owner or not item.volume:
            raise ApplyEndedError(Result.REFUSED, f"trash item {change.restore} is of {item.facts.key}")
        name = volume_name(wanted.key.namespace, wanted.key.name, item.facts.format or wanted.format)
        marks = self._new_marks(change, wanted)
        steps.do("took volume out of trash", lambda: take_back(pool, item, name, marks))
        self.pools.refresh(self.pools.require(pool.name))
        file = self._file(pool, name)
        if wanted.size_bytes > file.size_bytes:
            with self.keys.of_volume(wanted.storage_class, file.encrypted) as key:
                steps.do("grew volume", lambda: grow_file(file, wanted.size_bytes, key))
        return steps.outcome()

    def _trash_item(self, name: str) -> tuple[Pool, StoredItem]:
        """Raises ApplyEndedError when there is none of the name."""
        for _, pool in self.observer.pools():
            item = find_item(pool, name) if isinstance(pool, Pool) else None
            if item is not None and isinstance(pool, Pool):
                return pool, item
        raise ApplyEndedError(
            Result.CONFLICT, f"trash item {name} is gone; the next plan looks again", retry_after_s=1.0
        )

    def _update(self, change: Change, wanted: ResolvedVolume, live: LiveVolume, steps: Steps) -> Outcome:
        pool = self.pools.require(live.pool)
        file = self._file(pool, live.volume)
        if wanted.size_bytes > file.size_bytes:
            self._grow(pool, file, wanted.size_bytes, steps)
        old = file.marks if isinstance(file.marks, DomainMarks) else None
        recorded = [difference for difference in compare(wanted, live) if difference.refused]
        if old is not None and not recorded:
            own = marks_for(wanted, change.revision, old.marks, policy=self.policy, now=self.clock.now())
            marks = DomainMarks(marks=own, extra=old.extra)
            if marks != old:
                steps.do("wrote marks", lambda: write_marks(pool, file.path, file.name, marks))
        return steps.outcome()

    def _grow(self, pool: Pool, file: VolumeFile, size_bytes: int, steps: Steps) -> None:
        """Under a running guest QEMU does it, and the guest sees it at once; otherwise the file is grown."""
        overlays = overlays_on(pool, file.path)
        if overlays:
            raise ApplyEndedError(
                Result.REFUSED, f"{file.name} backs {', '.join(overlays)}; merge the snapshot before it can grow"
            )
        running = self.index.users_of_volume(pool, file.name, running=True)
        for name in sorted(self.domains.name(key) if key.namespace else key.name for key in running):
            self._grow_under(name, pool, file, size_bytes, steps)
        if not running:
            storage_class = storage_class_of(file.marks) if isinstance(file.marks, DomainMarks) else ""
            with self.keys.of_volume(storage_class, file.encrypted) as key:
                steps.do("grew volume", lambda: grow_file(file, size_bytes, key))
        self.pools.refresh(pool)

    def _grow_under(self, name: str, pool: Pool, file: VolumeFile, size_bytes: int, steps: Steps) -> None:
        """Grow a disk of the running guest ``name``."""
        handle = self.domains.find(name)
        target = _target_of(handle, pool, file.name) if handle is not None else ""
        if not target:
            raise ApplyEndedError(
                Result.REFUSED, f"{name} runs on {file.name} through an overlay; merge the snapshot before it can grow"
            )
        flags = libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
        steps.do(f"grew {target} of {name}", lambda: handle.blockResize(target, size_bytes, flags))

    def _delete(self, change: Change, live: LiveVolume | None, steps: Steps) -> Outcome:
        if live is None:
            return steps.outcome(reason=f"{change.key} is gone already")
        pool = self.pools.require(live.pool)
        if live.phase == LOST:
            steps.do("forgot lost volume", lambda: forget_sidecar(pool, live.volume))
            return steps.outcome()
        if live.phase != "Succeeded":
            if not self.imports.discard(pool, live.volume):
                raise ApplyEndedError(Result.PROGRESSING, "waiting for the copy to stop", retry_after_s=1.0)
            steps.done.append("discarded what was copied so far")
            return steps.outcome()
        users = self.index.users_of_volume(pool, live.volume)
        if users:
            named = ", ".join(str(key) for key in users)
            raise ApplyEndedError(
                Result.REFUSED, f"{live.volume} is used by {named}; delete them or take the disk out of them first"
            )
        file = self._file(pool, live.volume)
        overlays = overlays_on(pool, file.path)
        if overlays:
            raise ApplyEndedError(
                Result.REFUSED, f"{file.name} backs {', '.join(overlays)}; it stays as long as they do"
            )
        now = self.observer.moment()
        item = steps.do("moved volume to trash", lambda: trash_volume(pool, change.key, file, change.revision, now))
        steps.done.append(f"kept as {item.item}")
        self.pools.refresh(pool)
        return steps.outcome()

    @staticmethod
    def _file(pool: Pool, name: str) -> VolumeFile:
        file = read_volume(pool, name)
        if file is None:
            raise VolumeError(f"{pool.path(name)} is gone")
        return file


def _target_of(handle: Any, pool: Pool, volume: str) -> str:
    """The disk (``vda``) whose top file is the volume, in the running guest; empty when it only backs one."""
    for disk in parse_xml(handle.XMLDesc(0)).iterfind("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is None or target is None:
            continue
        by_name = (source.get("pool"), source.get("volume")) == (pool.name, volume)
        if by_name or source.get("file") == str(pool.target / volume):
            return target.get("dev", "")
    return ""
