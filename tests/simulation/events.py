"""What can happen in a history. Every event is a value that can be written down and read again."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.power import StopReason
from reconciler.model.revision import SourceState
from tests.simulation.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Somebody pushes. ``rewrites``: with force, so that what was accepted before is no ancestor of it. ``approves``: with
    trailers that release all that waits at the moment.
    """

    fleet: Fleet
    subject: str
    rewrites: bool = False
    approves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestEnds:
    """A guest ends, and why."""

    vm: str
    why: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Meddling:
    """Somebody changes something by hand, or a guest does: see `outside.meddle`."""

    how: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operator asks gitvirt for something, of a VM where it is about one: see `operating.Operator`. ``seconds`` is what
    ``--for`` says, 0 for nothing.
    """

    verb: str
    vm: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTrouble:
    """Looks at the remote come to this until the next event."""

    state: SourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTrouble:
    """The pool is ``full``, or cannot be read at all, until the next event."""

    full: bool


@dataclass(frozen=True, slots=True)
class HostReboots:
    """Power is lost and comes back; gitvirt starts again with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonRestarts:
    """gitvirt is started anew, with its state directory or without."""

    keeps_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePasses:
    """Nobody does anything for a while."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumps:
    """Somebody sets the time of day, forward or back."""

    seconds: float


Event = (
    Commit
    | GuestEnds
    | Meddling
    | Operation
    | RemoteTrouble
    | PoolTrouble
    | HostReboots
    | DaemonRestarts
    | TimePasses
    | ClockJumps
)
