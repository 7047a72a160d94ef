"""Law 4 in planning: staged outside the window, restarted within it, once, and never more than the blast radius allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm
from reconciler.model.plan import Action, Cause, Plan
from reconciler.model.power import RunHistory
from reconciler.planning.offline import plan_between
from reconciler.planning.safety import Approvals
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, vm
from tests.unit.planning.plans import ENGINE, VM, key, live_of, plan

OPEN = "0 12 * * sun for 2h in UTC"
CLOSED = "30 12 * * sun for 2h in UTC"


def windowed(name: str, window: str) -> str:
    said = f"{{gitvirt.io/restart-policy: Window, gitvirt.io/restart-window: '{window}'}}"
    return vm(name, annotations=said) + claim(f"{name}-root")


def staged(text: str, **history: Any) -> dict[ObjectKey, LiveObject]:
    """Everything as wanted with more memory in the stored half, and the old memory in the running one."""
    live = live_of(text.replace("128Mi", "256Mi"))
    for one, old in live_of(text).items():
        new = live[one]
        if isinstance(new, LiveVm) and isinstance(old, LiveVm):
            live[one] = replace(new, running=old.running, history=RunHistory(runs=1, **history))
    return live


def bigger(text: str, **more: Any) -> Plan:
    return plan(text.replace("128Mi", "256Mi"), staged(text, **more.pop("history", {})), **more)


def test_outside_the_window_it_is_staged_and_comes_back_when_it_opens() -> None:
    result = bigger(windowed("web", CLOSED))
    assert result.changes == ()
    assert key(VM, "web") in result.restart_required
    assert result.retry_after_s == 1800.0
    (change,) = plan(windowed("web", CLOSED).replace("128Mi", "256Mi"), live_of(windowed("web", CLOSED))).changes
    assert (change.action, change.power) == (Action.UPDATE, None)
    assert change.reason == "takes effect at the next restart, in the VM's restart window (policy Window)"


def test_within_the_window_it_is_restarted_once() -> None:
    (change,) = bigger(windowed("web", OPEN)).changes
    assert (change.action, change.cause) == (Action.RESTART, Cause.COMMIT)
    assert change.reason.startswith("restart policy Window: spec.template.spec.domain.memory.guest take effect")
    again = bigger(windowed("web", OPEN), history={"last_restart_at": NOW})
    assert again.changes == () and again.restart_required
    before = bigger(windowed("web", OPEN), history={"last_restart_at": NOW - timedelta(seconds=1)})
    assert [c.action for c in before.changes] == [Action.RESTART]


def test_a_vm_that_needs_no_restart_is_not_restarted_in_its_window() -> None:
    text = windowed("web", OPEN)
    assert plan(text, live_of(text)).changes == ()


def test_an_operator_restarts_at_any_time() -> None:
    (change,) = bigger(windowed("web", CLOSED), restarts=frozenset({key(VM, "web")})).changes
    assert (change.action, change.cause) == (Action.RESTART, Cause.OPERATOR)


def test_a_window_lets_through_what_the_blast_radius_allows_and_holds_the_rest() -> None:
    fleet = "".join(windowed(f"vm{i:02}", OPEN) for i in range(20))
    result = bigger(fleet)
    assert [c.key.name for c in result.changes] == ["vm00", "vm01", "vm02"]
    (hold,) = result.held
    assert (hold.rule, hold.approvable, len(hold.changes)) == ("blast-radius", True, 17)
    assert "the others follow as time passes" in hold.reason
    assert len(bigger(fleet, approvals=Approvals(ids={hold.hold_id})).changes) == 20


def test_restarts_that_nobody_agreed_to_wait_as_one() -> None:
    annotations = "{gitvirt.io/restart-policy: Immediate}"
    fleet = "".join(vm(f"vm{i:02}", annotations=annotations) + claim(f"vm{i:02}-root") for i in range(20))
    result = bigger(fleet)
    assert result.changes == ()
    assert [len(hold.changes) for hold in result.held] == [20]


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ("{gitvirt.io/restart-policy: Sometimes}", "none of Manual, Window, Immediate"),
        ("{gitvirt.io/restart-policy: Window}", "policy Window needs gitvirt.io/restart-window"),
        ("{gitvirt.io/restart-window: '0 3 * * * for 1h in UTC'}", "says nothing without gitvirt.io/restart-policy: Window"),
        ("{gitvirt.io/restart-policy: Window, gitvirt.io/restart-window: '0 3 * * *'}", "is not MINUTE HOUR"),
        ("{gitvirt.io/restart-policy: Window, gitvirt.io/restart-window: '0 3 31 2 * for 1h in UTC'}", "never comes"),
    ],
)  # fmt: skip
def test_what_is_no_window_holds_the_vm_and_says_why(annotations: str, said: str) -> None:
    text = vm("web", annotations=annotations) + claim("web-root")
    (entry,) = plan(text, live_of(vm("web") + claim("web-root"))).blocked
    assert said in entry.by and entry.by.endswith("it is held at its last applied document")


def test_between_two_revisions_no_window_is_open() -> None:
    text = windowed("web", "* * * * * for 1h in UTC")
    found = plan_between(
        declared(text), declared(text.replace("128Mi", "256Mi")), engine=ENGINE, policy=POLICY, digest=digest
    )
    assert [c.action for c in found.changes] == [Action.UPDATE]
