"""What expires, and what speaks for an item that would."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveObject, LiveVolume, TrashItem
from reconciler.model.origin import Origin
from reconciler.model.plan import Action, Cause, Change, Impact, Plan
from reconciler.model.policy import Mode
from reconciler.model.resolved import SourceKind, VolumeSource
from reconciler.planning.render import render_text
from tests.unit.planning.building import NOW, POLICY, claim
from tests.unit.planning.plans import key, live_of, plan

DAY_S = 86400.0
EXPIRING = replace(POLICY, trash_expire_after_s=7 * DAY_S)
PVC, VM = "PersistentVolumeClaim", "VirtualMachine"


def item(name: str = "data", kind: str = PVC, *, aged_days: float = 8, **facts: Any) -> TrashItem:
    given: dict[str, Any] = {
        "item": f"20260101T000000Z_{kind}_default_{name}",
        "key": key(kind, name),
        "owner": "gitvirt",
        "host": "host-a",
        "trashed_at": NOW - timedelta(days=400),
        "pool": "default",
        "source": VolumeSource(kind=SourceKind.BLANK),
        "aged_s": aged_days * DAY_S,
    }
    return TrashItem(**{**given, **facts})


def expiries(result: Plan) -> list[Change]:
    return [change for change in result.changes if change.key.kind == "TrashItem"]


def planned(
    *trash: TrashItem, text: str = claim("other"), live: dict[ObjectKey, LiveObject] | None = None, **more: Any
) -> Plan:
    policy = more.pop("policy", EXPIRING)
    return plan(text, live if live is not None else live_of(claim("other")), policy, trash=trash, **more)


def test_nothing_expires_unless_it_is_set() -> None:
    assert expiries(planned(item(), policy=POLICY)) == []


def test_what_was_seen_for_long_enough_is_destroyed_and_the_plan_says_so() -> None:
    old, young = item("old"), item("young", aged_days=6.9)
    result = planned(old, young)
    (change,) = expiries(result)
    assert change.key == ObjectKey("TrashItem", "default", old.item)
    assert (change.action, change.cause, change.impact) == (Action.DELETE, Cause.EXPIRY, Impact.DATA_LOSS)
    assert f"- delete TrashItem/default/{old.item} [data-loss]" in render_text(result)
    assert "longer than trash.expireAfter (7d)" in render_text(result)


def test_the_time_of_day_makes_nothing_old() -> None:
    assert expiries(planned(item(aged_days=0))) == []


def test_a_plan_that_is_made_a_day_later_is_the_same_plan() -> None:
    assert planned(item()).plan_id == planned(item(aged_days=9)).plan_id


@pytest.mark.parametrize(
    "facts",
    [
        {"owner": "somebody"},
        {"host": "host-b"},
        {"host": ""},
        {"applied": {"metadata": {"annotations": {"gitvirt.io/prune": "false"}}}},
    ],
)
def test_what_is_not_ours_or_must_not_be_pruned_stays(facts: dict[str, Any]) -> None:
    assert expiries(planned(item(**facts))) == []


def test_what_git_wants_back_does_not_expire_and_older_ones_of_its_name_do() -> None:
    newest = item(item="20260201T000000Z_PersistentVolumeClaim_default_data", trashed_at=NOW)
    oldest = item()
    result = planned(newest, oldest, text=claim("other") + claim("data"))
    assert [change.key.name for change in expiries(result)] == [oldest.item]
    assert [c.restore for c in result.changes if c.key == newest.key] == [newest.item]


def test_what_git_has_on_another_disk_expires() -> None:
    assert (
        len(
            expiries(planned(item(), text=claim("other") + claim("data"), live=live_of(claim("other") + claim("data"))))
        )
        == 1
    )


def test_what_is_lost_on_the_host_keeps_all_its_trash() -> None:
    text = claim("other") + claim("data")
    live = live_of(text)
    lost = live[key(PVC, "data")]
    assert isinstance(lost, LiveVolume)
    live[lost.key] = replace(lost, phase=LOST)
    assert (
        expiries(
            planned(item(), item(item="20250101T000000Z_PersistentVolumeClaim_default_data"), text=text, live=live)
        )
        == []
    )


def test_what_is_declared_and_not_valid_keeps_its_trash() -> None:
    broken = claim("data", extra=", storageClassName: nowhere")
    result = planned(item(), text=claim("other") + broken)
    assert [entry.key for entry in result.blocked] == [key(PVC, "data")]
    assert expiries(result) == []


def test_an_incomplete_reading_destroys_nothing() -> None:
    assert expiries(planned(item(), complete=False)) == []


def test_neither_does_one_of_several_sources_that_was_never_read() -> None:
    policy = replace(EXPIRING, sources=(Origin(), Origin(name="second", identity="second")))
    assert expiries(planned(item(), policy=policy)) == []


def test_report_mode_and_suspension_hold_it() -> None:
    for more in ({"policy": replace(EXPIRING, mode=Mode.REPORT)}, {"suspended": "everything is suspended"}):
        result = planned(item(), **more)
        assert expiries(result) == []
        assert [change.key.kind for hold in result.held for change in hold.changes] == ["TrashItem"]


def test_many_expiries_do_not_wait_for_a_person_and_do_not_count_as_deletions() -> None:
    items = [item(f"d{i:02}") for i in range(20)]
    result = planned(*items)
    assert len(expiries(result)) == 20
    assert result.held == ()
