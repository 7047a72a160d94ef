"""Faults that a simulation injects: at every call of the engine and at every step (side effect) within one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from nodeexec.simulated.clock import SimulatedClock


class SimulatedCrash(BaseException):
    """The process ended here (``kill -9``). No part of gitvirt may catch it: only the simulation does."""


class HostError(Exception):
    """What a simulated hypervisor answers instead of doing something. ``transient``: another attempt may succeed.
    ``steps`` are those of the same change that were done before.
    """

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient
        self.steps: tuple[str, ...] = ()


class AnswerLostError(Exception):
    """The request was carried out and its answer never came. ``steps`` are those done before it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.steps: tuple[str, ...] = ()


class FaultKind(StrEnum):
    """What happens at a point. ``CRASH_*`` end the process before or after the effect; ``UNKNOWN`` does the effect and
    loses the answer; ``PARTIAL`` makes an observation say that it could not read everything; ``FOREIGN_EDIT`` has
    somebody else change the object between observation and application; ``PERMANENT`` fails at this point until
    `Faults.end`. Before what is asked for happens ``SLOW`` lets time pass, and ``CLOCK_FORWARD`` and ``CLOCK_BACK`` have
    somebody set the time of day, as long and as far as the number of the point says (`SLOW_S`, `JUMPS_S`).
    """

    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    PARTIAL = "partial"
    FOREIGN_EDIT = "foreign-edit"
    SLOW = "slow"
    CLOCK_FORWARD = "clock-forward"
    CLOCK_BACK = "clock-back"


SLOW_S = (15.0, 90.0, 700.0, 4000.0)
"""Past a grace period, a back-off, an operator's ``--for`` and the window of the blast radius."""
JUMPS_S = (1800.0, 86400.0, 10 * 365 * 86400.0)
"""Half an hour, a day, ten years."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: ``kind`` at the point number ``at``, counted from 0 over the life of the host."""

    kind: FaultKind
    at: int

    def __str__(self) -> str:
        return f"{self.kind}@{self.at}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read what ``str`` wrote.

        Raises:
            ValueError: the text is not ``KIND@NUMBER``.
        """
        kind, at, number = text.partition("@")
        if not at:
            raise ValueError(f"{text!r} is not KIND@NUMBER, such as crash-after@12")
        return cls(FaultKind(kind), int(number))


CALL = "call:"
"""Prefix of the points that are calls of the engine; all others are steps."""


class Faults:
    """Counts points and lets the one planned fault happen at its own.

    ``points`` holds the label of every point passed, so that a first run without a fault tells a second one where
    faults can go; ``places`` is how many of them came before the `end` of faults. ``foreign_edit`` is what somebody else
    does, given the point's label; ``clock`` is what passes or jumps.
    """

    def __init__(
        self,
        fault: Fault | None = None,
        foreign_edit: Callable[[str], None] | None = None,
        clock: SimulatedClock | None = None,
    ) -> None:
        self.fault = fault
        self.points: list[str] = []
        self.places = 0
        self.happened = False
        self._foreign_edit = foreign_edit
        self._clock = clock
        self._stuck = ""
        self._ended = False

    def end(self) -> None:
        """No faults from here on."""
        self._ended = True
        self.places = len(self.points)
        self._stuck = ""

    def before(self, label: str) -> FaultKind | None:
        """Pass a point before its effect; returns the fault that is to happen within or after it.

        Raises:
            SimulatedCrash: the process ends here.
            HostError: the hypervisor refuses.
        """
        self.points.append(label)
        if label == self._stuck:
            raise HostError(f"{label}: the simulated host refuses this", transient=False)
        if self._ended or self.fault is None or len(self.points) - 1 != self.fault.at:
            return None
        self.happened = True
        match self.fault.kind:
            case FaultKind.CRASH_BEFORE:
                raise SimulatedCrash(f"before {label}")
            case FaultKind.TRANSIENT:
                raise HostError(f"{label}: the simulated host is busy", transient=True)
            case FaultKind.PERMANENT:
                self._stuck = label
                raise HostError(f"{label}: the simulated host refuses this", transient=False)
            case FaultKind.FOREIGN_EDIT if self._foreign_edit is not None:
                self._foreign_edit(label)
            case FaultKind.SLOW if self._clock is not None:
                self._clock.advance(SLOW_S[self.fault.at % len(SLOW_S)])
            case FaultKind.CLOCK_FORWARD if self._clock is not None:
                self._clock.jump(JUMPS_S[self.fault.at % len(JUMPS_S)])
            case FaultKind.CLOCK_BACK if self._clock is not None:
                self._clock.jump(-JUMPS_S[self.fault.at % len(JUMPS_S)])
        return self.fault.kind

    def after(self, label: str, kind: FaultKind | None) -> None:
        """Pass a point after its effect, with what `before` returned.

        Raises:
            SimulatedCrash: the process ends here.
            AnswerLostError: the effect happened and nobody was told.
        """
        if kind is FaultKind.CRASH_AFTER:
            raise SimulatedCrash(f"after {label}")
        if kind is FaultKind.UNKNOWN:
            raise AnswerLostError(f"{label}: the answer was lost")
