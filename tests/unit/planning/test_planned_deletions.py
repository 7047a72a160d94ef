"""What a plan deletes, keeps, and holds for a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm, LiveVolume, TrashItem, Unreadable
from reconciler.model.origin import Origin
from reconciler.model.plan import Action, Change, Impact
from reconciler.model.power import PowerStep, RunHistory
from reconciler.planning.safety import Approvals
from tests.unit.planning.building import NOW, POLICY, claim, vm
from tests.unit.planning.plans import PVC, VM, WEB, key, live_of, many, plan


def test_removed_from_git_goes_vm_first_then_disk() -> None:
    base = many(8)
    result = plan(base.replace(vm("vm03") + claim("vm03-root"), ""), live_of(base))
    assert [(str(c.key), c.action) for c in result.changes] == [
        ("VirtualMachine/default/vm03", Action.DELETE),
        ("PersistentVolumeClaim/default/vm03-root", Action.DELETE),
    ]
    assert result.changes[0].power is PowerStep.STOP and result.changes[0].impact is Impact.REPLACE


def test_a_disk_that_a_vm_still_uses_is_never_trashed() -> None:
    live = live_of(WEB)
    volume = live[key(PVC, "web-root")]
    assert isinstance(volume, LiveVolume)
    live[volume.key] = replace(volume, used_by=(key(VM, "web"),))
    # The VM stays (held at its last applied document, because its claim is gone), so the claim stays.
    result = plan(vm("web") + claim("other"), {**live, **live_of(claim("other"))})
    assert not [c for c in result.changes if c.action is Action.DELETE]
    assert key(PVC, "web-root") in {entry.key for entry in result.blocked}


def test_a_disk_that_a_declared_vm_names_in_vain_is_never_trashed() -> None:
    kept = vm("db") + claim("db-root")
    live = live_of(claim("web-root") + claim("other") + kept)
    result = plan(vm("web") + kept, live)
    assert result.changes == ()
    assert {key(VM, "web"), key(PVC, "web-root")} <= {entry.key for entry in result.blocked}
    other_namespace = replace(live[key(PVC, "other")], key=ObjectKey(PVC, "elsewhere", "other"))
    result = plan(vm("web") + kept, {**live, other_namespace.key: other_namespace})
    assert [change.key for change in result.changes] == [other_namespace.key]


def test_nothing_is_deleted_on_an_incomplete_reading() -> None:
    base = many(8)
    without = base.replace(vm("vm03") + claim("vm03-root"), "")
    assert plan(without, live_of(base), complete=False).changes == ()
    gap = Unreadable(reason="pool default is not active", kinds=frozenset({PVC}))
    result = plan(without, live_of(base), unreadable=(gap,))
    assert [str(c.key) for c in result.changes] == ["VirtualMachine/default/vm03"]
    unread_vm = Unreadable(reason="broken XML", key=key(VM, "vm05"))
    kept = plan(without, live_of(base), unreadable=(unread_vm,))
    assert key(PVC, "vm03-root") not in {c.key for c in kept.changes}


def test_blast_radius_holds_only_its_class_until_approved() -> None:
    base, rest = many(20), many(15) + vm("new") + claim("new-root")
    result = plan(rest, live_of(base))
    assert {h.rule for h in result.held} == {"blast-radius"} and len(result.held) == 2
    assert [str(c.key) for c in result.changes] == [
        "PersistentVolumeClaim/default/new-root",
        "VirtualMachine/default/new",
    ]
    vms = next(h for h in result.held if h.changes[0].key.kind == VM)
    released = plan(rest, live_of(base), approvals=Approvals(ids={vms.hold_id}))
    assert len([c for c in released.changes if c.action is Action.DELETE]) == 5
    assert [h.hold_id for h in released.held] == [h.hold_id for h in result.held if h is not vms]


def test_no_change_is_compared_with_another_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with each takes the square of their number: minutes when ten thousand VMs left Git by mistake."""

    def equal(_one: Change, other: object) -> bool:
        assert not isinstance(other, Change), "two changes were compared"
        return False

    monkeypatch.setattr(Change, "__eq__", equal)
    held = plan(many(5), live_of(many(20)))
    released = plan(many(5), live_of(many(20)), approvals=Approvals(ids={hold.hold_id for hold in held.held}))
    assert (len(held.changes), len(released.changes)) == (0, 30)
    begun = Approvals(changes=frozenset((change.key, change.action) for change in released.changes))
    assert len(plan(many(5), live_of(many(20)), approvals=begun).changes) == 30


def test_blast_radius_three_of_many_go_and_all_of_two_wait() -> None:
    assert plan(many(37), live_of(many(40))).held == ()
    assert {h.rule for h in plan("", live_of(many(2))).held} == {"blast-radius"}
    assert len(plan("", live_of(many(1))).changes) == 3


