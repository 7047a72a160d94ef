"""Bugs to plant, one at a time, so that the simulation shows that it can see.

Each takes ``patch(owner, name, value)`` (pytest's ``monkeypatch.setattr``) and breaks gitvirt or its engine the way a
person could.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from nodeexec.simulated import trash, volume_changes
from nodeexec.simulated.faults import AnswerLostError, FaultKind
from nodeexec.simulated.host import Mutation
from nodeexec.simulated.state import HostDomain, HostState, HostTrash, VolumePlace, domain_name
from nodeexec.simulated.steps import Steps
from nodeexec.simulated.vm_changes import VmChanges
from nodeexec.simulated.volume_changes import VolumeChanges
from reconciler.daemon.cycle_retries import Retries
from reconciler.manifests.declared_set import DeclaredSet
from reconciler.model.declared import Declared, Readings
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Change, Hold
from reconciler.model.resolved import ResolvedVm, ResolvedVolume, RestartPolicy
from reconciler.model.revision import Revision, Snapshot, SourceState
from reconciler.planning import planner, resolve_vm
from tests.simulation.repository import MemorySource

Patch = Callable[[Any, str, Any], None]


def prune_on_failed_fetch(patch: Patch) -> None:
    """A remote that does not answer reads as an empty repository."""
    good = MemorySource.accepted

    def accepted(source: MemorySource) -> Snapshot | None:
        if source.status().state in (SourceState.READY, SourceState.NEVER):
            return good(source)
        return Snapshot(revision=Revision(commit="0" * 40), files={})

    patch(MemorySource, "accepted", accepted)


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
    """A step whose answer was lost is simply done again, without looking."""
    good = Steps.do

    def do(steps: Steps, name: str, mutation: Mutation) -> None:
        try:
            good(steps, name, mutation)
        except AnswerLostError:
            good(steps, name, mutation)

    patch(Steps, "do", do)


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


def mac_rolled_anew(patch: Patch) -> None:
    """A NIC without a declared address gets another one at every look."""
    numbers = count()
    patch(
        resolve_vm, "derived_mac", lambda *_: f"02:00:00:00:{next(numbers) // 256 % 256:02x}:{next(numbers) % 256:02x}"
    )


def restart_policy_ignored(patch: Patch) -> None:
    """Whatever needs a restart gets one."""
    patch(resolve_vm, "_restart_policy", lambda _document: RestartPolicy.IMMEDIATE)


def trash_destroys(patch: Patch) -> None:
    """The volume of a deleted claim is removed instead of moved."""

    def to_trash(place: VolumePlace, entry: HostTrash) -> Mutation:
        def remove(state: HostState) -> None:
            del state.volumes[place]
            state.trash[entry.item.item] = replace(entry, volume=None)

        return remove

    patch(volume_changes, "_to_trash", to_trash)


def blast_radius_forgotten(patch: Patch) -> None:
    """Any number of deletions goes through."""

    def hold_nothing(changes: list[Change], *_: object, **__: object) -> tuple[list[Change], list[Hold], list[Hold]]:
        return changes, [], []

    patch(planner, "hold_large_classes", hold_nothing)


def incomplete_reading_taken_as_whole(patch: Patch) -> None:
    """A file that cannot be read counts as absent."""
    good = DeclaredSet.declared

    def declared(known: DeclaredSet, readings: Readings) -> Declared:
        found = good(known, readings)
        whole = {name: replace(reading, complete=True) for name, reading in found.readings.items()}
        return replace(found, readings=whole)

    patch(DeclaredSet, "declared", declared)


def restore_copies_an_empty_disk(patch: Patch) -> None:
    """A disk that comes back from the trash is made anew."""
    good = trash.taking_back

    def taking_back(item: str, volume: Any) -> Mutation:
        return good(item, replace(volume, content="made anew"))

    patch(volume_changes, "taking_back", taking_back)


def retries_never_end_their_wait(patch: Patch) -> None:
    """What failed once is never due again."""
    good = Retries.note

    def note(retries: Retries, key: Any, outcome: Outcome, now_s: float) -> None:
        good(retries, key, replace(outcome, retry_after_s=1e9 if outcome.is_fault else outcome.retry_after_s), now_s)

    patch(Retries, "note", note)


PLANTED: tuple[Callable[[Patch], None], ...] = (
    prune_on_failed_fetch,
    owner_mark_after_the_effect,
    retry_after_unknown,
    shrink_to_the_request,
    mac_rolled_anew,
    restart_policy_ignored,
    trash_destroys,
    blast_radius_forgotten,
    incomplete_reading_taken_as_whole,
    restore_copies_an_empty_disk,
    retries_never_end_their_wait,
)
"""All of them."""

NEEDS: Mapping[Callable[[Patch], None], FaultKind] = {retry_after_unknown: FaultKind.UNKNOWN}
"""The kind of fault that a bug needs to show, where it is one kind: looked for first, to be quick."""
