"""When a VM may be restarted by itself: ``0 3 * * sun for 2h in Europe/Berlin``.

Five fields as crontab has them, how long the window stays open, and the time zone, which is always said: a repository is read by hosts in
several of them. A time of day that a change of clocks skips comes as much later as they are put forward; one that comes twice counts the first time.

*Source*: crontab(5) for the fields, and for day of month and day of week that are both restricted (either is enough).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from reconciler.model.durations import parse_duration_s

SHORTEST_S, LONGEST_S = 60.0, 7 * 86400.0
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LEAP_CYCLE_DAYS = 8 * 366
_PART = re.compile(r"(\*|[0-9]+|[a-z]{3})(?:-([0-9]+|[a-z]{3}))?(?:/([0-9]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartWindow:
    """``text`` is as it was written; weekdays count from Sunday, 0. ``either_day`` says that a day of month and a day of week
    are both asked for, and one of them is enough.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    lasts_s: float
    zone: str

    def opened_at(self, now: datetime) -> datetime | None:
        """When the window that is open at ``now`` opened (UTC); None when none is."""
        return _opened_at(self, now)

    def next_opening(self, now: datetime) -> datetime:
        """When it opens next (UTC).

        Raises:
            ValueError: it never does.
        """
        return _next_opening(self, now)

    def openings(self, day: date) -> Iterator[datetime]:
        """The openings of one day there, in UTC."""
        if not self._is_on(day):
            return
        zone = ZoneInfo(self.zone)
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield datetime.combine(day, time(hour, minute), zone).astimezone(UTC)

    def _is_on(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((in_month or in_week) if self.either_day else (in_month and in_week))


@lru_cache(maxsize=256)
def _opened_at(window: RestartWindow, now: datetime) -> datetime | None:
    """See `RestartWindow.opened_at`: a fleet has few windows, and asks for each VM."""
    longest = timedelta(seconds=window.lasts_s)
    day = now.astimezone(ZoneInfo(window.zone)).date()
    for back in range(longest.days + 3):
        before = [at for at in window.openings(day - timedelta(days=back)) if at <= now]
        if before:
            opened = max(before)
            return opened if now < opened + longest else None
    return None


@lru_cache(maxsize=256)
def _next_opening(window: RestartWindow, now: datetime) -> datetime:
    """See `RestartWindow.next_opening`."""
    day = now.astimezone(ZoneInfo(window.zone)).date() - timedelta(days=1)
    for ahead in range(_LEAP_CYCLE_DAYS):
        after = [at for at in window.openings(day + timedelta(days=ahead)) if at > now]
        if after:
            return min(after)
    raise ValueError("there is no such day")


@lru_cache(maxsize=1024)
def parse_restart_window(text: str) -> RestartWindow:
    """Read a window.

    Raises:
        ValueError: what is wrong, and how it is written.
    """
    words = text.split()
    if len(words) != 9 or (words[5], words[7]) != ("for", "in"):
        raise ValueError(
            f"{text[:100]!r} is not MINUTE HOUR DAY MONTH WEEKDAY for DURATION in ZONE, such as '0 3 * * sun for 2h in Europe/Berlin'"
        )
    minute, hour, day, month, weekday = (word.lower() for word in words[:5])
    lasts_s = parse_duration_s(words[6])
    if not SHORTEST_S <= lasts_s <= LONGEST_S:
        raise ValueError(f"a window is open for 1m to 7d, not for {words[6]}")
    window = RestartWindow(
        text=" ".join(words),
        minutes=_field("minute", minute, 0, 59),
        hours=_field("hour", hour, 0, 23),
        days=_field("day of month", day, 1, 31),
        months=_field("month", month, 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
        weekdays=_weekdays(weekday),
        either_day="*" not in (day[0], weekday[0]),
        lasts_s=lasts_s,
        zone=_zone(words[8]),
    )
    try:
        window.next_opening(datetime(2000, 1, 1, tzinfo=UTC))
    except ValueError as error:
        raise ValueError(f"{' '.join(words[:5])} never comes: {error}") from error
    return window


def _weekdays(text: str) -> frozenset[int]:
    """Sunday is 0 and 7, so that ``sat-sun`` and ``6-7`` are ranges."""
    names = {name: number for number, name in enumerate(_DAYS)}
    ranges = ",".join(part.replace("-sun", "-7") for part in text.split(","))
    return frozenset(day % 7 for day in _field("day of week", ranges, 0, 7, names, everything=range(7)))


def _field(
    name: str, text: str, least: int, most: int, words: Mapping[str, int] | None = None, everything: range | None = None
) -> frozenset[int]:
    chosen: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a {name} ({least}-{most}, *, lists, ranges, steps such as */15)")
        first, last, step = match.groups()
        every = int(step) if step else 1
        if first == "*":
            span = everything or range(least, most + 1)
            is_odd = last is not None
        else:
            low = _number(name, first, words)
            high = _number(name, last, words) if last else low
            span = range(low, high + 1)
            is_odd = (step is not None and last is None) or not least <= low <= high <= most
        if is_odd or every < 1:
            raise ValueError(f"{part[:40]!r} is not a {name} within {least}-{most}")
        chosen.update(span[::every])
    return frozenset(chosen)


def _number(name: str, text: str, words: Mapping[str, int] | None) -> int:
    if text.isdigit():
        return int(text[:9])
    if words is None or text not in words:
        raise ValueError(f"{text!r} is not a {name}")
    return words[text]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(f"{name[:80]!r} is not a time zone; write UTC, or one such as Europe/Berlin") from error
    return name
