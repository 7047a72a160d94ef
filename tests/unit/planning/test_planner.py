"""Desired against live: what a plan says, holds and leaves alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from reconciler.model.live import LiveVm, LiveVolume, TrashItem, Unreadable
from reconciler.model.plan import Action, Cause, Impact
from reconciler.model.policy import Mode
from reconciler.model.power import Override, OverrideAction, PowerState, PowerStep, StopReason
from reconciler.model.resolved import SourceKind, VolumeSource
from reconciler.planning.offline import plan_between
from reconciler.planning.render import render_markdown, render_text
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, vm
from tests.unit.planning.plans import ENGINE, PVC, VM, WEB, key, live_of, many, plan


def test_everything_new_in_order_networks_storage_vms() -> None:
    result = plan(WEB, {})
    assert [str(c.key) for c in result.changes] == [
        "PodNetwork/pod", "PersistentVolumeClaim/default/web-root", "VirtualMachine/default/web"
    ]  # fmt: skip
    assert all(c.action is Action.CREATE and c.cause is Cause.COMMIT for c in result.changes)
    assert result.changes[-1].power is PowerStep.START
    assert key(PVC, "web-root") in result.changes[-1].needs


def test_what_is_as_wanted_gives_an_empty_plan() -> None:
    result = plan(WEB, live_of(WEB))
    assert (result.changes, result.held, result.blocked, result.notes) == ((), (), (), ())
    assert "nothing to do" in render_text(result)


def test_same_input_same_bytes_same_id() -> None:
    one, two = plan(many(3), {}), plan(many(3), {})
    assert json.dumps(one.to_dict()) == json.dumps(two.to_dict()) and one.plan_id == two.plan_id
    assert plan(many(2), {}).plan_id != one.plan_id


def test_what_vanished_since_it_was_seen_is_drift_unless_git_changed_it_too() -> None:
    live = live_of(WEB)
    web = live.pop(key(VM, "web"))
    assert web.marks is not None and web.marks.applied is not None
    (gone,) = plan(WEB, live, seen={web.key: web.marks.applied}).changes
    (edited,) = plan(WEB, live, seen={web.key: {"spec": "older"}}).changes
    (unseen,) = plan(WEB, live).changes
    assert [c.action for c in (gone, edited, unseen)] == [Action.CREATE] * 3
    assert [c.cause for c in (gone, edited, unseen)] == [Cause.DRIFT, Cause.COMMIT, Cause.COMMIT]


def test_a_destroyed_guest_is_drift_and_started() -> None:
    live = live_of(WEB)
    web = live[key(VM, "web")]
    assert isinstance(web, LiveVm)
    live[web.key] = replace(web, running=None, power=PowerState.OFF, stop_reason=StopReason.DESTROYED)
    (change,) = plan(WEB, live).changes
    assert (change.action, change.cause, change.power) == (Action.UPDATE, Cause.DRIFT, PowerStep.START)
    assert change.differences[0].path == "spec.runStrategy"
    assert (change.differences[0].before, change.differences[0].after) == ("Stopped", "Running")


def test_memory_is_staged_and_waits_for_the_restart_that_a_person_does() -> None:
    bigger = WEB.replace("128Mi", "256Mi")
    (change,) = plan(bigger, live_of(WEB)).changes
    assert (change.action, change.impact, change.cause) == (Action.UPDATE, Impact.RESTART, Cause.COMMIT)
    memory = change.differences[0]
    assert memory.path == "spec.template.spec.domain.memory.guest"
    assert (memory.before, memory.after, memory.impact) == ("128Mi", "256Mi", Impact.RESTART)
    live = live_of(WEB)
    staged = live_of(bigger)[key(VM, "web")]
    assert isinstance(staged, LiveVm)
    old = live[staged.key]
    assert isinstance(old, LiveVm)
    live[staged.key] = replace(staged, running=old.running)
    result = plan(bigger, live)
    assert result.changes == () and [d.path for d in result.restart_required[staged.key]] == [memory.path]
    # It clears itself when the spec matches again.
    assert not plan(WEB, {**live, staged.key: old}).restart_required


def test_restart_policy_immediate_and_an_operators_restart() -> None:
    annotated = vm("web", annotations="{gitvirt.io/restart-policy: Immediate}") + claim("web-root")
    (change,) = plan(annotated.replace("128Mi", "256Mi"), live_of(annotated)).changes
    assert (change.action, change.power) == (Action.RESTART, PowerStep.RESTART)
    (asked,) = plan(WEB, live_of(WEB), restarts=frozenset({key(VM, "web")})).changes
    assert (asked.action, asked.cause) == (Action.RESTART, Cause.OPERATOR)


def test_a_change_of_a_vm_that_is_off_costs_nothing() -> None:
    halted = vm("web", strategy="Halted") + claim("web-root")
    (change,) = plan(halted.replace("128Mi", "256Mi"), live_of(halted)).changes
    assert change.impact is Impact.NONE and change.power is None


def test_a_label_is_recorded_and_touches_nothing() -> None:
    labelled = WEB.replace("{name: web, annotations: {}}", "{name: web, annotations: {}, labels: {team: a}}")
    (change,) = plan(labelled, live_of(WEB)).changes
    assert change.impact is Impact.NONE and change.differences[0].path.startswith("metadata.labels")


def test_a_claim_grows_live_and_never_shrinks() -> None:
    (change,) = plan(WEB.replace("1Gi", "2Gi"), live_of(WEB)).changes
    assert (change.impact, change.differences[0].path) == (Impact.LIVE, "spec.resources.requests.storage")
    assert (change.differences[0].before, change.differences[0].after) == ("1Gi", "2Gi")
    smaller = plan(WEB.replace("1Gi", "512Mi"), live_of(WEB))
    assert all(d.path != "spec.resources.requests.storage" or d.impact is Impact.NONE
               for c in smaller.changes for d in c.differences)  # fmt: skip
    assert [note.code for note in smaller.notes] == ["volume-larger"]


def test_a_vm_whose_disk_runs_in_one_that_is_kept_waits_and_says_so() -> None:
    live = live_of(vm("old") + claim("web-root"))
    live[key(PVC, "web-root")] = replace(live[key(PVC, "web-root")], used_by=(key(VM, "old"),))
    old = live_of(WEB)[key(VM, "web")]
    assert isinstance(old, LiveVm)
    live[key(VM, "old")] = replace(old, key=key(VM, "old"), running=old.stored, power=PowerState.RUNNING)
    result = plan(WEB, live, complete=False)
    assert key(VM, "web") not in {change.key for change in result.changes}
    assert "VirtualMachine/default/old" in next(one.by for one in result.blocked if one.key == key(VM, "web"))
    live[key(VM, "old")] = replace(old, key=key(VM, "old"), running=None, power=PowerState.OFF)
    assert key(VM, "web") in {change.key for change in plan(WEB, live, complete=False).changes}


def test_what_cannot_be_read_is_not_created_again() -> None:
    gap = Unreadable(reason="broken", key=key(VM, "web"))
    live = {k: v for k, v in live_of(WEB).items() if k.kind != VM}
    result = plan(WEB, live, unreadable=(gap,))
    assert result.changes == () and key(VM, "web") in {entry.key for entry in result.blocked}


def test_foreign_objects_are_not_touched() -> None:
    live = live_of(WEB)
    web = live[key(VM, "web")]
    assert isinstance(web, LiveVm) and web.marks is not None
    foreign = plan(WEB, {**live, web.key: replace(web, marks=None)})
    assert foreign.changes == () and "not owned" in foreign.blocked[0].by
    other = plan(WEB, {**live, web.key: replace(web, marks=replace(web.marks, owner="them"))})
    assert other.changes == () and "'them'" in other.blocked[0].by
    gone = plan(claim("web-root"), {**live, web.key: replace(web, marks=replace(web.marks, owner="them"))})
    assert web.key not in {c.key for c in gone.changes}


def test_report_mode_and_suspension_hold_everything() -> None:
    report = plan(WEB, {}, policy=replace(POLICY, mode=Mode.REPORT))
    assert report.changes == () and {h.rule for h in report.held} == {"report-mode"}
    unset = replace(POLICY, mode=None)
    assert plan(WEB, {}, policy=unset).changes
    assert plan(WEB, {}, policy=unset, foreign_vms=("someone",)).held[0].rule == "report-mode"
    assert plan(WEB, {}, suspended="by ann").held[0].rule == "suspended"


def test_a_claim_comes_back_from_the_trash_unless_a_fresh_disk_is_asked_for() -> None:
    item = TrashItem(
        item="20260301T110000Z_pvc", key=key(PVC, "web-root"), owner="gitvirt", trashed_at=NOW, pool="default",
        source=VolumeSource(kind=SourceKind.BLANK),
    )  # fmt: skip
    older = replace(item, item="20260201T110000Z_pvc", trashed_at=NOW - timedelta(days=28))
    back = next(c for c in plan(WEB, {}, trash=(older, item)).changes if c.key.kind == PVC)
    assert back.restore == item.item and "trash" in back.reason
    fresh = WEB.replace(
        "metadata: {name: web-root}",
        f"metadata: {{name: web-root, annotations: {{gitvirt.io/fresh-disk: {item.item}}}}}",
    )
    assert next(c for c in plan(fresh, {}, trash=(older, item)).changes if c.key.kind == PVC).restore == ""
    other_source = replace(item, source=VolumeSource(kind=SourceKind.HTTP, url="http://x/y"))
    assert next(c for c in plan(WEB, {}, trash=(other_source,)).changes if c.key.kind == PVC).restore == ""


def test_a_vm_waits_for_an_import_and_says_how_far_it_is() -> None:
    live = live_of(WEB)
    volume = live[key(PVC, "web-root")]
    assert isinstance(volume, LiveVolume)
    del live[key(VM, "web")]
    live[volume.key] = replace(volume, phase="ImportInProgress", progress=0.4)
    result = plan(WEB, live)
    assert result.changes == ()
    entry = next(entry for entry in result.blocked if entry.key.kind == VM)
    assert entry.waiting and "ImportInProgress (40%)" in entry.by
    live[volume.key] = replace(volume, phase="Failed", reason="404", retry_at=NOW + timedelta(seconds=7))
    waiting = plan(WEB, live)
    assert waiting.changes == () and waiting.retry_after_s == 7
    for at in (NOW, NOW + timedelta(days=1)):  # a day ahead: the clock was set back since
        live[volume.key] = replace(volume, phase="Failed", reason="404", retry_at=at)
        assert [c.key for c in plan(WEB, live).changes] == [volume.key]


def test_an_import_that_a_vm_waits_for_keeps_nobody_from_stopping_it() -> None:
    """Power is its own plane (law 8)."""
    live = live_of(WEB + claim("data"))
    web, volume = live[key(VM, "web")], live[key(PVC, "data")]
    assert isinstance(web, LiveVm) and web.marks is not None and isinstance(volume, LiveVolume)
    live[volume.key] = replace(volume, phase="ImportInProgress", progress=0.4)
    more = (WEB + claim("data")).replace(
        "[{name: root, disk: {bus: virtio}}]", "[{name: root, disk: {bus: virtio}}, {name: data, disk: {bus: virtio}}]"
    ).replace(
        "[{name: root, persistentVolumeClaim: {claimName: web-root}}]",
        "[{name: root, persistentVolumeClaim: {claimName: web-root}}, {name: data, persistentVolumeClaim: {claimName: data}}]",
    )  # fmt: skip
    waiting = plan(more, live)
    assert waiting.changes == ()
    assert {entry.key: entry.by_keys for entry in waiting.blocked}[web.key] == (volume.key,)

    stopped = replace(web.marks, override=Override(action=OverrideAction.STOP, by="ann", at=NOW))
    live[web.key] = replace(web, marks=stopped)
    asked = plan(more, live)
    (change,) = asked.changes
    assert (change.power, change.power_alone, change.cause, change.needs) == (
        PowerStep.STOP, True, Cause.OPERATOR, (),
    )  # fmt: skip
    assert [difference.path for difference in change.differences] == ["spec.runStrategy"]
    assert web.key in [entry.key for entry in asked.blocked]

    live[web.key] = web
    (halted,) = plan(more.replace("Always", "Halted"), live).changes
    assert (halted.power, halted.power_alone, halted.cause) == (PowerStep.STOP, True, Cause.COMMIT)
    live[web.key] = replace(web, running=None, power=PowerState.OFF, stop_reason=StopReason.DESTROYED)
    assert plan(more, live).changes == ()  # what its next boot needs is not there


def test_one_bad_object_never_blocks_another() -> None:
    text = vm("broken") + WEB
    result = plan(text, {})
    assert key(VM, "web") in {c.key for c in result.changes}
    assert [e.key for e in result.blocked] == [key(VM, "broken")] and "broken-root" in result.blocked[0].by


def test_offline_plan_between_two_revisions() -> None:
    base, head = WEB + vm("old") + claim("old-root"), WEB.replace("128Mi", "256Mi") + claim("old-root")
    result = plan_between(declared(base), declared(head), engine=ENGINE, policy=POLICY, digest=digest)
    assert [(c.action, c.key.name) for c in result.changes] == [(Action.UPDATE, "web"), (Action.DELETE, "old")]
    from_nothing = plan_between(None, declared(WEB), engine=ENGINE, policy=POLICY, digest=digest)
    assert [c.action for c in from_nothing.changes] == [Action.CREATE] * 3


def test_offline_hold_has_the_id_of_the_live_one() -> None:
    base, rest = many(20), many(15)
    offline = plan_between(declared(base), declared(rest), engine=ENGINE, policy=POLICY, digest=digest)
    live = {k: replace(v, fingerprint=f"live-{k}") for k, v in live_of(base).items()}
    assert [h.hold_id for h in offline.held] == [h.hold_id for h in plan(rest, live).held]


def test_rendered_plans_cannot_be_broken_by_what_they_show() -> None:
    evil = WEB.replace(
        "{name: web, annotations: {}}", '{name: web, annotations: {note: "a|b`<img src=x>\\u001b[31mred\\nline"}}'
    )
    result = plan(evil, live_of(WEB))
    text, markdown = render_text(result), render_markdown(result)
    assert "\x1b" not in text and "<img" not in markdown
    assert all(
        line.count("|") in (0, 6, 7) or not line.startswith("|") for line in markdown.replace("\\|", "").splitlines()
    )


def test_what_a_change_needs_and_no_change_makes_is_waited_for() -> None:
    # The clone waits for its source, so the VM on it waits too, although the clone has no change in this plan.
    text = """
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: web-root}
spec: {source: {pvc: {namespace: default, name: image}}, storage: {resources: {requests: {storage: 1Gi}}}}
---
"""
    image = claim("image")
    live = live_of(image)
    source = live[key(PVC, "image")]
    assert isinstance(source, LiveVolume)
    live[source.key] = replace(source, phase="ImportInProgress")
    result = plan(vm("web") + text + image, live)
    assert [str(c.key) for c in result.changes] == ["PodNetwork/pod"]
    assert {str(e.key): e.waiting for e in result.blocked} == {
        "DataVolume/default/web-root": True,
        "PersistentVolumeClaim/default/image": True,
        "VirtualMachine/default/web": True,
    }  # fmt: skip


def test_mode_of_one_object() -> None:
    text = vm("web", annotations="{gitvirt.io/mode: report}") + claim("web-root")
    result = plan(text, {})
    assert [h.rule for h in result.held] == ["report-mode"]
    assert [str(c.key) for c in result.held[0].changes] == ["VirtualMachine/default/web"]


def test_a_strategy_changed_by_a_commit_is_told_once_in_the_manifests_words() -> None:
    running = WEB.replace("runStrategy: Always", "running: true")
    (change,) = plan(running.replace("running: true", "running: false"), live_of(running)).changes
    assert [(d.path, d.before, d.after, d.impact) for d in change.differences] == [
        ("spec.running", True, False, Impact.RESTART)
    ]  # fmt: skip
    assert change.power is PowerStep.STOP


def test_what_an_operator_asked_for_is_the_operators() -> None:
    halted = vm("web", strategy="Halted") + claim("web-root")
    live = live_of(halted)
    running = live_of(WEB)[key(VM, "web")]
    web = live[running.key]
    assert isinstance(running, LiveVm) and isinstance(web, LiveVm)
    live[web.key] = replace(web, running=running.running, power=PowerState.RUNNING)
    assert plan(halted, live).changes[0].cause is Cause.DRIFT
    assert plan(halted, live, asked=frozenset({web.key})).changes[0].cause is Cause.OPERATOR
