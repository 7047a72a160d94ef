"""Histories that broke a law once, as files that every test run replays.

A file holds the history itself, so it means the same whatever becomes of the generator; and of its fault the kind and the
label of the point, not its number: a replay has the fault at every point of that label.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from nodeexec.simulated.faults import FaultKind
from tests.simulation.events import Commit, Event
from tests.simulation.histories import History, make_history
from tests.simulation.plain_values import plain, revived
from tests.simulation.result import Result
from tests.simulation.runs import run_history, run_to_its_end
from tests.simulation.schedule import Choice, Only, no_fault

DIRECTORY = Path(__file__).parent / "cases"
MOST_AT_ONCE = 5
SHRINK_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``broke`` is what went wrong, in words; ``kind`` and ``label`` say the fault, None and empty where there was none."""

    broke: str
    history: History
    kind: FaultKind | None = None
    label: str = ""

    @property
    def choose(self) -> Choice:
        """The faults of a replay."""
        return Only(self.kind, self.label) if self.kind else no_fault


def read(path: Path) -> Case:
    """The case in a file."""
    return revived(json.loads(path.read_text()), Case)


def text_of(case: Case) -> str:
    """The file of a case: an event a line."""
    data: dict[str, Any] = plain(case, Case)
    history = data.pop("history")
    events = ",\n".join(f"  {json.dumps(event)}" for event in history.pop("events"))
    head = "".join(f' "{name}": {json.dumps(said)},\n' for name, said in data.items())
    begun = json.dumps(history).removesuffix("}")
    return f'{{\n{head} "history": {begun}, "events": [\n{events}\n ]}}\n}}\n'


class Keeper:
    """Violations on their way into the corpus: the first of each kind."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._taken: dict[str, Result] = {}

    def take(self, result: Result) -> None:
        """One that broke a law."""
        if len(self._taken) < MOST_AT_ONCE:
            self._taken.setdefault(sort_of(result.violations[0]), result)

    def write(self) -> Iterator[Path]:
        """Write each as small as it gets; returns the files."""
        for sort, result in self._taken.items():
            case = smallest(case_of(result), sort)
            name = f"seed-{result.seed}-{result.fault or 'none'}".replace("@", "-")
            self._directory.mkdir(exist_ok=True)
            names = chain((name,), (f"{name}-{number}" for number in count(2)))
            free = (self._directory / f"{name}.json" for name in names)
            path = next(path for path in free if not path.exists())
            path.write_text(text_of(case))
            yield path


def case_of(result: Result) -> Case:
    """The case of a result that has violations."""
    history = make_history(result.seed)
    broke = result.violations[0].strip().splitlines()
    said = broke[0] if len(broke) == 1 else f"{broke[0]} {broke[-1]}"
    if result.fault is None:
        return Case(broke=said, history=history)
    label = run_to_its_end(history, None).points[result.fault.at]
    return Case(broke=said, history=history, kind=result.fault.kind, label=label)


def smallest(case: Case, sort: str, *, seconds: float = SHRINK_S) -> Case:
    """The case without the events that it breaks without as well; as far as ``seconds`` get."""
    until = time.monotonic() + seconds
    place = len(case.history.events) - 1
    while place > 0 and time.monotonic() < until:
        fewer = replace(case, history=without(case.history, place))
        if _breaks(fewer, sort):
            case = fewer
        place -= 1
    return case


def without(history: History, place: int) -> History:
    """A history with one event less."""
    events: tuple[Event, ...] = (*history.events[:place], *history.events[place + 1 :])
    assert any(isinstance(event, Commit) for event in events)
    return replace(history, events=events, pace=(*history.pace[:place], *history.pace[place + 1 :]))


def _breaks(case: Case, sort: str) -> bool:
    found: list[Result] = []
    run_history(case.history, case.choose, found.append)
    return any(sort_of(violation) == sort for result in found for violation in result.violations)


def sort_of(violation: str) -> str:
    """What a violation is, without the names and numbers in it."""
    lines = violation.strip().splitlines()
    return re.sub(r"[\w./-]*\d[\w./-]*", "#", f"{lines[0]} {lines[-1]}")
