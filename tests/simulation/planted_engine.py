"""Bugs to plant in what acts: the executor's steps, what it reads, what it marks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from nodeexec.simulated import power, reading, trash, vm_changes, volume_changes
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.faults import AnswerLostError
from nodeexec.simulated.host import Mutation
from nodeexec.simulated.reading import Reading
from nodeexec.simulated.state import HostDomain, HostIncoming, HostState, HostTrash, VolumePlace, domain_name
from nodeexec.simulated.steps import Executor, Steps
from nodeexec.simulated.vm_changes import VmChanges
from nodeexec.simulated.volume_changes import VolumeChanges
from nodeexec.trash_age import TrashAge
from reconciler.model.live import LiveObject, Marks
from reconciler.model.moment import Moment
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Change, Difference
from reconciler.model.power import RunHistory
from reconciler.model.resolved import Resolved, ResolvedVm, ResolvedVolume
from reconciler.planning import plan_absent
from reconciler.ports import Clock
from tests.simulation.planting import Patch


def owner_mark_after_the_effect(patch: Patch) -> None:
    """A domain is defined first and marked in a second step."""

    def create(changes: VmChanges, change: Change, wanted: ResolvedVm) -> Outcome:
        executor = changes._executor
        steps = Steps.of(executor, change)
        name = domain_name(change.key)

        def define(state: HostState) -> None:
            state.domains[name] = HostDomain(name=name, stored=wanted.domain, behaviour=executor.host.behaviour)

        def mark(state: HostState) -> None:
            marks = executor.new_marks(wanted, change.revision, None)
            state.domains[name] = replace(state.domains[name], marks=marks)

        steps.do("define domain", define)
        steps.do("mark domain", mark)
        changes._make_seeds(wanted, steps)
        return changes.power.carry_out(change, steps, change.power) if change.power else steps.outcome()

    patch(VmChanges, "create", create)


def retry_after_unknown(patch: Patch) -> None:
    """A volume whose making ended with a lost answer is simply made again, without looking."""
    good = VolumeChanges.create

    def create(changes: VolumeChanges, change: Change, wanted: ResolvedVolume) -> Outcome:
        try:
            return good(changes, change, wanted)
        except AnswerLostError:
            return good(changes, change, wanted)

    patch(VolumeChanges, "create", create)


def shrink_to_the_request(patch: Patch) -> None:
    """A volume becomes as large as its claim says, also when that is less."""
    good = VolumeChanges.update

    def update(changes: VolumeChanges, change: Change, wanted: ResolvedVolume) -> Outcome:
        for place, volume in changes._executor.state.volumes.items():
            if place[1] == f"{domain_name(change.key)}.{volume.format}" and wanted.size_bytes < volume.size_bytes:
                smaller = replace(volume, size_bytes=wanted.size_bytes)
                Steps.of(changes._executor, change).do("resize volume", volume_changes.new_volume(smaller))
                break
        return good(changes, change, wanted)

    patch(VolumeChanges, "update", update)


def trash_destroys(patch: Patch) -> None:
    """The volume of a deleted claim is removed instead of moved."""

    def to_trash(place: VolumePlace, entry: HostTrash) -> Mutation:
        def remove(state: HostState) -> None:
            del state.volumes[place]
            state.trash[entry.item.item] = replace(entry, volume=None)

        return remove

    patch(volume_changes, "_to_trash", to_trash)


def restore_copies_an_empty_disk(patch: Patch) -> None:
    """A disk that comes back from the trash is made anew."""
    good = trash.taking_back

    def taking_back(item: str, volume: Any) -> Mutation:
        return good(item, replace(volume, content="made anew"))

    patch(volume_changes, "taking_back", taking_back)


def expiry_by_the_time_of_day(patch: Patch) -> None:
    """How long something lies in the trash is what the clock on the wall says."""

    def age_at(age: TrashAge | None, now: Moment) -> float:
        return 0.0 if age is None else age.aged_s + (now.at - age.noted.at).total_seconds()

    for module in (trash, reading):
        patch(module, "age_at", age_at)


def deletions_by_the_time_of_day(patch: Patch) -> None:
    """When something was deleted is what the clock on the wall said then."""
    patch(reading, "with_told_deletion", lambda item, _trashed, _now: item)


def trash_item_overwritten(patch: Patch) -> None:
    """Items are named by what is in them, without a date."""
    patch(trash, "trash_name", lambda _state, key, _now: f"{key.kind}_{key.namespace}_{key.name}")
    patch(vm_changes, "trash_name", lambda _state, key, _now: f"{key.kind}_{key.namespace}_{key.name}")


def another_hosts_things_taken_for_ours(patch: Patch) -> None:
    """The owner's name is enough."""
    patch(Reading, "owns", lambda reading, marks: marks is not None and marks.owner == reading.owner)
    patch(plan_absent, "_is_ours", lambda live, around: live.marks and live.marks.owner == around.policy.owner)


