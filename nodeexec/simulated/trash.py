"""The trash of a simulated host: dated items that keep what was deleted until somebody empties them by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from nodeexec.simulated.host import Mutation
from nodeexec.simulated.state import HostState, HostTrash, HostVolume
from nodeexec.simulated.steps import Executor
from nodeexec.trash_age import TrashAge, age_at, is_due, noted
from reconciler.model.keys import ObjectKey
from reconciler.model.live import TrashItem
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change


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
        host=volume.marks.host if volume.marks else "",
    )


def empty(executor: Executor, item: str) -> Outcome:
    """Destroy one item for good."""
    entry = _own(executor, item)
    return entry if isinstance(entry, Outcome) else _destroyed(executor, entry, "empty-trash")


def expire(executor: Executor, change: Change) -> Outcome:
    """Destroy an item whose time is over: still there, of this host, and not younger than the plan took it for."""
    entry = executor.state.trash.get(change.key.name)
    if entry is None or entry.item.owner != executor.owner:
        return Outcome(result=Result.UNCHANGED, reason="it is gone already")
    if entry.item.host != executor.host.name:
        return Outcome(result=Result.REFUSED, reason=f"{entry.item.item} was deleted by another host")
    if age_at(entry.age, executor.reading().moment()) < float(change.expected):
        reason = f"{entry.item.item} is younger than it was when this was planned"
        return Outcome(result=Result.CONFLICT, reason=reason, retry_after_s=1.0)
    return _destroyed(executor, entry, "expire-trash")


def _destroyed(executor: Executor, entry: HostTrash, reason: str) -> Outcome:
    def destroy(state: HostState) -> None:
        state.trash.pop(entry.item.item, None)

    executor.host.step("destroy trash item", destroy, key=entry.item.key, reason=reason)
    return Outcome(result=Result.APPLIED, steps=("destroyed trash item",))


def note_ages(executor: Executor) -> Outcome:
    """Note on each item of this owner and host how long it was seen, where that was not done lately."""
    now = executor.reading().moment()
    count = 0
    for name, entry in sorted(executor.state.trash.items()):
        is_ours = (entry.item.owner, entry.item.host) == (executor.owner, executor.host.name)
        if is_ours and executor.state.pools[entry.item.pool].readable and is_due(entry.age, now):
            executor.host.step(
                "note age", _with_age(name, noted(entry.age, now)), key=entry.item.key, reason="note-age"
            )
            count += 1
    if not count:
        return Outcome(result=Result.UNCHANGED)
    return Outcome(result=Result.APPLIED, steps=(f"noted the age of {count} trash items",))


def _with_age(name: str, age: TrashAge) -> Mutation:
    def put(state: HostState) -> None:
        state.trash[name] = replace(state.trash[name], age=age)

    return put


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
