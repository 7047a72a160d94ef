"""An item ages by two clocks that agree; whatever is wrong with one of them, or with the note, it never gets older than it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeexec.trash_age import NOTE_INTERVAL_S, TrashAge, age_at, age_data, age_from, is_due, noted
from reconciler.model.moment import Moment

START = Moment(boot_id="boot-1", monotonic_s=1000.0, at=datetime(2026, 1, 1, tzinfo=UTC))


def later(moment: Moment, seconds: float, *, jump_s: float = 0.0) -> Moment:
    return replace(moment, monotonic_s=moment.monotonic_s + seconds, at=moment.at + timedelta(seconds=seconds + jump_s))


def rebooted(moment: Moment, off_s: float) -> Moment:
    return Moment(boot_id=moment.boot_id + "+", monotonic_s=5.0, at=moment.at + timedelta(seconds=off_s))


def test_what_was_never_noted_has_no_age() -> None:
    assert age_at(None, later(START, 1e9)) == 0.0
    assert is_due(None, START)


def test_an_item_ages_while_the_host_is_up_and_not_while_it_is_off() -> None:
    first = noted(None, START)
    assert age_at(first, later(START, 500.0)) == 500.0
    assert not is_due(first, later(START, 500.0))
    assert is_due(first, later(START, NOTE_INTERVAL_S))
    second = noted(first, later(START, 5000.0))
    after = rebooted(second.noted, off_s=1e7)
    assert age_at(second, after) == 5000.0
    assert is_due(second, after)
    assert age_at(noted(second, after), later(after, 60.0)) == 5060.0


@pytest.mark.parametrize("jump_s", [1e9, 86400.0])
def test_a_clock_set_forward_makes_nothing_old(jump_s: float) -> None:
    assert age_at(noted(None, START), later(START, 10.0, jump_s=jump_s)) == 10.0


def test_a_clock_set_back_makes_it_younger_at_most() -> None:
    first = noted(None, START)
    back = later(START, NOTE_INTERVAL_S, jump_s=-1e6)
    assert age_at(first, back) == 0.0
    assert is_due(first, back)
    assert age_at(noted(first, back), later(back, 30.0)) == 30.0


def test_a_clock_since_boot_that_went_back_is_noted_anew() -> None:
    first = noted(None, START)
    odd = replace(later(START, 100.0), monotonic_s=3.0)
    assert age_at(first, odd) == 0.0
    assert is_due(first, odd)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pass", "jump", "reboot", "note", "lose"]), st.floats(-1e8, 1e8, allow_nan=False, width=32)
    ),
    max_size=30,
)


@given(STEPS)
def test_no_history_makes_an_item_older_than_the_time_that_passed(steps: list[tuple[str, float]]) -> None:
    now, age, true_s = START, None, 0.0
    for what, amount in steps:
        if what == "pass":
            now, true_s = later(now, abs(amount)), true_s + abs(amount)
        elif what == "jump":
            now = later(now, 0.0, jump_s=amount)
        elif what == "reboot":
            now, true_s = rebooted(now, abs(amount)), true_s + abs(amount)
        elif what == "note":
            age = age_from(age_data(noted(age, now)))
        else:
            age = None
        assert age_at(age, now) <= true_s + 1.0


def test_a_note_is_read_back_and_nonsense_is_no_note() -> None:
    age = TrashAge(aged_s=12.5, noted=START)
    assert age_from(age_data(age)) == age
    nonsense: list[Any] = [
        None, [], {}, "x", {**age_data(age), "aged_s": "NaN"}, {**age_data(age), "aged_s": -1}, {**age_data(age), "aged_s": "inf"},
        {**age_data(age), "noted_at": "2026-01-01T00:00:00"}, {**age_data(age), "noted_at": "soon"}, {**age_data(age), "monotonic_s": []},
    ]  # fmt: skip
    assert [age_from(data) for data in nonsense] == [None] * len(nonsense)
