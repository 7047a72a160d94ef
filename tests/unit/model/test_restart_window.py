"""Restart windows: how they are written, and when they are open, on days when clocks change too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.restart_window import RestartWindow, parse_restart_window

SUNDAY_NIGHT = "0 3 * * sun for 2h in Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(text: str) -> RestartWindow:
    return parse_restart_window(text)


def test_a_window_opens_and_closes() -> None:
    night = window(SUNDAY_NIGHT)
    assert night.opened_at(at("2026-03-01T01:59:59")) is None
    assert night.opened_at(at("2026-03-01T02:00")) == at("2026-03-01T02:00")
    assert night.opened_at(at("2026-03-01T03:59:59")) == at("2026-03-01T02:00")
    assert night.opened_at(at("2026-03-01T04:00")) is None
    assert night.next_opening(at("2026-03-01T02:00")) == at("2026-03-08T02:00")
    assert night.next_opening(at("2026-03-01T01:00")) == at("2026-03-01T02:00")


def test_a_long_window_reaches_over_midnight_and_days() -> None:
    weekend = window("0 22 * * fri for 55h in UTC")
    assert weekend.opened_at(at("2026-03-08T23:00")) == at("2026-03-06T22:00")
    assert weekend.opened_at(at("2026-03-09T05:00")) is None
    week = window("0 0 1 * * for 7d in UTC")
    assert week.opened_at(at("2026-03-07T23:59")) == at("2026-03-01T00:00")


def test_summer_time_comes_and_goes() -> None:
    """Berlin: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00."""
    skipped = window("30 2 * * * for 30m in Europe/Berlin")
    assert skipped.next_opening(at("2026-03-28T12:00")) == at("2026-03-29T01:30")
    assert skipped.next_opening(at("2026-03-29T12:00")) == at("2026-03-30T00:30")
    assert skipped.next_opening(at("2026-10-24T12:00")) == at("2026-10-25T00:30")
    assert skipped.opened_at(at("2026-10-25T01:35")) is None
    assert skipped.next_opening(at("2026-10-25T00:30")) == at("2026-10-26T01:30")
    assert window(SUNDAY_NIGHT).next_opening(at("2026-03-28T12:00")) == at("2026-03-29T01:00")


def test_day_of_month_and_day_of_week_are_either_when_both_are_said() -> None:
    either = window("0 0 13 * fri for 1h in UTC")
    assert either.next_opening(at("2026-03-10T00:00")) == at("2026-03-13T00:00")
    assert either.next_opening(at("2026-04-11T00:00")) == at("2026-04-13T00:00")
    assert either.next_opening(at("2026-04-13T00:00")) == at("2026-04-17T00:00")


@pytest.mark.parametrize(
    ("weekday", "days"),
    [("0", {0}), ("7", {0}), ("sun", {0}), ("SUN", {0}), ("mon-fri", {1, 2, 3, 4, 5}), ("sat-sun", {6, 0}), ("5-7", {5, 6, 0}),
     ("*", set(range(7))), ("*/2", {0, 2, 4, 6}), ("mon,wed-thu", {1, 3, 4}), ("sun-tue", {0, 1, 2})],
)  # fmt: skip
def test_days_of_the_week(weekday: str, days: set[int]) -> None:
    assert window(f"0 3 * * {weekday} for 1h in UTC").weekdays == days


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not MINUTE HOUR"),
        ("0 3 * * sun", "is not MINUTE HOUR"),
        ("0 3 * * sun for 2h", "is not MINUTE HOUR"),
        ("0 3 * * sun 2h Europe/Berlin", "is not MINUTE HOUR"),
        ("0 3 * * sun for 2h in Berlin", "is not a time zone"),
        ("0 3 * * sun for 2h in ../../etc/passwd", "is not a time zone"),
        ("0 3 * * sun for 2h in Europe", "is not a time zone"),
        ("0 3 * * sun for two in UTC", "is not a duration"),
        ("0 3 * * sun for 30s in UTC", "open for 1m to 7d"),
        ("0 3 * * sun for 8d in UTC", "open for 1m to 7d"),
        ("60 3 * * sun for 2h in UTC", "not a minute within 0-59"),
        ("0 24 * * sun for 2h in UTC", "not a hour within 0-23"),
        ("0 3 0 * sun for 2h in UTC", "day of month within 1-31"),
        ("0 3 * 13 sun for 2h in UTC", "month within 1-12"),
        ("0 3 * * 8 for 2h in UTC", "day of week within 0-7"),
        ("0 3 * * sunday for 2h in UTC", "is not a day of week"),
        ("0 3 * sun * for 2h in UTC", "is not a month"),
        ("5/10 3 * * * for 2h in UTC", "not a minute within"),
        ("*/0 3 * * * for 2h in UTC", "not a minute within"),
        ("30-10 3 * * * for 2h in UTC", "not a minute within"),
        ("*-5 3 * * * for 2h in UTC", "not a minute within"),
        ("-1 3 * * * for 2h in UTC", "is not a minute"),
        ("1,,2 3 * * * for 2h in UTC", "is not a minute"),
        ("0 3 31 feb * for 2h in UTC", "never comes"),
        ("0 3 30 2,feb * for 2h in UTC", "never comes"),
        ("² 3 * * * for 2h in UTC", "is not a minute"),
    ],
)
def test_what_is_no_window_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        window(text)


def test_the_29th_of_february_comes() -> None:
    assert window("0 0 29 2 * for 1h in UTC").next_opening(at("2097-01-01T00:00")) == at("2104-02-29T00:00")


HOURS = st.integers(0, 23)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata"])


@given(st.integers(0, 59), HOURS, st.integers(0, 6), ZONES, st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)))
def test_openings_are_those_of_an_independent_reader(
    minute: int, hour: int, day: int, zone: str, moment: datetime
) -> None:
    """APScheduler counts weekdays from Monday. Around changes of clocks it may differ; those days are tested above."""
    now = moment.replace(tzinfo=UTC)
    ours = window(f"{minute} {hour} * * {day} for 1h in {zone}").next_opening(now)
    trigger = CronTrigger(minute=minute, hour=hour, day_of_week=(day - 1) % 7, timezone=zone)
    theirs = trigger.get_next_fire_time(None, now)
    if abs(ours - theirs) > timedelta(hours=1):
        raise AssertionError(f"{ours} {theirs}")
    shifts = {
        ours.astimezone(trigger.timezone).replace(hour=12).utcoffset(),
        (ours.astimezone(trigger.timezone) - timedelta(days=1)).utcoffset(),
    }
    assert ours == theirs or len(shifts) == 2


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)), st.integers(1, 160), ZONES)
def test_open_means_that_it_opened_no_longer_ago_than_it_lasts(moment: datetime, hours: int, zone: str) -> None:
    now = moment.replace(tzinfo=UTC)
    found = window(f"15 4,16 * * tue,sat for {hours}h in {zone}")
    opened = found.opened_at(now)
    again = found.next_opening(now)
    assert again > now
    if opened is None:
        assert found.opened_at(again) == again
    else:
        assert opened <= now < opened + timedelta(hours=hours)
