"""A disk that was here and is gone stands for data: nothing takes its place, and nothing ends the guest that still has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveObject, LiveVm, LiveVolume, TrashItem, Unreadable
from reconciler.model.plan import Action
from reconciler.model.power import PowerState, StopReason
from reconciler.model.status import ObjectState
from reconciler.planning.health import statuses_of
from reconciler.planning.resolve import resolve
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, observed, vm
from tests.unit.planning.plans import ENGINE, PVC, VM, live_of, plan

WEB = vm("web") + claim("web-root")
ROOT, MACHINE = ObjectKey(PVC, "default", "web-root"), ObjectKey(VM, "default", "web")
WHY = "the file is gone"
DARK = Unreadable(reason="the pool is not mounted", kinds=frozenset({PVC, "DataVolume"}))


@pytest.fixture
def live() -> dict[ObjectKey, LiveObject]:
    """A running VM, of which the disk is lost."""
    found = live_of(WEB)
    volume = found[ROOT]
    assert isinstance(volume, LiveVolume) and volume.marks is not None
    made = replace(volume.marks, created_at=NOW - timedelta(days=1))
    found[ROOT] = replace(volume, phase=LOST, reason=WHY, marks=made, size_bytes=0, used_by=(MACHINE,))
    return found


def turned_off(live: dict[ObjectKey, LiveObject]) -> dict[ObjectKey, LiveObject]:
    machine = live[MACHINE]
    assert isinstance(machine, LiveVm)
    off = replace(machine, running=None, power=PowerState.OFF, stop_reason=StopReason.FAILED)
    return {**live, MACHINE: off}


def loss_of(live: dict[ObjectKey, LiveObject]) -> str:
    volume = live[ROOT]
    assert isinstance(volume, LiveVolume)
    return volume.loss


def test_nothing_takes_the_place_of_a_lost_disk(live: dict[ObjectKey, LiveObject]) -> None:
    result = plan(WEB, live)
    assert result.changes == ()
    assert [(entry.key, entry.by, entry.waiting) for entry in result.blocked] == [(ROOT, WHY, False)]
    assert result.retry_after_s is not None


def test_a_new_one_is_made_when_a_person_names_this_loss(live: dict[ObjectKey, LiveObject]) -> None:
    def said(name: str) -> str:
        return WEB.replace("{name: web-root}", f"{{name: web-root, annotations: {{gitvirt.io/fresh-disk: {name}}}}}")

    assert plan(said("lost-20200101T000000Z"), live).changes == ()
    (change,) = plan(said(loss_of(live)), live).changes
    assert (change.key, change.action, change.expected) == (ROOT, Action.CREATE, live[ROOT].fingerprint)


def test_a_disk_that_went_to_the_trash_after_all_is_taken_back_and_an_older_one_is_not(
    live: dict[ObjectKey, LiveObject],
) -> None:
    volume = live[ROOT]
    assert isinstance(volume, LiveVolume)
    item = TrashItem(
        item="x", key=ROOT, owner="gitvirt", trashed_at=NOW, pool="default", source=volume.source, storage_class=""
    )
    (change,) = plan(WEB, live, trash=(item,)).changes
    assert (change.key, change.restore) == (ROOT, "x")
    older = replace(item, trashed_at=NOW - timedelta(days=2))
    assert plan(WEB, live, trash=(older,)).changes == ()


def test_a_guest_whose_disk_is_lost_is_neither_stopped_nor_restarted_nor_deleted(
    live: dict[ObjectKey, LiveObject],
) -> None:
    halted = plan(WEB.replace("Always", "Halted"), live)
    assert halted.changes == ()
    assert {entry.key for entry in halted.blocked} == {ROOT, MACHINE}
    restarted = plan(WEB, live, restarts=frozenset({MACHINE}))
    assert restarted.changes == ()
    deleted = plan("", live)
    assert {change.key.kind for change in deleted.changes} == {"PodNetwork"}
    assert "the running guest has the last of it" in next(e.by for e in deleted.blocked if e.key == MACHINE)


def test_a_vm_that_is_off_is_not_started_without_its_disk_and_may_be_deleted(
    live: dict[ObjectKey, LiveObject],
) -> None:
    off = turned_off(live)
    result = plan(WEB, off)
    assert result.changes == ()
    (waits,) = [entry for entry in result.blocked if entry.key == MACHINE]
    assert WHY in waits.by
    deletions = plan("", off).changes
    assert [change.key for change in deletions][:2] == [MACHINE, ROOT]


def test_while_a_pool_is_dark_a_vm_is_neither_started_nor_deleted(live: dict[ObjectKey, LiveObject]) -> None:
    unseen = {key: found for key, found in turned_off(live).items() if key != ROOT}
    result = plan(WEB, unseen, unreadable=(DARK,))
    assert result.changes == ()
    assert all(DARK.reason in entry.by for entry in result.blocked)
    deleted = plan("", unseen, unreadable=(DARK,))
    assert {change.key.kind for change in deleted.changes} == {"PodNetwork"}
    assert DARK.reason in next(entry.by for entry in deleted.blocked if entry.key == MACHINE)


def test_what_was_read_is_known_although_others_of_its_kind_were_not() -> None:
    live = live_of(WEB)
    observation = observed(*live.values(), unreadable=(DARK, DARK))
    said = declared(WEB + claim("other"), origin=POLICY.sources[0].identity)
    desired = resolve(said, observation, policy=POLICY, digest=digest)
    other = ObjectKey(PVC, "default", "other")
    found = statuses_of(
        (ROOT, other), desired, observation, plan(WEB, live), {}, engine=ENGINE, owner="gitvirt", now=NOW
    )
    assert found[ROOT].state is ObjectState.READY
    assert (found[other].state, found[other].message) == (ObjectState.UNKNOWN, DARK.reason)
