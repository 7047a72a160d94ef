"""Wanted against live without a server: impacts, redaction, plans between two revisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from nodeexec.kubevirt.compare import SECRET, Rules, compare
from nodeexec.kubevirt.keeping import kept
from nodeexec.kubevirt.kinds import KINDS, VM
from nodeexec.kubevirt.manifest import sent
from nodeexec.kubevirt.project_vm import live_vm
from nodeexec.kubevirt.rollout import STAGE, Rollout
from reconciler.model.live import LiveVm
from reconciler.model.plan import Impact
from reconciler.model.policy import Policy
from reconciler.model.power import Override, OverrideAction, PowerState
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.offline import as_if_live
from reconciler.planning.resolve_cluster import vm_of_cluster
from reconciler.planning.resolve_vm import References
from tests.contract.builders import digest, document

POLICY = Policy(on_cluster=True, host="cluster")
T = "spec.template.spec"


def wanted(memory: str = "1Gi", *, user_data: str = "a", **spec: Any) -> ResolvedVm:
    """A VM with a NIC and a seed."""
    template = {
        "domain": {
            "memory": {"guest": memory},
            "devices": {"interfaces": [{"name": "default", "masquerade": {}}], "disks": [{"name": "seed", "disk": {}}]},
        },
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": "seed", "cloudInitNoCloud": {"userData": user_data}}],
    }
    manifest = document(VM, "prod", "web", {"runStrategy": "Always", "template": {"spec": template}, **spec})
    return vm_of_cluster(manifest, References(documents={}, volumes={}, networks=()), policy=POLICY, digest=digest)


def live(vm: ResolvedVm) -> LiveVm:
    """The VM as a server would hold what is sent."""
    body = sent(vm, None, KINDS[VM], owner="gitvirt", revision="1" * 40)
    return live_vm(vm.key, kept(body, VM), None, host="cluster")


def test_identity_is_sent_and_is_that_of_every_engine() -> None:
    vm = wanted()
    template = sent(vm, None, KINDS[VM], owner="gitvirt", revision="")["spec"]["template"]["spec"]
    assert template["domain"]["firmware"] == {"uuid": vm.domain.uuid, "serial": vm.domain.serial}
    assert template["domain"]["devices"]["interfaces"][0]["macAddress"] == vm.domain.interfaces[0].mac


def test_what_is_as_sent_is_silent_and_a_changed_secret_is_masked() -> None:
    vm = wanted()
    assert compare(vm, live(vm)) == ()
    (found,) = compare(wanted(user_data="b"), live(vm))
    assert (found.path, found.before, found.after) == (f"{T}.volumes[seed].cloudInitNoCloud.userData", SECRET, SECRET)


def test_a_plan_between_two_revisions_needs_no_server() -> None:
    base = as_if_live(wanted(), POLICY, "1" * 40)
    assert compare(wanted(), base) == ()
    (found,) = compare(wanted("2Gi"), base, Rules(rollout=Rollout(strategy=STAGE)))
    assert (found.path, found.impact) == (f"{T}.domain.memory.guest", Impact.RESTART)


def test_an_object_that_is_held_is_never_sent_a_digest() -> None:
    """Its manifest is not at hand: the last applied document has digests in the place of secrets."""
    vm = wanted(user_data="hunter2")
    there = live(vm)
    assert there.marks is not None
    held = replace(vm, document=document(VM, "prod", "web", dict(vm.applied["spec"])))
    body = sent(held, there, KINDS[VM], owner="gitvirt", revision="")
    assert body["spec"]["template"]["spec"]["volumes"][0]["cloudInitNoCloud"]["userData"] == "hunter2"
    assert compare(held, there) == ()


def test_an_operator_s_stop_is_not_undone_by_an_apply() -> None:
    vm, at = wanted(), live(wanted())
    assert at.marks is not None
    assert at.served is not None
    stop = Override(action=OverrideAction.STOP, by="ann", at=datetime(2026, 1, 1, tzinfo=UTC))
    served = {**at.served.document, "spec": {**at.served.document["spec"], "runStrategy": "Halted"}}
    stopped = replace(at, marks=replace(at.marks, override=stop), served=replace(at.served, document=served))
    assert compare(vm, stopped) == ()
    changed = sent(wanted("2Gi"), stopped, KINDS[VM], owner="gitvirt", revision="", keep_power=True)
    assert changed["spec"]["runStrategy"] == "Halted"


def test_what_an_operator_s_act_left_is_put_back_when_it_is_over_and_somebody_s_is_not() -> None:
    vm, at = wanted(), live(wanted())
    assert at.marks is not None
    assert at.served is not None
    served = {**at.served.document, "spec": {**at.served.document["spec"], "runStrategy": "Halted"}}
    stop = Override(
        action=OverrideAction.STOP,
        by="ann",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        until=datetime(2026, 1, 2, tzinfo=UTC),
    )
    stopped = replace(at, marks=replace(at.marks, override=stop), served=replace(at.served, document=served))
    assert compare(vm, stopped, Rules(now=datetime(2026, 1, 1, 12, tzinfo=UTC))) == ()
    (over,) = compare(vm, stopped, Rules(now=datetime(2026, 1, 3, tzinfo=UTC)))
    assert (over.path, over.refused, over.running) == ("spec.runStrategy", "", False)
    (somebody,) = compare(vm, replace(stopped, marks=at.marks), Rules(now=datetime(2026, 1, 3, tzinfo=UTC)))
    assert "virtctl" in somebody.refused
    (corrected,) = compare(vm, replace(stopped, marks=at.marks), Rules(correct_power=True))
    assert corrected.refused == ""


def test_an_act_that_is_over_is_to_be_taken_off_once_nothing_of_it_is_left() -> None:
    vm = wanted()
    at = live(vm)
    assert at.marks is not None
    until = datetime(2026, 1, 2, tzinfo=UTC)
    during, after = Rules(now=datetime(2026, 1, 1, 12, tzinfo=UTC)), Rules(now=datetime(2026, 1, 3, tzinfo=UTC))
    for action in OverrideAction:
        act = Override(action=action, by="ann", at=datetime(2026, 1, 1, tzinfo=UTC), until=until)
        noted = replace(at, marks=replace(at.marks, override=act))
        assert compare(vm, noted, during) == ()
        (over,) = compare(vm, noted, after)
        assert (over.path, over.before, over.impact) == (
            "metadata.annotations[gitvirt.io/override]",
            action,
            Impact.NONE,
        )
        is_paused = replace(noted, power=PowerState.PAUSED)
        assert (compare(vm, is_paused, after) == ()) is (action is OverrideAction.PAUSE)


def test_a_stop_that_is_over_is_noted_until_the_guest_that_reruns_on_failure_is_started() -> None:
    vm = wanted(runStrategy="RerunOnFailure")
    at = live(vm)
    assert at.marks is not None
    day = datetime(2026, 1, 1, tzinfo=UTC)
    stop = Override(action=OverrideAction.STOP, by="ann", at=day, until=day + timedelta(hours=1))
    noted = replace(at, marks=replace(at.marks, override=stop))
    after = Rules(now=day + timedelta(days=1))
    assert compare(vm, replace(noted, power=PowerState.OFF), after) == ()
    assert len(compare(vm, replace(noted, power=PowerState.RUNNING), after)) == 1
