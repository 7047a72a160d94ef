"""Bugs to plant in what decides: sources, planning, safety, retries, an operator's verbs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from reconciler.daemon.cycle_retries import Retries
from reconciler.daemon.operations_frame import Frame
from reconciler.manifests.declared_set import DeclaredSet
from reconciler.model.declared import Declared, Readings
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome
from reconciler.model.persistent import with_changes
from reconciler.model.plan import Change, Hold
from reconciler.model.power import RunStrategy
from reconciler.model.resolved import ResolvedVm, RestartPolicy
from reconciler.model.revision import Revision, Snapshot, SourceState
from reconciler.planning import plan_absent, plan_storage, plan_vm, planner, resolve_vm
from reconciler.planning.power import PowerDecision, decide_power
from reconciler.planning.resolve import Resolver
from reconciler.planning.safety import Approvals
from reconciler.planning.verdict import Verdict
from tests.simulation.planting import Patch
from tests.simulation.repository import MemorySource


def prune_on_failed_fetch(patch: Patch) -> None:
    """A remote that does not answer reads as an empty repository."""
    good = MemorySource.accepted

    def accepted(source: MemorySource) -> Snapshot | None:
        if source.status().state in (SourceState.READY, SourceState.NEVER):
            return good(source)
        return Snapshot(revision=Revision(commit="0" * 40), files={})

    patch(MemorySource, "accepted", accepted)


def mac_rolled_anew(patch: Patch) -> None:
    """A NIC without a declared address gets another one at every look."""
    numbers = count()
    patch(
        resolve_vm, "derived_mac", lambda *_: f"02:00:00:00:{next(numbers) // 256 % 256:02x}:{next(numbers) % 256:02x}"
    )


def restart_policy_ignored(patch: Patch) -> None:
    """Whatever needs a restart gets one."""
    patch(resolve_vm, "_restart_policy", lambda _document: RestartPolicy.IMMEDIATE)


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


def retries_never_end_their_wait(patch: Patch) -> None:
    """What failed once is never due again."""
    good = Retries.note

    def note(retries: Retries, key: Any, outcome: Outcome, now_s: float) -> None:
        good(retries, key, replace(outcome, retry_after_s=1e9 if outcome.is_fault else outcome.retry_after_s), now_s)

    patch(Retries, "note", note)


def suspension_of_a_vm_ignored(patch: Patch) -> None:
    """The marks of a suspended VM are not looked at."""

    def split(changes: Iterator[Change], *_: object, suspended: str) -> tuple[list[Change], list[Hold]]:
        return ([], []) if suspended else (list(changes), [])

    patch(planner, "split_by_mode", split)


def suspension_of_everything_forgotten(patch: Patch) -> None:
    """The daemon does not read that it is suspended."""
    patch(Frame, "apply_suspension", lambda _frame: None)


def prune_annotation_ignored(patch: Patch) -> None:
    """Whatever its annotations say, an object that left Git goes."""
    patch(plan_absent, "prune_rule", lambda _applied: None)


def moved_file_read_as_deletion(patch: Patch) -> None:
    """An object that stands in another file than before is not found there at once."""
    good = DeclaredSet.declared
    homes: dict[int, dict[ObjectKey, str]] = {}

    def declared(known: DeclaredSet, readings: Readings) -> Declared:
        found = good(known, readings)
        seen = homes.setdefault(id(known), {})
        moved = {key for key, one in found.documents.items() if seen.setdefault(key, one.file) != one.file}
        return replace(found, documents=with_changes(found.documents, dict.fromkeys(moved)))

    patch(DeclaredSet, "declared", declared)


def secrets_in_documents(patch: Patch) -> None:
    """What is remembered of a document is the document, secrets and all."""
    patch(resolve_vm, "applied_document", lambda document, _digest: document.body)


def an_approval_releases_everything(patch: Patch) -> None:
    """Whoever approves anything has approved all."""
    good = Approvals.cover
    patch(Approvals, "cover", lambda approvals, hold: bool(approvals.ids) or good(approvals, hold))


def unknown_users_of_a_disk_forgotten(patch: Patch) -> None:
    """A claim is free as soon as no domain has it."""
    patch(plan_absent, "_unknown_user", lambda *_: None)


def restart_window_always_open(patch: Patch) -> None:
    """When a VM may be restarted is not looked at."""
    patch(plan_vm, "restarts_by_itself", lambda wanted, *_: wanted.restart_policy is not RestartPolicy.MANUAL)


def manual_read_as_halted(patch: Patch) -> None:
    """Power that is the operator's is taken for power that is to be off."""

    def decide(strategy: RunStrategy, *facts: Any) -> PowerDecision:
        return decide_power(RunStrategy.HALTED if strategy is RunStrategy.MANUAL else strategy, *facts)

    patch(plan_vm, "decide_power", decide)


def a_pool_that_is_always_full(patch: Patch) -> None:
    """What was once too little room stays so."""
    patch(plan_storage, "beyond_its_pool", lambda *_: "the pool has no room for it")


def what_is_held_taken_over(patch: Patch) -> None:
    """A VM that only moved on the host is as it was, though what it is held at is not what Git says: what it lacks is forgotten."""

    def as_before(resolver: Resolver, key: ObjectKey) -> Verdict | None:
        vm = resolver._state.objects.get(key)
        return Verdict(thing=vm) if isinstance(vm, ResolvedVm) and key not in resolver._stale else None

    patch(Resolver, "_as_before", as_before)
