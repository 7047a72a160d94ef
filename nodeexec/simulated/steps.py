"""What all parts of the simulated executor share: the host, whose marks count, and the steps of one change."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodeexec.simulated.faults import AnswerLostError, HostError
from nodeexec.simulated.host import Host, Mutation
from nodeexec.simulated.known import Known
from nodeexec.simulated.reading import Reading
from nodeexec.simulated.state import HostState
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.resolved import Resolved
from reconciler.ports import Clock, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """The host and who acts on it."""

    host: Host
    owner: str
    clock: Clock
    workers: Workers
    known: Known = field(default_factory=Known)

    @property
    def state(self) -> HostState:
        """The host's state now; never write to it."""
        return self.host.state

    def reading(self, *, partial: bool = False) -> Reading:
        """A look at the host as it is now."""
        return Reading(
            state=self.host.state,
            owner=self.owner,
            host=self.host.name,
            now=self.clock.now(),
            monotonic=self.clock.monotonic(),
            under_way=self.workers.is_under_way,
            known=self.known,
            partial=partial,
        )

    def new_marks(self, wanted: Resolved, revision: str, old: Marks | None) -> Marks:
        """The marks of an object that is now as ``wanted``; the operator's facts are kept."""
        return Marks(
            owner=self.owner,
            host=self.host.name,
            revision=revision,
            applied=dict(wanted.applied),
            created_at=old.created_at if old else self.clock.now(),
            override=old.override if old else None,
            suspended=old.suspended if old else "",
            suspended_until=old.suspended_until if old else None,
        )


@dataclass(slots=True, kw_only=True)
class Steps:
    """Does the steps of one change and remembers them. ``reason`` is what they are done for."""

    executor: Executor
    key: ObjectKey
    reason: str
    done: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, executor: Executor, change: Change) -> Steps:
        """The steps of ``change``."""
        power = f"/{change.power}" if change.power else ""
        return cls(executor=executor, key=change.key, reason=f"{change.action}{power}")

    def do(self, name: str, mutation: Mutation) -> None:
        """One side effect.

        Raises:
            HostError, AnswerLostError: the host's answer, with the steps done before.
        """
        try:
            self.executor.host.step(name, mutation, key=self.key, reason=self.reason)
        except (HostError, AnswerLostError) as error:
            error.steps = tuple(self.done)
            raise
        self.done.append(name)

    def outcome(self, result: Result | None = None, reason: str = "", retry_after_s: float | None = None) -> Outcome:
        """How the change ended; without ``result``, applied when anything was done and unchanged otherwise."""
        ended = result or (Result.APPLIED if self.done else Result.UNCHANGED)
        return Outcome(result=ended, reason=reason, retry_after_s=retry_after_s, steps=tuple(self.done))
