"""Polls and resync on time. The jobs add wake-ups and do nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger

from reconciler.daemon.notify import WATCHDOG, notify, watchdog_interval_s
from reconciler.daemon.wake import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """How often the remote of a source is looked at; not when ``is_due`` says that it is too soon."""

    source: str
    interval_s: float
    jitter_s: float
    is_due: Callable[[], bool] = lambda: True


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """One interval after the last time, whatever the clock says that was: APScheduler's own interval counts on from the
    time it had in mind, so that a clock set forward by a year makes it list every run of that year.
    """

    def __init__(self, interval_s: float, jitter_s: float = 0.0) -> None:
        self._interval_s, self._jitter_s = interval_s, jitter_s

    def get_next_fire_time(self, _: datetime | None, now: datetime) -> datetime:
        """See `BaseTrigger.get_next_fire_time`."""
        wait_s = self._interval_s + random.uniform(-self._jitter_s, self._jitter_s)  # noqa: S311  (spreads load)
        return now + timedelta(seconds=max(0.0, wait_s))


class Timers:
    """The scheduler (APScheduler 3).

    APScheduler *skips* a run that would overlap an earlier run of its job; it does not queue it. That is harmless here,
    because a job only adds to the pending set and returns at once, however long a cycle takes. It counts by the time of
    day: after somebody has set the clock, `count_anew` is needed.
    """

    def __init__(
        self,
        *,
        wake: Callable[[Wake], None],
        polls: Sequence[Poll],
        resync_s: float,
        is_alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """``wake`` is `CycleLoop.wake`; ``is_alive`` says whether the service manager's watchdog may be fed."""
        self._wake = wake
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for poll in polls:
            self._scheduler.add_job(
                self._poll,
                Every(poll.interval_s, poll.jitter_s),
                [poll],
                id=f"poll {poll.source}",
            )
        self._scheduler.add_job(wake, Every(resync_s), [Wake(everything=True)], id="resync")
        interval_s = watchdog_interval_s()
        if interval_s is not None:

            def feed() -> None:
                if is_alive():
                    notify(WATCHDOG)

            self._scheduler.add_job(feed, Every(interval_s), id="watchdog")

    def _poll(self, poll: Poll) -> None:
        if poll.is_due():
            self._wake(Wake(sources=frozenset({poll.source})))

    def start(self) -> None:
        """Begin; the first poll comes one interval from now."""
        self._scheduler.start()

    def later(self, after_s: float, wake: Wake) -> None:
        """Add this wake-up once, in a while; it takes the place of an earlier one that has not come yet."""
        at = datetime.now(UTC) + timedelta(seconds=after_s)
        if self._scheduler.running:
            self._scheduler.add_job(self._wake, DateTrigger(at, UTC), [wake], id="later", replace_existing=True)

    def count_anew(self) -> None:
        """The clock was set: everything is due now, and then at its interval again."""
        if self._scheduler.running:
            for job in self._scheduler.get_jobs():
                # One that is done once may be done just now.
                with suppress(JobLookupError):
                    job.modify(next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """End without waiting: no job takes long."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
