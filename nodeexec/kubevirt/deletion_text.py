"""The record of deletions as text: one line each, so that a person can read what the blast radius counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from nodeexec.kubevirt.marks import read_time, time_text
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Deletion

MOST = 2000
"""Deletions that are remembered: with the longest names they stay below the size of an object (1 MiB)."""


def recorded(lines: Iterable[Deletion]) -> str:
    """The record as it is written, oldest first."""
    return "".join(f"{time_text(one.at)} {one.key}\n" for one in lines)


def read_record(text: str) -> tuple[Deletion, ...]:
    """What `recorded` wrote.

    Raises:
        ValueError: a line is something else.
    """
    return tuple(_read(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def with_deletion(before: Iterable[Deletion], fresh: Deletion, *, window: timedelta) -> tuple[Deletion, ...]:
    """The record with one more; without what is over, and without what is dated later than can be (the clock was set back)."""
    kept = [one for one in before if one.key != fresh.key and abs(fresh.at - one.at) <= window]
    return (*sorted(kept, key=lambda one: (one.at, one.key)), fresh)[-MOST:]


def _read(number: int, line: str) -> Deletion:
    stamp, _, name = line.strip().partition(" ")
    at = read_time(stamp)
    try:
        key = ObjectKey.parse(name)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    if at is None:
        raise ValueError(f"line {number} does not begin with a time")
    return Deletion(key=key, at=at)
