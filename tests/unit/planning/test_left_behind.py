"""A seed ISO that has outlived its domain: removed only where its VM is neither declared nor perhaps there."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.keys import ATTACHED_VOLUME, ObjectKey
from reconciler.model.live import LiveVm, LiveVolume, Marks, Unreadable
from reconciler.model.plan import Action
from reconciler.planning.planner import Planner
from reconciler.planning.resolve import resolve
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, observed, vm
from tests.unit.planning.plans import ENGINE, VM, key, live_of, plan

WEB = vm("web") + claim("web-root")
ISO = LiveVolume(
    key=ObjectKey(ATTACHED_VOLUME, "default", "default_web.seed.0123456789ab.iso"),
    fingerprint="f1",
    marks=Marks(owner=POLICY.owner, host=POLICY.host, revision="r0", applied=None),
    pool="default",
    volume="default_web.seed.0123456789ab.iso",
    format="raw",
    size_bytes=1 << 20,
    attached_to=key(VM, "web"),
)


def test_it_goes_when_nobody_declares_its_vm() -> None:
    result = plan(claim("web-root"), {**live_of(claim("web-root")), ISO.key: ISO})
    (change,) = result.changes
    assert (change.key, change.action, change.expected) == (ISO.key, Action.DELETE, "f1")
    assert "VirtualMachine/default/web" in change.reason and result.held == ()


def test_it_stays_while_its_vm_is_declared_valid_or_not() -> None:
    live = {**live_of(claim("web-root")), ISO.key: ISO}
    assert ISO.key not in {change.key for change in plan(WEB, live).changes}
    broken = declared(claim("web-root"), invalid={key(VM, "web"): "broken"})
    desired = resolve(broken, observed(*live.values()), policy=POLICY, digest=digest)
    planner = Planner(POLICY, ENGINE)
    assert planner.plan(desired, observed(*live.values()), touched=None, now=NOW).changes == ()


def test_it_goes_when_its_vm_is_there_and_does_not_name_it() -> None:
    live = live_of(WEB)
    result = plan(WEB, {**live, ISO.key: ISO})
    assert [change.key for change in result.changes if change.action is Action.DELETE] == [ISO.key]
    foreign = live[key(VM, "web")]
    assert foreign.marks is not None
    theirs = replace(foreign, marks=replace(foreign.marks, owner="them"))
    assert not [c for c in plan(WEB, {**live, theirs.key: theirs, ISO.key: ISO}).changes if c.key == ISO.key]


def test_it_stays_where_reading_was_not_whole_or_it_is_not_ours() -> None:
    live = {**live_of(claim("web-root")), ISO.key: ISO}
    assert plan(claim("web-root"), live, complete=False).changes == ()
    unread = Unreadable(reason="broken XML", key=key(VM, "other"))
    assert plan(claim("web-root"), live, unreadable=(unread,)).changes == ()
    assert ISO.marks is not None
    for marks in (replace(ISO.marks, owner="them"), replace(ISO.marks, host="host-b"), None):
        assert plan(claim("web-root"), {**live, ISO.key: replace(ISO, marks=marks)}).changes == ()


def test_it_is_thought_about_again_when_its_vm_leaves_git() -> None:
    live = {**live_of(claim("web-root")), ISO.key: ISO}
    observation = observed(*live.values())
    planner = Planner(POLICY, ENGINE)
    origin = POLICY.sources[0].identity
    with_vm, without = (
        resolve(declared(text, origin=origin), observation, policy=POLICY, digest=digest)
        for text in (WEB, claim("web-root"))
    )
    assert ISO.key not in {c.key for c in planner.plan(with_vm, observation, touched=None, now=NOW).changes}
    after = planner.plan(without, observation, touched={key(VM, "web")}, now=NOW)
    assert [change.key for change in after.changes] == [ISO.key]


def test_it_is_not_a_vm_and_counts_for_no_blast_radius() -> None:
    text = vm("one") + vm("two") + claim("one-root") + claim("two-root")
    keys = [ObjectKey(ATTACHED_VOLUME, "default", f"{number}.iso") for number in range(6)]
    others = {one: replace(ISO, key=one, attached_to=key(VM, one.name)) for one in keys}
    result = plan(text, {**live_of(text), **others})
    assert {change.key for change in result.changes if change.action is Action.DELETE} == set(others)
    assert not any(isinstance(live, LiveVm) for live in others.values())
