"""A console log that is written, rotated as virtlogd does it, and cut short while somebody reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.daemon.console_log import ConsoleLog


class Console:
    """The writing side."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "default_web.log"

    def say(self, text: str) -> None:
        with self.path.open("a") as stream:
            stream.write(text)

    def rotate(self, keep: int = 3) -> None:
        """``.log`` → ``.log.0`` → ``.log.1`` …, the oldest goes."""
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{number}") for number in range(keep))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            if newer.exists():
                newer.rename(older)


def text(pieces: Iterator[bytes]) -> str:
    return b"".join(pieces).decode()


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


def test_rotated_files_come_first_and_what_is_written_later_comes_after(console: Console) -> None:
    for word in ("one ", "two ", "three "):
        console.say(word)
        console.rotate()
    console.say("four ")
    log = ConsoleLog(console.path)
    assert text(log.past()) == "one two three four "
    assert text(log.more()) == ""
    console.say("five ")
    assert text(log.more()) == "five "
    log.close()


def test_nothing_is_lost_or_told_twice_over_several_rotations_between_two_looks(console: Console) -> None:
    console.say("one ")
    log = ConsoleLog(console.path)
    assert text(log.past()) == "one "
    console.say("two ")
    console.rotate()
    console.say("three ")
    console.rotate()
    assert text(log.more()) == "two three "
    console.say("four ")
    assert text(log.more()) == "four "
    # Rotated away altogether: what is left is all newer.
    for word in "abcde":
        console.say(word)
        console.rotate()
    console.say("f")
    assert text(log.more()).endswith("cdef")
    log.close()


def test_a_file_that_is_not_there_yet_is_waited_for_and_one_cut_short_is_read_anew(console: Console) -> None:
    log = ConsoleLog(console.path)
    assert text(log.past()) == text(log.more()) == ""
    console.say("a long first word ")
    assert text(log.more()) == "a long first word "
    console.path.write_text("short")
    assert text(log.more()) == "short"
    log.close()


def test_since_leaves_out_files_that_were_last_written_before(console: Console) -> None:
    console.say("old ")
    os.utime(console.path, (1_700_000_000, 1_700_000_000))
    console.rotate()
    console.say("new")
    log = ConsoleLog(console.path)
    assert text(log.past(datetime(2024, 1, 1, tzinfo=UTC))) == "new"
    log.close()
