"""Polls and resync on time. The jobs add wake-ups and do nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from reconciler.daemon.notify import WATCHDOG, notify, watchdog_interval_s
from reconciler.daemon.wake import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """How often the remote of a source is looked at; not when ``is_due`` says that it is too soon."""

    source: str
    interval_s: float
    jitter_s: float
    is_due: Callable[[], bool] = lambda: True


class Timers:
    """The scheduler (APScheduler 3).

    APScheduler *skips* a run that would overlap an earlier run of its job; it does not queue it. That is harmless here,
    because a job only adds to the pending set and returns at once, however long a cycle takes.
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
                IntervalTrigger(seconds=poll.interval_s, jitter=poll.jitter_s or None, timezone=UTC),
                [poll],
                id=f"poll {poll.source}",
            )
        self._scheduler.add_job(
            wake, IntervalTrigger(seconds=resync_s, timezone=UTC), [Wake(everything=True)], id="resync"
        )
        interval_s = watchdog_interval_s()
        if interval_s is not None:

            def feed() -> None:
                if is_alive():
                    notify(WATCHDOG)

            self._scheduler.add_job(feed, IntervalTrigger(seconds=interval_s, timezone=UTC), id="watchdog")

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

    def stop(self) -> None:
        """End without waiting: no job takes long."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
