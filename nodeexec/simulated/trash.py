"""The trash of a simulated host: dated items that keep what was deleted until somebody empties them by name."""

from __future__ import annotations

from datetime import datetime

from nodeexec.simulated.host import Mutation
from nodeexec.simulated.state import HostState, HostTrash, HostVolume
from nodeexec.simulated.steps import Executor
from reconciler.model.keys import ObjectKey
from reconciler.model.live import TrashItem
from reconciler.model.outcome import Outcome, Result


def trash_name(state: HostState, key: ObjectKey, now: datetime) -> str:
    """A dated name that no item has."""
    stem = f"{now:%Y%m%dT%H%M%SZ}_{key.kind}_{key.namespace}_{key.name}"
    names = (stem, *(f"{stem}_{number}" for number in range(2, len(state.trash) + 3)))
    return next(name for name in names if name not in state.trash)


def trash_item(executor: Executor, key: ObjectKey, volume: HostVolume, revision: str) -> TrashItem:
    """The facts about a volume that goes to the trash now."""
    now = executor.clock.now()
    return TrashItem(
        item=trash_name(executor.state, key, now),
        key=key,
        owner=executor.owner,
        trashed_at=now,
        pool=volume.pool,
        size_bytes=volume.size_bytes,
        source=volume.source,
        storage_class=volume.storage_class,
        format=volume.format,
        revision=revision,
        applied=volume.marks.applied if volume.marks else None,
    )


def empty(executor: Executor, item: str) -> Outcome:
    """Destroy one item for good."""
    entry = _own(executor, item)
    if isinstance(entry, Outcome):
        return entry

    def destroy(state: HostState) -> None:
        state.trash.pop(item, None)

    executor.host.step("destroy trash item", destroy, key=entry.item.key, reason="empty-trash")
    return Outcome(result=Result.APPLIED, steps=("destroyed trash item",))


def restore(executor: Executor, item: str) -> Outcome:
    """Put a trashed volume back under its name, with the marks it had."""
    entry = _own(executor, item)
    if isinstance(entry, Outcome):
        return entry
    volume = entry.volume
    if volume is None:
        return Outcome(result=Result.REFUSED, reason=f"{item} holds no volume; declare the VM again to have it back")
    if volume.place in executor.state.volumes or volume.place in executor.state.incoming:
        where = f"{volume.pool}/{volume.name}"
        return Outcome(result=Result.REFUSED, reason=f"{where} exists; move or delete it first, then restore {item}")

    executor.host.step("take out of trash", taking_back(item, volume), key=entry.item.key, reason="restore-trash")
    return Outcome(result=Result.APPLIED, steps=("took volume out of trash",))


def taking_back(item: str, volume: HostVolume) -> Mutation:
    """The step that moves an item's volume back under its name, as ``volume``."""

    def take(state: HostState) -> None:
        del state.trash[item]
        state.volumes[volume.place] = volume

    return take


def _own(executor: Executor, item: str) -> HostTrash | Outcome:
    entry = executor.state.trash.get(item)
    if entry is None or entry.item.owner != executor.owner:
        return Outcome(result=Result.REFUSED, reason=f"there is no trash item {item}; `gitvirt trash list` names them")
    return entry
