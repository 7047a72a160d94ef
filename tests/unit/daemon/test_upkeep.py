"""What no event tells of: a clock that was set, a lock file or a socket that somebody removed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from reconciler.daemon.clock_watch import ClockWatch
from reconciler.daemon.control import ControlServer, is_answering
from reconciler.daemon.lock import OwnerLock
from reconciler.daemon.timers import Every, Poll, Timers
from reconciler.daemon.upkeep import Upkeep
from reconciler.daemon.wake import Wake
from reconciler.model.errors import LockedError
from reconciler.model.keys import ObjectKey
from reconciler.model.power import RunHistory
from tests.unit.daemon.parts import NOW, eventually

YEAR = timedelta(days=365)
WEB = ObjectKey("VirtualMachine", "default", "web")


@dataclass
class SetClock:
    """Both clocks, in the hands of the test."""

    date: datetime = NOW
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.date

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.date += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Site:
    """An upkeep over a real lock, a real socket and real timers."""

    directory: Path
    clock: SetClock = field(default_factory=SetClock)
    wakes: list[Wake] = field(default_factory=list)
    lost: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.lock = OwnerLock("lab", "x:", self.directory / "locks")
        self.control = ControlServer(self.directory / "run" / "control.sock", lambda request, user: {})
        self.timers = Timers(wake=self.wakes.append, polls=[], resync_s=3600)
        self.upkeep = Upkeep(
            leadership=self.lock,
            control=self.control,
            timers=self.timers,
            clock=ClockWatch(self.clock),
            wake=self.wakes.append,
            every_s=0.02,
        )
        self.lock.when_lost(lambda _: self.lost.set())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.lock.acquire()
    (tmp_path / "run").mkdir()
    made.control.start()
    yield made
    made.upkeep.stop() if made.upkeep._thread.is_alive() else None
    made.control.stop()
    made.lock.release()


def test_nothing_is_done_while_all_is_there(site: Site) -> None:
    node = site.control._path.stat().st_ino
    for _ in range(3):
        site.clock.pass_by(60)
        site.upkeep.look()
    assert site.wakes == []
    assert site.control._path.stat().st_ino == node


@pytest.mark.parametrize("by", [YEAR, -timedelta(days=1)])
def test_a_clock_that_was_set_is_noticed_once_and_everything_is_looked_at(site: Site, by: timedelta) -> None:
    site.clock.pass_by(5)
    site.clock.date += by
    site.upkeep.look()
    site.clock.pass_by(5)
    site.upkeep.look()
    assert site.wakes == [Wake(everything=True)]


def test_small_corrections_of_the_clock_are_no_jump() -> None:
    clock = SetClock()
    watch = ClockWatch(clock)
    clock.date += timedelta(seconds=1)
    assert watch.jumped_s() == 0
    clock.date -= timedelta(days=1)
    assert watch.jumped_s() == -86400


def test_a_year_forward_is_one_run_and_not_each_of_that_year() -> None:
    scheduler = BackgroundScheduler(timezone=UTC)
    job = scheduler.add_job(print, Every(1.0), id="poll")
    scheduler.start(paused=True)
    try:
        assert len(job._get_run_times(datetime.now(UTC) + YEAR)) == 1
    finally:
        scheduler.shutdown(wait=False)


def test_an_interval_counts_from_the_last_time() -> None:
    assert Every(30.0).get_next_fire_time(None, NOW) == NOW + timedelta(seconds=30)
    times = {Every(30.0, 3.0).get_next_fire_time(NOW - YEAR, NOW) for _ in range(50)}
    assert len(times) > 1
    assert all(timedelta(seconds=27) <= at - NOW <= timedelta(seconds=33) for at in times)


def test_timers_that_wait_for_a_day_that_is_far_off_count_anew() -> None:
    wakes: list[Wake] = []
    timers = Timers(wake=wakes.append, polls=[Poll(source="infra", interval_s=3600, jitter_s=0)], resync_s=3600)
    timers.start()
    try:
        timers.later(3600, Wake(keys=frozenset({WEB})))
        timers.count_anew()
        expected = [Wake(sources=frozenset({"infra"})), Wake(everything=True), Wake(keys=frozenset({WEB}))]
        eventually(lambda: all(wake in wakes for wake in expected))
        assert len(wakes) == 3
        eventually(lambda: timers._scheduler.get_job("later") is None)
    finally:
        timers.stop()


def test_a_removed_runtime_directory_comes_back(site: Site) -> None:
    path = site.control._path
    path.unlink()
    path.parent.rmdir()
    site.upkeep.start()
    eventually(lambda: is_answering(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_removed_lock_file_comes_back_and_still_keeps_others_out(site: Site) -> None:
    site.lock._path.unlink()
    site.upkeep.look()
    with pytest.raises(LockedError):
        OwnerLock("lab", "x:", site.directory / "locks").acquire()


def test_whoever_took_the_lock_meanwhile_keeps_it(site: Site) -> None:
    site.lock._path.unlink()
    with OwnerLock("lab", "x:", site.directory / "locks") as second:
        site.upkeep.start()
        assert site.lost.wait(60)
        site.lock.release()
        assert second._path.exists()


class TestGrace:
    """A guest that was asked to shut down."""

    def test_a_date_that_jumps_pulls_no_plug(self) -> None:
        clock = SetClock()
        asked = RunHistory(runs=1).stop_asked("stop", clock.date, clock.seconds)
        clock.date += YEAR
        clock.seconds += 2
        again = asked.stop_asked("delete", clock.date, clock.seconds)
        assert (again.stop_requested_at, again.stop_asked_by, again.waited_s(clock.seconds)) == (NOW, "delete", 2)
        clock.date -= 2 * YEAR
        clock.seconds += 3
        assert again.stop_asked("stop", clock.date, clock.seconds).waited_s(clock.seconds) == 5

    def test_a_time_of_another_boot_counts_anew(self) -> None:
        asked = RunHistory(runs=1).stop_asked("stop", NOW, 1000.0)
        assert asked.stop_asked("stop", NOW, 3.0).waited_s(5.0) == 2

    def test_another_request_counts_anew(self) -> None:
        asked = RunHistory(runs=1).stop_asked("stop", NOW, 1000.0)
        assert asked.stop_withdrawn() == RunHistory(runs=1)
        assert asked.stop_withdrawn().stop_asked("stop", NOW, 1060.0).waited_s(1060.0) == 0
        assert RunHistory(runs=1).waited_s(5.0) == 0
