"""Marks as text: they read back, and damage never looks like a foreign object."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks, from_json, from_metadata, to_json, to_metadata
from reconciler.model.live import Marks
from reconciler.model.power import Override, OverrideAction, RunHistory, StopReason

AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
FULL = DomainMarks(
    marks=Marks(
        owner="gitvirt",
        host="h",
        revision="abc",
        applied={"spec": {"list": [1, None, "x"], "empty": {}}},
        created_at=AT,
        override=Override(action=OverrideAction.STOP, by="root", at=AT, until=AT + timedelta(hours=1)),
        suspended="maintenance",
        suspended_until=AT,
    ),
    history=RunHistory(
        runs=3,
        failures=1,
        started_at=AT,
        ended_at=AT,
        stop_requested_at=AT,
        stop_asked_by="restart",
        stop_since_s=12.5,
        last_restart_at=AT,
    ),
    boot_id="b",
    end_reason=StopReason.GUEST,
    extra={"kind": "DataVolume"},
)
PLAIN = DomainMarks(marks=Marks(owner="gitvirt", host="", revision="", applied=None))


@pytest.mark.parametrize("marks", [FULL, PLAIN])
def test_marks_read_back(marks: DomainMarks) -> None:
    assert from_json(to_json(marks)) == marks
    assert from_metadata(to_metadata(marks)) == marks
    inside = to_metadata(marks).replace("<marks ", "<g:marks xmlns:g='https://gitvirt.io/xmlns/1' ").replace(
        "</marks>", "</g:marks>"
    )  # fmt: skip
    assert from_metadata(f"<domain><metadata>{inside}</metadata></domain>") == marks


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(exclude_categories=("Cs",)))),
    lambda children: st.one_of(st.lists(children), st.dictionaries(st.text(), children)),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values), st.text(st.sampled_from("abc<>&\"' é"), min_size=1))
def test_any_document_survives_xml(applied: dict[str, object], owner: str) -> None:
    marks = DomainMarks(marks=Marks(owner=owner, host="h", revision="r", applied=applied))
    assert from_metadata(to_metadata(marks)) == marks


def test_times_are_utc() -> None:
    east = AT.astimezone(timezone(timedelta(hours=9)))
    marks = DomainMarks(marks=Marks(owner="o", host="", revision="", applied=None, created_at=east))
    read = from_json(to_json(marks))
    assert isinstance(read, DomainMarks)
    assert read.marks.created_at == AT
    assert "+00:00" in to_json(marks)


def test_no_marks_is_none() -> None:
    assert from_metadata("<domain><metadata><other xmlns='urn:x'/></metadata></domain>") is None
    assert from_metadata("<domain><marks/></domain>") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 1}',
        '{"version": 1, "owner": 5}',
        '{"version": 1, "owner": "o", "applied": []}',
        '{"version": 1, "owner": "o", "history": {"runs": "many"}}',
        '{"version": 1, "owner": "o", "createdAt": "yesterday"}',
        '{"version": 1, "owner": "o", "createdAt": "2030-01-01T00:00:00"}',
        '{"version": 1, "owner": "o", "override": {"action": "dance", "at": "2030-01-01T00:00:00+00:00"}}',
        '{"version": 1, "owner": "o", "endReason": "boredom"}',
        '{"version": 99, "owner": "o"}',
    ],
)
def test_damage_is_unreadable_and_keeps_its_owner(text: str) -> None:
    assert isinstance(from_json(text), UnreadableMarks)
    found = from_metadata(f"<marks owner='gitvirt' version='1'>{text}</marks>")
    assert isinstance(found, UnreadableMarks)
    assert found.owner == "gitvirt"
    assert found.reason


def test_two_owners_are_no_owner_to_trust() -> None:
    text = to_metadata(PLAIN).replace('owner="gitvirt"', 'owner="other"')
    assert isinstance(from_metadata(text), UnreadableMarks)


def test_broken_xml_is_unreadable() -> None:
    assert isinstance(from_metadata("<domain>"), UnreadableMarks)


def test_entities_are_not_expanded() -> None:
    text = "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><marks owner='o'>&x;</marks>"
    assert isinstance(from_metadata(text), UnreadableMarks)


def test_equal_marks_are_equal_bytes() -> None:
    assert to_json(FULL) == to_json(FULL)
    assert json.loads(to_json(FULL))["owner"] == "gitvirt"
