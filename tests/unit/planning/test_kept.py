"""What a planner keeps from one plan to the next, and what makes it think again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveResource, LiveVm
from reconciler.model.power import Override, OverrideAction, PowerStep
from reconciler.planning.planner import Planner
from reconciler.planning.resolve import resolve
from tests.unit.planning import test_platform as platform
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, observed, vm
from tests.unit.planning.plans import ENGINE, VM, key, live_of

MISSING = {platform.LAN, platform.LINUX, platform.ROOT}


def missing(notes: object) -> set[ObjectKey]:
    """What the notes say is missing."""
    return {one for one in MISSING if str(one) in str(notes)}


def test_a_note_stays_until_what_it_is_about_is_another() -> None:
    planner, text = Planner(platform.POLICY, platform.ENGINE), platform.SIZE + platform.VM
    live: Mapping[ObjectKey, LiveObject] = platform.live_of(text)
    desired = resolve(platform.read(text), observed(*live.values()), policy=platform.POLICY, digest=digest)
    first = planner.plan(desired, observed(*live.values()), touched=None, now=NOW)
    assert (first.changes, missing(first.notes)) == ((), MISSING)
    assert platform.WEB not in planner.unsettled

    later = planner.plan(desired, observed(*live.values()), touched=(), now=NOW + timedelta(hours=1))
    assert (later, planner.thought_about) == (first, frozenset())

    live = {**live, platform.LAN: LiveResource(key=platform.LAN, fingerprint="x", marks=None)}
    there = planner.plan(desired, observed(*live.values()), touched={platform.LAN}, now=NOW + timedelta(hours=2))
    assert planner.thought_about == {platform.LAN, platform.WEB}
    assert missing(there.notes) == MISSING - {platform.LAN}

    without = resolve(platform.read(platform.SIZE), observed(), policy=platform.POLICY, digest=digest)
    gone = planner.plan(without, observed(), touched={platform.WEB}, now=NOW + timedelta(hours=3))
    assert gone.notes == ()


def test_a_clock_that_is_set_back_makes_what_was_over_hold_again() -> None:
    text = vm("web") + claim("web-root")
    live = live_of(text)
    web = live[key(VM, "web")]
    assert isinstance(web, LiveVm)
    assert web.marks is not None
    stop = Override(action=OverrideAction.STOP, by="alice", at=NOW, until=NOW + timedelta(minutes=1))
    live = {**live, web.key: replace(web, marks=replace(web.marks, override=stop))}
    desired = resolve(declared(text), observed(*live.values()), policy=POLICY, digest=digest)
    planner = Planner(POLICY, ENGINE)
    over = planner.plan(desired, observed(*live.values()), touched=None, now=NOW + timedelta(minutes=2))
    assert over.changes == ()
    again = planner.plan(desired, observed(*live.values()), touched=(), now=NOW)
    assert [(change.key, change.power) for change in again.changes] == [(web.key, PowerStep.STOP)]
