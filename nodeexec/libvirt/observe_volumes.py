"""Volumes of a pool as live objects: finished ones, those in the making, and those that are lost."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from nodeexec.libvirt.imports import Imports, ImportState
from nodeexec.libvirt.lost_volumes import LostVolumes
from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks, from_json
from nodeexec.libvirt.naming import (
    CLAIM_KINDS,
    VOLUME_FORMATS,
    claim_of_volume,
    scratch_of_volume,
    seed_of_volume,
    volume_name,
)
from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.volume_files import VolumeError, VolumeFile, list_names, marks_of, read_volume
from nodeexec.libvirt.volume_marks import adopted_claim_of, kind_of, source_of, storage_class_of
from nodeexec.libvirt.volume_sidecars import read_sidecar, registered
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveVolume, Marks, Unreadable
from reconciler.model.policy import Policy


class Users(Protocol):
    """The domains that name a volume of a pool; with ``running`` only guests that have it open."""

    def __call__(self, pool: Pool, volume: str, *, running: bool = False) -> tuple[ObjectKey, ...]:
        """Sorted."""
        ...


class VolumeReader:
    """Reads the volumes of one pool at a time."""

    def __init__(self, imports: Imports, policy: Policy, missing: LostVolumes) -> None:
        self._imports = imports
        self._missing = missing
        self._owner = policy.owner
        self._host = policy.host
        self._adopted: dict[str, Mapping[tuple[str, str], str]] = {}

    def owned(self, pool: Pool, users: Users) -> Iterator[LiveVolume | Unreadable]:
        """Every claim's volume of ours, finished or in the making.

        Raises:
            OSError, ValueError: the pool cannot be listed.
        """
        # What is in the making is read first: a volume that is finished in between is then seen twice, never not at all.
        making = tuple(self._imports.observe(pool))
        names = sorted(list_names(pool))
        adopted = {volume: claim for claim, volume in self._adopted_in(pool, names).items()}
        for name in names:
            whose = self._claim(name, adopted)
            if whose is not None:
                found = self._finished(pool, name, ObjectKey(CLAIM_KINDS[0], *whose), users)
                if isinstance(found, Unreadable) or (found is not None and self._is_ours(found)):
                    yield found
        for state in making:
            if state.request.marks.marks.owner == self._owner and not _is_finished(pool, state):
                yield _in_the_making(pool, state)
        present = {*names, *(state.request.volume for state in making)}
        claims = {claim for name in present if (claim := self._claim(name, adopted)) is not None}
        for name in sorted(set(registered(pool)) - present):
            lost = self._lost(pool, name, None, users)
            if lost is not None and self._is_ours(lost) and (lost.key.namespace, lost.key.name) not in claims:
                yield lost

    def named(self, pool: Pool, key: ObjectKey, users: Users) -> LiveVolume | Unreadable | None:
        """What stands under a claim's name, whoever owns it; None when nothing does.

        Raises:
            OSError, ValueError: the pool cannot be read.
        """
        names = [volume_name(key.namespace, key.name, format) for format in VOLUME_FORMATS]
        adopted = self.adopted_name(pool, key)
        if adopted is not None:
            names = [adopted]
        making = next((state for name in names if (state := self._imports.state(pool, name)) is not None), None)
        for name in names:
            found = self._finished(pool, name, key, users)
            if found is not None:
                return found
        if making is not None:
            return _in_the_making(pool, making)
        return next((lost for name in names if (lost := self._lost(pool, name, key, users)) is not None), None)

    def _lost(self, pool: Pool, name: str, key: ObjectKey | None, users: Users) -> LiveVolume | None:
        """A volume without a file, of which the pool's register or a VM's definition tells that there was one; None when nothing
        does. ``key`` None is told by the register alone.

        Raises:
            OSError: the register cannot be read.
        """
        text = read_sidecar(pool, name)
        marks = from_json(text) if text is not None else None
        owned = marks if isinstance(marks, DomainMarks) and kind_of(marks) else None
        adopted = adopted_claim_of(owned)
        whose = self._claim(name, {name: adopted} if adopted is not None else {})
        if whose is None or pool.path(name).exists():
            return None
        key = key or ObjectKey(CLAIM_KINDS[0], *whose)
        by = tuple(user for user in users(pool, name) if user.namespace)
        if owned is None and not by:
            return None
        self._missing.lost(pool, name)
        return _lost_volume(pool, name, key, owned, by, users(pool, name, running=True), self._inferred())

    def _inferred(self) -> Marks:
        """The marks of a volume that only a VM's definition tells of: it was ours, as such VMs stand on no other."""
        return Marks(owner=self._owner, host=self._host, revision="", applied=None)

    def adopted_name(self, pool: Pool, key: ObjectKey) -> str | None:
        """The volume of a claim that was adopted, by its own name; None when the claim has none of that kind here.

        Raises:
            OSError: the pool cannot be listed.
        """
        known = self._adopted.get(pool.name)
        if known is None:
            known = self._adopted_in(pool, list_names(pool))
        return known.get((key.namespace, key.name))

    def adopted_names(self, pool: Pool) -> Collection[str]:
        """The volumes of a pool that are known to be adopted."""
        return self._adopted.get(pool.name, {}).values()

    @staticmethod
    def _claim(name: str, adopted: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
        """(namespace, claim) of a volume; None for one that is no claim's."""
        claim = claim_of_volume(name)
        return adopted.get(name) or (claim[:2] if claim is not None else None)

    def learn(self, pool: Pool) -> None:
        """Volumes of the pool were adopted or released just now."""
        self._adopted.pop(pool.name, None)

    def _adopted_in(self, pool: Pool, names: Iterable[str]) -> Mapping[tuple[str, str], str]:
        """The adopted volumes of a pool by their claims. Only files that gitvirt did not name are opened."""
        found: dict[tuple[str, str], str] = {}
        for name in names:
            if claim_of_volume(name) or seed_of_volume(name) or scratch_of_volume(name):
                continue
            marks = marks_of(pool, name)
            claim = adopted_claim_of(marks)
            if claim is not None and marks is not None and marks.marks.owner == self._owner:
                found[claim] = name
        self._adopted[pool.name] = found
        return found

    def _is_ours(self, live: LiveVolume) -> bool:
        return live.marks is not None and live.marks.owner == self._owner

    def _finished(self, pool: Pool, name: str, key: ObjectKey, users: Users) -> LiveVolume | Unreadable | None:
        try:
            file = read_volume(pool, name)
        except VolumeError as error:
            return Unreadable(reason=str(error), key=key)
        if file is None:
            return None
        self._missing.found(pool, name)
        if isinstance(file.marks, UnreadableMarks):
            return Unreadable(reason=f"{file.path}: {file.marks.reason}", key=key)
        return _finished_volume(pool, file, file.marks, key, users)


def _is_finished(pool: Pool, state: ImportState) -> bool:
    """Whether the volume has its final name by now."""
    try:
        return read_volume(pool, state.request.volume) is not None
    except VolumeError:
        return True


def _finished_volume(
    pool: Pool, file: VolumeFile, marks: DomainMarks | None, key: ObjectKey, users: Users
) -> LiveVolume:
    kind = kind_of(marks) if marks is not None else ""
    live = LiveVolume(
        key=ObjectKey(kind, key.namespace, key.name) if kind else key,
        fingerprint="",
        marks=marks.marks if marks is not None else None,
        pool=pool.name,
        volume=file.name,
        format=file.format,
        size_bytes=file.size_bytes,
        source=source_of(marks) if marks is not None else None,
        storage_class=storage_class_of(marks) if marks is not None else "",
        encrypted=file.encrypted,
    )
    return replace(
        live,
        fingerprint=fingerprint_of(live),
        allocated_bytes=file.allocated_bytes,
        used_by=users(pool, file.name),
    )


def _lost_volume(
    pool: Pool,
    name: str,
    key: ObjectKey,
    marks: DomainMarks | None,
    used_by: tuple[ObjectKey, ...],
    running: tuple[ObjectKey, ...],
    inferred: Marks,
) -> LiveVolume:
    kind = kind_of(marks) if marks is not None else ""
    live = LiveVolume(
        key=ObjectKey(kind, key.namespace, key.name) if kind else key,
        fingerprint="",
        marks=marks.marks if marks is not None else inferred,
        pool=pool.name,
        volume=name,
        format=name.rpartition(".")[2],
        size_bytes=0,
        source=source_of(marks) if marks is not None else None,
        storage_class=storage_class_of(marks) if marks is not None else "",
        phase=LOST,
    )
    held = (
        f"the data is still in the open file of {', '.join(str(vm) for vm in running)}, until its QEMU process ends "
        "(copy it from /proc/PID/fd); "
        if running
        else ""
    )
    reason = (
        f"{pool.target / name} is gone, and gitvirt did not take it away; {held}put the file back under its name, or annotate "
        f"the claim with gitvirt.io/fresh-disk: {live.loss} to have a new one made"
    )
    return replace(live, fingerprint=fingerprint_of(live), reason=reason, used_by=used_by)


def _in_the_making(pool: Pool, state: ImportState) -> LiveVolume:
    request = state.request
    live = LiveVolume(
        key=request.key,
        fingerprint="",
        marks=request.marks.marks,
        pool=pool.name,
        volume=request.volume,
        format=request.format,
        size_bytes=request.size_bytes,
        source=request.source,
        storage_class=request.storage_class,
        phase="",
    )
    return replace(
        live,
        fingerprint=fingerprint_of(live),
        phase=state.phase,
        progress=state.progress,
        reason=state.reason,
        retry_at=state.retry_at,
        allocated_bytes=state.allocated_bytes,
    )


def fingerprint_of(live: LiveVolume) -> str:
    """Changes with everything that planning looks at."""
    return hashlib.sha256(repr(live).encode()).hexdigest()[:24]
