"""Power: what KubeVirt's runStrategy asks for, what a guest is doing, and what an operator said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class RunStrategy(StrEnum):
    """KubeVirt's run strategies; ``running: true`` is Always and ``running: false`` is Halted."""

    ALWAYS = "Always"
    RERUN_ON_FAILURE = "RerunOnFailure"
    MANUAL = "Manual"
    HALTED = "Halted"
    ONCE = "Once"


class PowerState(StrEnum):
    """What the guest is doing. ``CRASHED`` is a guest that the hypervisor keeps after a panic."""

    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    CRASHED = "crashed"
    UNKNOWN = "unknown"


class StopReason(StrEnum):
    """Why a guest that is off is off. ``HOST`` is a host that shut down or lost power: not drift, and not a failure."""

    NEVER_RAN = "never-ran"
    GUEST = "guest"
    FAILED = "failed"
    DESTROYED = "destroyed"
    HOST = "host"
    GITVIRT = "gitvirt"
    UNKNOWN = "unknown"


class PowerStep(StrEnum):
    """What a change does to the guest's power. ``STOP`` is graceful: asked for first, forced after the grace period."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    UNPAUSE = "unpause"


class OverrideAction(StrEnum):
    """What an operator asked for by hand."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """An operator's recorded power action. It outranks ``runStrategy`` until ``until`` (never, when None) or resume.

    ``by`` is the operator as the local socket's peer says it. Times are UTC.
    """

    action: OverrideAction
    by: str
    at: datetime
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether its time is not over."""
        return self.until is None or self.until > now


SHORT_RUN_S = 60.0
"""A run that ends sooner counts as failed, however it ended."""
GOOD_RUN_S = 600.0
"""A run that lasted so long was a good one: what failed before it is forgotten. Twice the longest back-off."""

PROMPT_S = 1.0
"""An answer that took longer was slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHistory:
    """What the marks on a VM remember of its runs, so that a decision needs no journal. Times are UTC.

    ``runs`` counts starts by gitvirt since creation. ``failures`` counts runs in a row, before the last one, that ended in failure
    or ended within a minute (`failed_in_a_row` counts the last one too); it is what back-off grows with. ``stop_requested_at`` is set while a graceful stop is under way, and
    ``stop_asked_by`` says for what (``stop``, ``restart`` or ``delete``). ``stop_since_s`` is the host's monotonic time
    of ``stop_requested_at``: the grace period is counted by it, since nobody can set it. ``last_restart_at`` is the last restart that
    gitvirt did to reach a new configuration; the blast radius counts it.
    """

    runs: int = 0
    failures: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stop_requested_at: datetime | None = None
    stop_asked_by: str = ""
    stop_since_s: float | None = None
    last_restart_at: datetime | None = None

    def stop_asked(self, asked_by: str, now: datetime, now_s: float) -> RunHistory:
        """The same once its guest is asked to stop. What it was asked before, whatever for, counts; a monotonic time that is yet to
        come is of another boot.
        """
        since_s = self.stop_since_s
        is_under_way = self.stop_requested_at is not None and since_s is not None and since_s <= now_s
        return replace(
            self,
            stop_requested_at=self.stop_requested_at if is_under_way else now,
            stop_since_s=since_s if is_under_way else now_s,
            stop_asked_by=asked_by,
        )

    def stop_heard(self, now: datetime, now_s: float) -> RunHistory:
        """The same once the guest heard of it: where writing the mark down or pressing the button took long, its time begins only
        now.
        """
        took_s = now_s - self.stop_since_s if self.stop_since_s is not None else 0.0
        return self if took_s < PROMPT_S else replace(self, stop_requested_at=now, stop_since_s=now_s)

    def stop_withdrawn(self) -> RunHistory:
        """The same without a stop under way."""
        return replace(self, stop_requested_at=None, stop_since_s=None, stop_asked_by="")

    def failures_until(self, ended_at: datetime | None) -> int:
        """How many failed runs count before the last one, which ended then (None: nobody saw when): none, if that was a good one."""
        lasted_s = self._lasted_s(ended_at)
        return 0 if lasted_s is not None and lasted_s >= GOOD_RUN_S else self.failures

    def failed_in_a_row(self, reason: StopReason | None, ended_at: datetime | None) -> int:
        """How many runs in a row failed, the last one included. A run that gitvirt stopped did not fail."""
        if not self.runs or self.stop_requested_at is not None:
            return 0
        lasted_s = self._lasted_s(ended_at)
        is_short = lasted_s is not None and abs(lasted_s) < SHORT_RUN_S
        return self.failures_until(ended_at) + 1 if reason is StopReason.FAILED or is_short else 0

    def _lasted_s(self, ended_at: datetime | None) -> float | None:
        """Seconds that the last run lasted; negative when the clock was set back meanwhile."""
        if self.started_at is None or ended_at is None:
            return None
        return (ended_at - self.started_at).total_seconds()

    def waited_s(self, now_s: float) -> float:
        """Seconds since the guest was asked to stop; 0 when it was not."""
        return 0.0 if self.stop_since_s is None else now_s - self.stop_since_s
