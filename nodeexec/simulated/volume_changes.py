"""Changes of simulated volumes: made, imported and cloned beside their place, grown, taken to and from the trash."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from nodeexec.simulated.faults import AnswerLostError, HostError
from nodeexec.simulated.host import Mutation
from nodeexec.simulated.names import copy_name, volume_key
from nodeexec.simulated.state import HostIncoming, HostState, HostTrash, HostVolume, VolumePlace, domain_name
from nodeexec.simulated.steps import Executor, Steps
from nodeexec.simulated.trash import taking_back, trash_item
from reconciler.model.live import LOST, LiveVolume, Marks
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.resolved import ResolvedVolume, SourceKind, VolumeSource

COPY_POLL_S = 2.0
COPY_SHARE = 0.4
RETRY_FIRST_S = 10.0
RETRY_MOST_S = 300.0


class VolumeChanges:
    """Applies one change of one volume. Content is filled beside its place, marked, and only whole content is moved
    under the final name.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def create(self, change: Change, wanted: ResolvedVolume) -> Outcome:
        """Take it back from the trash, or make it; imports and clones go on in the background."""
        steps = Steps.of(self._executor, change)
        place = (wanted.pool, f"{domain_name(wanted.key)}.{wanted.format}")
        pool = self._executor.state.pools.get(wanted.pool)
        if pool is None or not pool.readable:
            return steps.outcome(Result.RETRY, f"pool {wanted.pool} is not there or cannot be read", 10.0)
        if change.restore:
            return self._take_back(change, wanted, steps)
        lost = self._executor.reading().live(wanted.key)
        if isinstance(lost, LiveVolume) and lost.phase == LOST and wanted.fresh_disk != lost.loss:
            return steps.outcome(Result.REFUSED, lost.reason)
        if place not in self._executor.state.incoming:
            self._begin(change, wanted, place, steps)
        if wanted.source.kind is SourceKind.BLANK:
            steps.do("put volume in place", _finish(place))
            return steps.outcome()
        self._executor.workers.background(copy_name(place), lambda: self._copy(place))
        return steps.outcome(Result.PROGRESSING, f"{wanted.source}", COPY_POLL_S)

    def update(self, change: Change, wanted: ResolvedVolume) -> Outcome:
        """Grow, and remember the document. Never shrinks."""
        steps = Steps.of(self._executor, change)
        place = next((p for p in self._places(wanted) if p in self._executor.state.volumes), None)
        if place is None:
            return self.create(change, wanted)
        volume = self._executor.state.volumes[place]
        if wanted.size_bytes > volume.size_bytes:
            steps.do("grow volume", _grow(place, wanted.size_bytes))
            volume = self._executor.state.volumes[place]
        marks = self._executor.new_marks(wanted, change.revision, volume.marks)
        if volume.marks is None or volume.marks.applied != marks.applied:
            steps.do("mark volume", _mark(place, marks))
        return steps.outcome()

    def delete(self, change: Change) -> Outcome:
        """To the trash, unless a domain names it. A copy that never ended holds nothing and is discarded."""
        steps = Steps.of(self._executor, change)
        state, stem = self._executor.state, domain_name(change.key)
        places = [
            place
            for place in (*state.volumes, *state.incoming, *state.lost)
            if place[1] in (f"{stem}.qcow2", f"{stem}.raw")
        ]
        for place in sorted(set(places)):
            users = state.users_of(place)
            if users:
                return steps.outcome(Result.RETRY, f"{place[1]} is used by {', '.join(users)}; it goes after them", 5.0)
            if place in state.lost:
                steps.do("forget lost volume", _forget_lost(place))
                continue
            if place in state.incoming:
                steps.do("discard copy", _discard_incoming(place))
                continue
            volume = state.volumes[place]
            entry = HostTrash(
                item=trash_item(self._executor, change.key, volume, change.revision),
                volume=volume,
                trashed=self._executor.reading().moment().kernel_time,
            )
            steps.do("move volume to trash", _to_trash(place, entry))
        return steps.outcome()

    def remove_left_behind(self, change: Change, place: VolumePlace) -> Outcome:
        """A generated volume that has outlived its domain."""
        steps = Steps.of(self._executor, change)

        def remove(state: HostState) -> None:
            state.volumes.pop(place, None)

        steps.do("remove what was left behind", remove)
        return steps.outcome()

    def _take_back(self, change: Change, wanted: ResolvedVolume, steps: Steps) -> Outcome:
        entry = self._executor.state.trash.get(change.restore)
        if entry is None or entry.volume is None:
            return steps.outcome(Result.CONFLICT, f"trash item {change.restore} is gone; the next plan looks again")
        marks = self._executor.new_marks(wanted, change.revision, None)
        back = replace(entry.volume, marks=marks, kind=wanted.key.kind)
        steps.do("take volume out of trash", taking_back(change.restore, back))
        if wanted.size_bytes > back.size_bytes:
            steps.do("grow volume", _grow(back.place, wanted.size_bytes))
        return steps.outcome()

    def _begin(self, change: Change, wanted: ResolvedVolume, place: VolumePlace, steps: Steps) -> None:
        """The mark comes with the file, before it has its name."""
        volume = HostVolume(
            pool=place[0],
            name=place[1],
            kind=wanted.key.kind,
            format=wanted.format,
            size_bytes=wanted.size_bytes,
            content="",
            marks=self._executor.new_marks(wanted, change.revision, None),
            source=wanted.source,
            storage_class=wanted.storage_class,
            encrypted=wanted.encrypted,
        )

        def begin(state: HostState) -> None:
            refuse_without_room(state, place[0])
            state.incoming[place] = HostIncoming(volume=volume)

        steps.do("begin volume", begin)

    def _copy(self, place: VolumePlace) -> None:
        """One share of an import or clone, then the next is queued. What goes wrong is kept with the copy."""
        incoming = self._executor.state.incoming.get(place)
        if incoming is None or incoming.volume.source is None:
            return
        key = volume_key(incoming.volume)
        try:
            size, written = self._source_facts(incoming.volume.source)
            done = min(1.0, incoming.done + COPY_SHARE)
            after = replace(incoming, done=done, reason="", retry_at=None)
            self._executor.host.step("copy a share", _write_share(place, after), key=key, reason="copy")
            if done < 1.0:
                self._executor.workers.background(copy_name(place), lambda: self._copy(place))
                return
            self._executor.host.step("put volume in place", _finish(place, size, written), key=key, reason="copy")
        except (HostError, AnswerLostError) as error:
            if place in self._executor.state.incoming:
                failed = self._failed(self._executor.state.incoming[place], str(error))
                with suppress(HostError, AnswerLostError):
                    self._executor.host.step("note failure", _replace_incoming(place, failed), key=key, reason="copy")

    def _failed(self, incoming: HostIncoming, reason: str) -> HostIncoming:
        delay = min(RETRY_FIRST_S * 2**incoming.failures, RETRY_MOST_S)
        retry_at = self._executor.clock.now() + timedelta(seconds=delay)
        return replace(incoming, reason=reason, failures=incoming.failures + 1, retry_at=retry_at)

    def _source_facts(self, source: VolumeSource) -> tuple[int, str]:
        """(size in bytes, what is written in it) of what is copied.

        Raises:
            HostError: it is not there, or is being written to.
        """
        if source.claim is None:
            if source.url not in self._executor.host.web:
                raise HostError(f"{source.url} answered 404 Not Found", transient=False)
            return self._executor.host.web[source.url], source.url
        names = [f"{domain_name(source.claim)}.{suffix}" for suffix in ("qcow2", "raw")]
        found = [volume for volume in self._executor.state.volumes.values() if volume.name in names]
        if not found:
            raise HostError(f"{source.claim} is not there to be cloned", transient=True)
        return found[0].size_bytes, found[0].written

    @staticmethod
    def _places(wanted: ResolvedVolume) -> tuple[VolumePlace, ...]:
        formats = dict.fromkeys((wanted.format, "qcow2", "raw"))
        return tuple((wanted.pool, f"{domain_name(wanted.key)}.{name}") for name in formats)