def test_blast_radius_counts_what_was_done_within_the_hour() -> None:
    def trashed(minutes: int, index: int) -> TrashItem:
        return TrashItem(
            item=f"i{index}", key=key(VM, f"old{index}"), owner="gitvirt", trashed_at=NOW - timedelta(minutes=minutes), pool="default"
        )  # fmt: skip

    base = many(20)
    without = many(19)
    recent = tuple(trashed(10, i) for i in range(3))
    assert [h.rule for h in plan(without, live_of(base), trash=recent).held] == ["blast-radius"]
    old = tuple(trashed(61, i) for i in range(3))
    assert plan(without, live_of(base), trash=old).held == ()
    told = tuple(replace(item, told_at=NOW - timedelta(minutes=10)) for item in old)
    assert [h.rule for h in plan(without, live_of(base), trash=told).held] == ["blast-radius"]


def test_a_deletion_that_has_begun_goes_on() -> None:
    base = many(20)
    live = live_of(base)
    for index in range(5):
        found = live[key(VM, f"vm{index:02}")]
        assert isinstance(found, LiveVm)
        live[found.key] = replace(found, history=RunHistory(runs=1, stop_requested_at=NOW, stop_asked_by="delete"))
    rest = many(20)
    for index in range(5):
        rest = rest.replace(vm(f"vm{index:02}"), "")
    result = plan(rest, live)
    assert len([c for c in result.changes if c.key.kind == VM]) == 5


def test_prune_annotations() -> None:
    for said, rule in (
        ("{gitvirt.io/prune: 'false'}", "prune-disabled"),
        ("{argocd.argoproj.io/sync-options: 'Prune=false'}", "prune-disabled"),
        ("{kustomize.toolkit.fluxcd.io/prune: disabled}", "prune-disabled"),
        ("{gitvirt.io/prune: confirm}", "prune-confirm"),
    ):
        base = vm("web", annotations=said) + claim("web-root") + many(3)
        (hold,) = plan(claim("web-root") + many(3), live_of(base)).held
        assert hold.rule == rule and hold.approvable is (rule == "prune-confirm")
    confirmed = plan(claim("web-root") + many(3), live_of(base), approvals=Approvals(ids={hold.hold_id}))
    assert [c.action for c in confirmed.changes] == [Action.DELETE]


def test_disks_of_vms_whose_deletion_is_held_stay() -> None:
    base = many(20)
    live = live_of(base)
    for index in range(20):
        volume = live[key(PVC, f"vm{index:02}-root")]
        assert isinstance(volume, LiveVolume)
        live[volume.key] = replace(volume, used_by=(key(VM, f"vm{index:02}"),))
    result = plan(many(15), live)
    disks = next(h for h in result.held if h.changes[0].key.kind == PVC)
    approved = plan(many(15), live, approvals=Approvals(ids={disks.hold_id}))
    assert not [c for c in approved.changes if c.key.kind == PVC]
    assert len([e for e in approved.blocked if e.key.kind == PVC]) == 5


def test_a_mass_deletion_that_goes_slowly_is_still_all_of_them() -> None:
    base = many(3)
    live = live_of(base)
    begun = live[key(VM, "vm00")]
    assert isinstance(begun, LiveVm)
    live[begun.key] = replace(begun, history=RunHistory(runs=1, stop_requested_at=NOW, stop_asked_by="delete"))
    result = plan("".join(claim(f"vm{i:02}-root") for i in range(3)), live)
    held = next(h for h in result.held if h.changes[0].key.kind == VM)
    assert len(held.changes) == 2 and "all of them" in held.reason


def test_what_came_from_a_source_that_is_no_longer_followed_is_an_orphan() -> None:
    old, new = (
        replace(POLICY, sources=(Origin(identity="refs/heads/main:a"),)),
        replace(POLICY, sources=(Origin(identity="refs/heads/main:b"),)),
    )
    live = live_of(many(1), old)
    result = plan(WEB, live, policy=new)
    assert not [c for c in result.changes if c.action is Action.DELETE]
    assert {str(n.key) for n in result.notes if n.code == "orphan"} == {
        "VirtualMachine/default/vm00", "PersistentVolumeClaim/default/vm00-root"
    }  # fmt: skip
    # What the new source declares too is taken over, and from then on pruned like everything else.
    taken = plan(many(1), live, policy=new)
    assert {c.impact for c in taken.changes} == {Impact.NONE}
    assert [c.action for c in plan("", live_of(many(1), new), policy=new).changes].count(Action.DELETE) == 3


def test_a_deletion_that_waits_counts_and_an_approval_lasts_until_it_is_done() -> None:
    base = many(2)
    live = live_of(base)
    del live[key(VM, "vm00")]
    other = live[key(PVC, "vm01-root")]
    assert isinstance(other, LiveVolume)
    live[other.key] = replace(other, used_by=(ObjectKey(VM, "", "someone"),))
    result = plan("", live)
    (hold,) = [h for h in result.held if h.changes[0].key.kind == PVC]
    assert "all of them" in hold.reason and [c.key.name for c in hold.changes] == ["vm00-root"]
    released = plan("", live, approvals=Approvals(ids={hold.hold_id}))
    assert [h.hold_id for h in released.released] == [hold.hold_id]
    approved = {(c.key, c.action) for c in hold.changes} | {(other.key, Action.DELETE)}
    live[other.key] = other
    assert not [h for h in plan("", live, approvals=Approvals(changes=approved)).held if h.changes[0].key.kind == PVC]
