"""The blast radius counts deletions that the trash does not tell, and waits while they are not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.model.live import Deletion
from reconciler.model.plan import Action, Plan
from reconciler.planning.planner import make_plan
from reconciler.planning.resolve import resolve
from reconciler.planning.safety import Approvals
from tests.unit.planning.building import NOW, POLICY, declared, digest, observed, vm
from tests.unit.planning.plans import ENGINE, VM, key, live_of, many

TWENTY = many(20)
WITHOUT_ONE = TWENTY.replace(vm("vm07"), "")


def plan(*deletions: Deletion, unknown: str = "", approved: str = "") -> Plan:
    """What is planned when one of twenty VMs left Git, and these were deleted before."""
    seen = replace(observed(*live_of(TWENTY).values()), deletions=deletions, deletions_unknown=unknown)
    desired = resolve(declared(WITHOUT_ONE, origin=POLICY.sources[0].identity), seen, policy=POLICY, digest=digest)
    approvals = Approvals(ids=[approved] if approved else [])
    return make_plan(desired, seen, policy=POLICY, engine=ENGINE, now=NOW, approvals=approvals)


def deleted(name: str, minutes: int) -> Deletion:
    return Deletion(key=key(VM, name), at=NOW - timedelta(minutes=minutes))


def deletes(made: Plan) -> set[str]:
    return {change.key.name for change in made.changes if change.action is Action.DELETE and change.key.kind == VM}


def test_those_of_the_hour_before_count_and_older_ones_do_not() -> None:
    assert deletes(plan(*(deleted(f"old{i}", 61) for i in range(9)))) == {"vm07"}
    held = plan(*(deleted(f"old{i}", 59) for i in range(3)))
    (hold,) = held.held
    assert (deletes(held), hold.rule, hold.approvable) == (set(), "blast-radius", True)
    assert hold.reason == "deletion of VMs: 4 within 60 min of 23, more than the blast radius allows"
    assert deletes(plan(*(deleted(f"old{i}", 59) for i in range(3)), approved=hold.hold_id)) == {"vm07"}


def test_one_that_is_deleted_again_or_was_told_twice_is_one() -> None:
    again = [deleted("vm07", 30), deleted("old1", 20), deleted("old1", 10), deleted("old2", 5)]
    assert deletes(plan(*again)) == {"vm07"}


def test_while_they_are_not_known_no_vm_is_deleted_and_nobody_can_approve_it() -> None:
    held = plan(unknown="the record cannot be read")
    (hold,) = held.held
    assert (deletes(held), hold.reason, hold.approvable) == (set(), "the record cannot be read", False)
    assert deletes(plan(unknown="the record cannot be read", approved=hold.hold_id)) == set()
