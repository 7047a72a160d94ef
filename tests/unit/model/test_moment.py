"""A time that was given lasts as long, whatever is done to the time of day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.model.moment import Moment

NOW = Moment(boot_id="boot", monotonic_s=1000.0, at=datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC))
UNTIL = NOW.at + timedelta(hours=4)


def after(hours: float, *, jump: timedelta = timedelta()) -> Moment:
    return replace(NOW, monotonic_s=NOW.monotonic_s + hours * 3600, at=NOW.at + timedelta(hours=hours) + jump)


def test_the_end_is_told_as_it_was_written_while_nobody_sets_the_clock() -> None:
    end = NOW.end_of(UNTIL)
    for hours in (0, 1, 3.99, 5):
        assert after(hours, jump=timedelta(seconds=20)).told(UNTIL, end) == UNTIL


def test_a_clock_that_was_set_does_not_end_it_early_nor_late() -> None:
    end = NOW.end_of(UNTIL)
    for jump in (timedelta(days=30), timedelta(days=-30)):
        now = after(1, jump=jump)
        left = now.told(UNTIL, end) - now.at
        assert timedelta(hours=3) < left <= timedelta(hours=3, minutes=1)
        over = after(4.1, jump=jump)
        assert over.told(UNTIL, end) < over.at


def test_told_twice_it_is_the_same() -> None:
    now = after(1, jump=timedelta(days=30))
    later = replace(now, monotonic_s=now.monotonic_s + 7.0003, at=now.at + timedelta(seconds=7))
    assert now.told(UNTIL, NOW.end_of(UNTIL)) == later.told(UNTIL, NOW.end_of(UNTIL))


def test_after_a_reboot_the_time_of_day_is_all_there_is() -> None:
    assert replace(after(1, jump=timedelta(days=30)), boot_id="next").told(UNTIL, NOW.end_of(UNTIL)) == UNTIL
    assert after(1).told(UNTIL, None) == UNTIL
