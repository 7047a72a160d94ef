"""Reading from the journal, as anybody with Git could, how long corrections took."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CHANGE = re.compile(r"^Change: (\S+) (\S+) (\S+) (\S+) cause=drift", re.MULTILINE)
_AFTER = re.compile(r"^Corrected-After-Ms: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A drift's correction: the journal's commit, the object, the milliseconds from the event to the end of the change."""

    commit: str
    key: str
    action: str
    after_ms: int
    message: str


def corrections_in(log: str) -> Iterator[Correction]:
    """The corrections that a ``git log --format=%H%x00%B%x01`` tells of."""
    for entry in filter(str.strip, log.split("\x01")):
        commit, _, message = entry.strip().partition("\x00")
        after = _AFTER.search(message)
        for key, action, _, result in _CHANGE.findall(message):
            if after and result == "applied":
                yield Correction(commit=commit, key=key, action=action, after_ms=int(after[1]), message=message)
