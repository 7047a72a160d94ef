"""Which faults a history is run with: at each point two kinds, by turns, so that a short time sees much; or every one.

By turns, the next history begins with the next kind: every kind comes to every place there is, over the histories. And as all of
them begin alike, with a first commit that makes everything, only some of the faults in that are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nodeexec.simulated.faults import CALL, Fault, FaultKind
from tests.simulation.fleet import VM
from tests.simulation.result import Result

Choice = Callable[[Result], Iterable[Fault]]
"""The faults that a history is run with, given its run without any."""

OF_THE_BEGINNING = 4
"""Of so many points at which the first commit is carried out one is taken."""


def kinds_at(label: str) -> tuple[FaultKind, ...]:
    """The kinds that make a difference at a point."""
    return tuple(kind for kind in FaultKind if _is_of_use(kind, label))


def _is_of_use(kind: FaultKind, label: str) -> bool:
    match kind:
        case FaultKind.PARTIAL:
            return label == f"{CALL}observe"
        case FaultKind.FOREIGN_EDIT:
            return f" {VM}/" in label
    return True


def by_turns(calm: Result) -> Iterator[Fault]:
    """Two kinds a point, others there with the next seed."""
    beginning = calm.begun[1] if len(calm.begun) > 1 else 0
    for at, label in enumerate(calm.points):
        turn, kinds = calm.seed + at, kinds_at(label)
        if at < beginning:
            turn, rest = divmod(turn, OF_THE_BEGINNING)
            if rest:
                continue
        for kind in dict.fromkeys((kinds[turn % len(kinds)], kinds[(turn + len(kinds) // 2) % len(kinds)])):
            yield Fault(kind, at)


def every(calm: Result) -> Iterator[Fault]:
    """Each kind at each point."""
    return (Fault(kind, at) for at, label in enumerate(calm.points) for kind in kinds_at(label))


def no_fault(_calm: Result) -> Iterator[Fault]:
    """None."""
    return iter(())


@dataclass(frozen=True, slots=True)
class Only:
    """One kind, at the points of a label where that is given."""

    kind: FaultKind
    label: str = ""

    def __call__(self, calm: Result) -> Iterator[Fault]:
        """A `Choice`."""
        for fault in every(calm):
            if fault.kind is self.kind and self.label in ("", calm.points[fault.at]):
                yield fault


@dataclass(frozen=True, slots=True)
class AtStep:
    """One kind, at every point of a step or call, whatever it is about; without a name at all points."""

    kind: FaultKind
    step: str = ""

    def __call__(self, calm: Result) -> Iterator[Fault]:
        """A `Choice`."""
        for fault in every(calm):
            if fault.kind is self.kind and calm.points[fault.at].startswith(self.step):
                yield fault
