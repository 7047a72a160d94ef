"""What is told of an object that was deleted and is still there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodeexec.kubevirt.finalizers import kept_by_finalizers
from reconciler.model.outcome import Result

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def going(age: timedelta) -> dict[str, Any]:
    stamp = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"deletionTimestamp": stamp, "finalizers": ["example.org/a", "example.org/b"]}}


@pytest.mark.parametrize(
    ("age", "result", "again_s"),
    [
        (timedelta(seconds=-600), Result.PROGRESSING, 2.0),
        (timedelta(seconds=5), Result.PROGRESSING, 2.0),
        (timedelta(minutes=4), Result.PROGRESSING, 24.0),
        (timedelta(minutes=6), Result.RETRY, 36.0),
        (timedelta(days=3), Result.RETRY, 60.0),
    ],
)
def test_who_keeps_it_and_since_when(age: timedelta, result: Result, again_s: float) -> None:
    found, said, later_s = kept_by_finalizers(going(age), NOW)
    assert (found, later_s) == (result, again_s)
    assert "example.org/a, example.org/b" in said


def test_the_same_is_told_as_long_as_nothing_changes() -> None:
    document = going(timedelta(minutes=6))
    assert kept_by_finalizers(document, NOW)[1] == kept_by_finalizers(document, NOW + timedelta(hours=1))[1]


def test_an_object_that_says_nothing_of_itself() -> None:
    assert kept_by_finalizers({}, NOW)[0] is Result.PROGRESSING