def a_temporary_volume_stays(patch: Patch) -> None:
    """What a copy was written to is not taken away when the copy is in its place."""
    good = volume_changes._finish

    def finish(place: VolumePlace, *facts: Any) -> Mutation:
        def act(state: HostState) -> None:
            incoming: HostIncoming = state.incoming[place]
            good(place, *facts)(state)
            state.incoming[place] = incoming

        return act

    patch(volume_changes, "_finish", finish)


def an_iso_left_behind(patch: Patch) -> None:
    """What outlives its domain is not found again."""
    patch(Reading, "_left_behind", lambda *_: None)


def no_grace_for_guests(patch: Patch) -> None:
    """Guests are asked to shut down, and forced off at once."""
    patch(RunHistory, "waited_s", lambda *_: 1e9)


def grace_by_the_time_of_day(patch: Patch) -> None:
    """A grace period is over when the clock on the wall says so."""
    good = power.PowerControl.stop

    def stop(control: power.PowerControl, *asked: Any) -> Outcome | None:
        kept = control._executor
        control._executor = replace(kept, clock=_WallClock(kept.clock))
        try:
            return good(control, *asked)
        finally:
            control._executor = kept

    patch(power.PowerControl, "stop", stop)


class _WallClock:
    """A clock whose every answer somebody can set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.now().timestamp()


def power_behind_devices(patch: Patch) -> None:
    """What the running guest is to take comes first, and a device that it cannot take ends the change."""
    good = VmChanges.update

    def update(changes: VmChanges, change: Change, wanted: ResolvedVm) -> Outcome:
        changes._change_running(wanted, Steps.of(changes._executor, change))
        return good(changes, change, wanted)

    patch(VmChanges, "update", update)


def a_disk_opened_twice(patch: Patch) -> None:
    """Nobody looks whether another guest has a disk open."""
    for module in (power, vm_changes):
        patch(module, "refuse_impossible_disks", lambda *_: None)


def operators_words_forgotten(patch: Patch) -> None:
    """Marks are written anew with each document, without what an operator said."""
    good = Executor.new_marks

    def new_marks(executor: Executor, wanted: Resolved, revision: str, _old: Marks | None) -> Marks:
        return good(executor, wanted, revision, None)

    patch(Executor, "new_marks", new_marks)


def a_create_that_makes_another(patch: Patch) -> None:
    """A second attempt at a volume makes its content anew."""
    good = VolumeChanges.update

    def update(changes: VolumeChanges, change: Change, wanted: ResolvedVolume) -> Outcome:
        steps = Steps.of(changes._executor, change)

        def again(state: HostState) -> None:
            for place, volume in state.volumes.items():
                if place[1] == f"{domain_name(change.key)}.{volume.format}":
                    state.volumes[place] = replace(volume, content=state.new_content(volume.name))

        steps.do("create volume", again)
        return good(changes, change, wanted)

    patch(VolumeChanges, "update", update)


def documents_shown_as_they_are(patch: Patch) -> None:
    """What differs is shown with the whole of the document that says so."""
    good = SimulatedEngine.compare

    def compare(engine: SimulatedEngine, wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
        document = wanted.document.body if wanted.document is not None else {}
        return tuple(replace(entry, reason=f"{entry.reason}: {document}") for entry in good(engine, wanted, live))

    patch(SimulatedEngine, "compare", compare)


def marks_lost_with_an_update(patch: Patch) -> None:
    """A domain is defined anew without its marks."""

    def changed(name: str, **values: Any) -> Mutation:
        return power.changed(name, **{**values, "marks": None} if "stored" in values else values)

    patch(vm_changes, "changed", changed)
