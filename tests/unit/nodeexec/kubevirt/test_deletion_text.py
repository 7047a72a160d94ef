"""The record of deletions: what is written is read again, what is over is left out, and nothing makes it too large."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeexec.kubevirt.deletion_text import MOST, read_record, recorded, with_deletion
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Deletion

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def deletion(name: str, minutes: float = 0) -> Deletion:
    return Deletion(key=ObjectKey("VirtualMachine", "shop", name), at=NOON + timedelta(minutes=minutes))


@given(st.dictionaries(st.text("ab.-", min_size=1, max_size=9), st.integers(-(10**6), 10**6), max_size=9))
def test_what_is_written_is_read_again(entries: dict[str, int]) -> None:
    record = tuple(deletion(name, minutes) for name, minutes in entries.items())
    assert read_record(recorded(record)) == record


@pytest.mark.parametrize(
    "text", ["x", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z web", "soon VirtualMachine/a/b", "{}"]
)
def test_a_line_that_is_something_else_is_not_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_record(recorded([deletion("web")]) + text)


def test_what_is_over_goes_and_so_does_what_a_wrong_clock_dated() -> None:
    before = (deletion("old", -61), deletion("b", -59), deletion("a", -30), deletion("ahead", 61), deletion("soon", 5))
    kept = with_deletion(before, deletion("web"), window=HOUR)
    assert [one.key.name for one in kept] == ["b", "a", "soon", "web"]


def test_a_vm_stands_there_once_and_the_record_fits_into_an_object() -> None:
    record: tuple[Deletion, ...] = ()
    long = "n" * 63
    for number in range(MOST + 50):
        fresh = Deletion(key=ObjectKey("VirtualMachine", long, f"{number:0253}"), at=NOON)
        record = with_deletion(record[-MOST:], fresh, window=HOUR) if number > MOST - 3 else (*record, fresh)
    assert len(record) == MOST
    assert record[-1].key.name.endswith(f"{MOST + 49}")
    assert len(recorded(record)) < 1 << 20
    assert len(with_deletion(record, record[5], window=HOUR)) == MOST