def _finish(place: VolumePlace, least_bytes: int = 0, written: str = "") -> Mutation:
    def finish(state: HostState) -> None:
        volume = state.incoming.pop(place).volume
        size = max(volume.size_bytes, least_bytes)
        content = state.new_content(volume.name)
        state.lost.pop(place, None)
        state.volumes[place] = replace(volume, size_bytes=size, content=content, written=written)

    return finish


def new_volume(volume: HostVolume) -> Mutation:
    """The step that writes a new volume.

    Raises:
        HostError: the pool has no room for it.
    """

    def put(state: HostState) -> None:
        refuse_without_room(state, volume.pool)
        state.volumes[volume.place] = volume

    return put


def refuse_without_room(state: HostState, pool: str) -> None:
    """A full filesystem takes nothing more (ENOSPC).

    Raises:
        HostError: always for a full pool.
    """
    if state.pools[pool].full:
        raise HostError(f"pool {pool}: no space left on device", transient=True)


def _grow(place: VolumePlace, size_bytes: int) -> Mutation:
    def grow(state: HostState) -> None:
        refuse_without_room(state, place[0])
        volume = state.volumes[place]
        state.volumes[place] = replace(volume, size_bytes=max(volume.size_bytes, size_bytes))

    return grow


def _mark(place: VolumePlace, marks: Marks) -> Mutation:
    def mark(state: HostState) -> None:
        state.volumes[place] = replace(state.volumes[place], marks=marks)

    return mark


def _write_share(place: VolumePlace, incoming: HostIncoming) -> Mutation:
    def write(state: HostState) -> None:
        refuse_without_room(state, place[0])
        state.incoming[place] = incoming

    return write


def _replace_incoming(place: VolumePlace, incoming: HostIncoming) -> Mutation:
    def put(state: HostState) -> None:
        state.incoming[place] = incoming

    return put


def _discard_incoming(place: VolumePlace) -> Mutation:
    def discard(state: HostState) -> None:
        state.incoming.pop(place, None)

    return discard


def _forget_lost(place: VolumePlace) -> Mutation:
    def forget(state: HostState) -> None:
        state.lost.pop(place, None)

    return forget


def _to_trash(place: VolumePlace, entry: HostTrash) -> Mutation:
    def move(state: HostState) -> None:
        del state.volumes[place]
        state.trash[entry.item.item] = entry

    return move
