"""Which faults a history is run with: at each point one kind, by turns, so that a short time sees much; or every one.

By turns, the next history begins with the next kind: every kind comes to every place there is, over the histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nodeexec.simulated.faults import CALL, FaultKind
from tests.simulation.fleet import VM

Choice = Callable[[int, str], Iterable[FaultKind]]
"""The kinds of fault that a history is run with at a point, given the point's number and label."""


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


@dataclass(frozen=True, slots=True)
class ByTurns:
    """One kind a point; another ``seed`` has another there."""

    seed: int

    def __call__(self, at: int, label: str) -> tuple[FaultKind, ...]:
        """A `Choice`."""
        kinds = kinds_at(label)
        return (kinds[(self.seed + at) % len(kinds)],)


def every(_at: int, label: str) -> tuple[FaultKind, ...]:
    """All of them."""
    return kinds_at(label)


def no_fault(_at: int, _label: str) -> tuple[FaultKind, ...]:
    """None."""
    return ()


@dataclass(frozen=True, slots=True)
class Only:
    """One kind, at the points of a label where that is given."""

    kind: FaultKind
    label: str = ""

    def __call__(self, _at: int, label: str) -> tuple[FaultKind, ...]:
        """A `Choice`."""
        return (self.kind,) if self.kind in kinds_at(label) and self.label in ("", label) else ()
