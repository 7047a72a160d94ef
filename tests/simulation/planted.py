"""Bugs to plant, one at a time, so that the simulation shows that it can see.

Each takes ``patch(owner, name, value)`` and breaks gitvirt or its engine the way a person could.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nodeexec.simulated.faults import FaultKind
from tests.simulation import planted_core as core
from tests.simulation import planted_engine as engine
from tests.simulation.planting import Patch

Plant = Callable[[Patch], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provocation:
    """What makes a bug show: words of `histories.make_history` that are favoured, and a kind of fault at a step where it
    needs one.
    """

    favours: tuple[str, ...] = ()
    kind: FaultKind | None = None
    step: str = ""


PROVOKED: Mapping[Plant, Provocation] = {
    core.prune_on_failed_fetch: Provocation(favours=("unreachable",)),
    core.mac_rolled_anew: Provocation(favours=("memory",)),
    core.restart_policy_ignored: Provocation(favours=("memory",)),
    core.blast_radius_forgotten: Provocation(favours=("purge",)),
    core.incomplete_reading_taken_as_whole: Provocation(favours=("spoil",)),
    core.retries_never_end_their_wait: Provocation(kind=FaultKind.TRANSIENT, step="call:apply"),
    core.suspension_of_a_vm_ignored: Provocation(favours=("suspend", "memory")),
    core.suspension_of_everything_forgotten: Provocation(favours=("suspend-all", "memory")),
    core.prune_annotation_ignored: Provocation(favours=("prune", "delete")),
    core.moved_file_read_as_deletion: Provocation(favours=("move", "rename-file", "merge")),
    core.secrets_in_documents: Provocation(favours=("secret",)),
    core.an_approval_releases_everything: Provocation(favours=("prune", "purge", "approve")),
    core.unknown_users_of_a_disk_forgotten: Provocation(favours=("delete-disk", "undefine", "break")),
    core.restart_window_always_open: Provocation(favours=("window",)),
    core.manual_read_as_halted: Provocation(favours=("strategy", "start")),
    core.a_pool_that_is_always_full: Provocation(),
    core.what_is_held_taken_over: Provocation(favours=("too-big", "edit-memory")),
    engine.documents_shown_as_they_are: Provocation(favours=("secret", "memory")),
    engine.marks_lost_with_an_update: Provocation(favours=("memory",)),
    engine.owner_mark_after_the_effect: Provocation(),
    engine.retry_after_unknown: Provocation(kind=FaultKind.UNKNOWN, step="put volume in place"),
    engine.shrink_to_the_request: Provocation(favours=("shrink",)),
    engine.trash_destroys: Provocation(favours=("delete", "disk-less", "disk")),
    engine.restore_copies_an_empty_disk: Provocation(favours=("delete", "revert")),
    engine.expiry_by_the_time_of_day: Provocation(favours=("expires", "delete", "approve", "reconcile", "clock-years")),
    engine.deletions_by_the_time_of_day: Provocation(favours=("delete", "delete-vm-only", "clock-years")),
    engine.trash_item_overwritten: Provocation(favours=("delete-vm-only", "revert")),
    engine.another_hosts_things_taken_for_ours: Provocation(),
    engine.a_temporary_volume_stays: Provocation(favours=("add", "time")),
    engine.an_iso_left_behind: Provocation(
        favours=("secret", "delete-vm-only"), kind=FaultKind.CRASH_AFTER, step="undefine domain"
    ),
    engine.no_grace_for_guests: Provocation(favours=("stop", "restart", "delete-vm-only")),
    engine.grace_by_the_time_of_day: Provocation(
        favours=("stop", "delete-vm-only"), kind=FaultKind.CLOCK_FORWARD, step="call:observe"
    ),
    engine.power_behind_devices: Provocation(favours=("swap", "suspend", "stop")),
    engine.a_disk_opened_twice: Provocation(favours=("rename",)),
    engine.operators_words_forgotten: Provocation(favours=("stop", "pause", "memory")),
    engine.a_create_that_makes_another: Provocation(favours=("grow",)),
}
"""All bugs, and what makes each show."""

PLANTED: tuple[Plant, ...] = tuple(PROVOKED)
