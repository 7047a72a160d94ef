"""When something was done, as the clock reads now: a clock that is set makes nothing older or younger than it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodeexec.kernel_times import kernel_time_data, kernel_time_from, with_told_deletion, with_told_restart
from reconciler.model.keys import ObjectKey
from reconciler.model.live import TrashItem
from reconciler.model.moment import Moment
from reconciler.model.power import RunHistory

THEN = Moment(boot_id="b", monotonic_s=100.0, at=datetime(2026, 3, 1, 12, tzinfo=UTC))
ITEM = TrashItem(item="i", key=ObjectKey("VirtualMachine", "default", "web"), owner="o", trashed_at=THEN.at, pool="p")
TEN_MINUTES = timedelta(minutes=10)


def later(jump: timedelta = timedelta(), boot_id: str = "b") -> Moment:
    """Ten minutes after `THEN`, with a time of day that was set meanwhile."""
    return Moment(boot_id=boot_id, monotonic_s=700.0, at=THEN.at + TEN_MINUTES + jump)


@pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(hours=2), timedelta(hours=-2), timedelta(days=-9000)])
def test_what_was_done_ten_minutes_ago_was_so_whatever_the_clock_says(jump: timedelta) -> None:
    now = later(jump)
    item = with_told_deletion(ITEM, THEN.kernel_time, now)
    history = with_told_restart(RunHistory(last_restart_at=THEN.at), THEN.kernel_time, now)
    assert history.last_restart_at is not None
    for at in (item.counts_from, history.last_restart_at):
        assert TEN_MINUTES - timedelta(minutes=1) <= now.at - at <= TEN_MINUTES
    assert item.trashed_at == THEN.at


@pytest.mark.parametrize("now", [later(), later(timedelta(seconds=30)), later(timedelta(days=1), boot_id="another")])
def test_the_date_counts_where_the_clock_was_not_set_and_after_a_reboot(now: Moment) -> None:
    assert with_told_deletion(ITEM, THEN.kernel_time, now) is ITEM
    history = RunHistory(last_restart_at=THEN.at)
    assert with_told_restart(history, THEN.kernel_time, now) == history


def test_without_a_kernels_time_the_date_counts() -> None:
    assert with_told_deletion(ITEM, None, later(timedelta(days=1))).counts_from == THEN.at
    assert with_told_restart(RunHistory(), None, later()) == RunHistory()


@pytest.mark.parametrize("data", [None, 7, {}, {"boot_id": "b"}, {"monotonic_s": "1"}, {"monotonic_s": float("nan")}])
def test_data_that_make_no_sense_say_nothing(data: Any) -> None:
    assert kernel_time_from(data) is None


def test_a_time_is_kept_as_data() -> None:
    assert kernel_time_from(kernel_time_data(THEN)) == THEN.kernel_time
