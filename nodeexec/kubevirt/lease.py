"""Leadership through a Lease of the cluster: of several replicas one acts.

Two clocks are never compared. Who stands by measures on its own clock for how long the Lease has not *changed*, and
takes it after the time that its holder promised to renew it in. The holder counts from before it *sent* its last good
renewal, and stops acting a third of that time earlier. So whatever the clocks say, one has stopped before another begins.

*Source*: Kubernetes API, ``Lease`` of coordination.k8s.io/v1; the numbers are those of Kubernetes' own controllers.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from reconciler.model.errors import EngineError

ASKED = "gitvirt.io/look-asked"
"""Annotation: one that stands by was told that something was pushed. Its value is another one each time and means nothing else."""

_ATTEMPTS = 3
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class MovedError(Exception):
    """The Lease is not as it was read: somebody else wrote it, or made it first."""


class LeaseApi(Protocol):
    """One Lease of an API server, as plain data. Every call has a time limit and raises EngineError when it fails."""

    def read(self) -> Mapping[str, Any] | None:
        """The Lease; None when there is none."""
        ...

    def create(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make it. Raises MovedError when there is one already."""
        ...

    def replace(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write it, if its resourceVersion is still that of ``body``. Raises MovedError when it is not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """``duration_s`` is what others wait for; ``act_s`` how long a renewal lets its holder act, shorter by what a
    request may still be under way; ``renew_s`` and ``look_s`` are the pauses of the holder and of those who stand by.
    """

    duration_s: int = 15
    act_s: float = 10.0
    renew_s: float = 2.0
    look_s: float = 1.0


def elapsed_s() -> float:
    """Seconds on a clock that never goes back and does not stand still while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """One replica's view of the Lease. It knows no threads: who uses it calls `attempt` until it is true, then `renew` again
    and again, one call at a time; `is_held` may be asked from any thread.

    A holder that cannot reach the API server stops acting when its time is over, and goes on when it can renew again and
    nobody took the Lease meanwhile. It has lost only when another holds it, or when it was deleted.
    """

    def __init__(
        self,
        api: LeaseApi,
        *,
        identity: str,
        now: Callable[[], datetime],
        elapsed: Callable[[], float] = elapsed_s,
        times: LeaseTimes = LeaseTimes(),
    ) -> None:
        """``identity`` must be another for each process; ``now`` only feeds the times that people read in the Lease."""
        self.identity = identity
        self.times = times
        self.leader = ""
        self.lost = ""
        self.asked = ""
        self._api, self._now, self._elapsed = api, now, elapsed
        self._last: Mapping[str, Any] | None = None
        self._changed_at_s = 0.0
        self._act_until_s: float | None = None

    def attempt(self) -> bool:
        """Take it if nobody has it, or if its holder said nothing for as long as it promised to.

        Raises:
            EngineError: it is not known who has it.
        """
        sent_s = self._elapsed()
        try:
            found = self._api.read()
            self._see(found)
            if self.leader not in ("", self.identity) and self.free_in_s > 0:
                return False
            self._write(found, sent_s)
        except MovedError:
            return False
        return True

    @property
    def free_in_s(self) -> float:
        """When its holder's time is over if it says nothing more."""
        return self._changed_at_s + _duration_s(self._last, self.times) - self._elapsed()

    def is_held(self) -> bool:
        """Whether its holder may act at this instant."""
        until_s = self._act_until_s
        return until_s is not None and not self.lost and self._elapsed() < until_s

    def renew(self) -> None:
        """Say again that we hold it; afterwards ``lost`` says why we do not any more, empty when we do.

        Raises:
            EngineError: it is not known whether it was written.
        """
        sent_s = self._elapsed()
        try:
            self._write(self._last, sent_s)
            return
        except MovedError:
            found = self._api.read()
        self._see(found)
        if found is None or self.leader != self.identity:
            self.lost = f"{self.leader or 'nobody'} holds the Lease" if found else "the Lease was deleted"
            return
        # A renewal whose answer was lost, or a label that somebody put on it: it is ours still.
        try:
            self._write(found, sent_s)
        except MovedError as error:
            raise EngineError("the Lease is written by somebody else all the time") from error

    def give_back(self) -> None:
        """Act no more, and let others have it at once.

        Raises:
            EngineError: it cannot be written; they wait until its time is over.
        """
        was_ours, self._act_until_s = self._act_until_s is not None and not self.lost, None
        found = self._last
        for _ in range(_ATTEMPTS if was_ours else 0):
            if found is None or _spec(found).get("holderIdentity") != self.identity:
                return
            try:
                self._api.replace(self._body(found, holder="", duration_s=1))
                return
            except MovedError:
                found = self._api.read()
        if was_ours:
            raise EngineError("the Lease is written by somebody else all the time")

    def pass_on(self) -> None:
        """Ask whoever holds it, or will, to look at the repositories. From any thread, also while another one calls `attempt`.

        Raises:
            EngineError: it is not known whether they will hear.
        """
        for _ in range(_ATTEMPTS):
            found = self._api.read()
            if found is None:
                raise EngineError("there is no Lease yet: nobody leads")
            metadata = dict(found.get("metadata") or {})
            stamp = f"{self._now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}.{secrets.token_hex(4)}"
            metadata["annotations"] = {**(metadata.get("annotations") or {}), ASKED: stamp}
            try:
                self._api.replace({**found, "metadata": metadata})
                return
            except MovedError:
                continue
        raise EngineError("the Lease is written by somebody else all the time")

    def _write(self, found: Mapping[str, Any] | None, sent_s: float) -> None:
        body = self._body(found, holder=self.identity, duration_s=self.times.duration_s)
        self._see(self._api.replace(body) if found is not None else self._api.create(body))
        self._act_until_s = sent_s + self.times.act_s

    def _body(self, found: Mapping[str, Any] | None, *, holder: str, duration_s: int) -> Mapping[str, Any]:
        """The Lease as it is to be; what others put on it stays."""
        before = _spec(found)
        now = self._now().astimezone(UTC).strftime(_TIME)
        if now == before.get("renewTime"):  # A clock that stands still must not look like a holder that does.
            now = (self._now().astimezone(UTC) + timedelta(microseconds=1)).strftime(_TIME)
        is_same = before.get("holderIdentity") == holder
        spec = {
            **before,
            "holderIdentity": holder,
            "leaseDurationSeconds": duration_s,
            "renewTime": now,
            "acquireTime": before.get("acquireTime") or now if is_same or not holder else now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0)
            + int(bool(holder) and not is_same and bool(found)),
        }
        return {**(found or {}), "spec": spec}

    def _see(self, found: Mapping[str, Any] | None) -> None:
        """Remember a Lease, and when its holder last wrote it: now, if that is not what it was before. What others write on it, labels and
        `ASKED`, is no sign of its holder's life.
        """
        if self._last is None or _spec(found) != _spec(self._last):
            self._changed_at_s = self._elapsed()
        self._last = found
        self.leader = str(_spec(found).get("holderIdentity") or "")
        self.asked = str((((found or {}).get("metadata") or {}).get("annotations") or {}).get(ASKED) or "")


def _spec(found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (found or {}).get("spec") or {}


def _duration_s(found: Mapping[str, Any] | None, times: LeaseTimes) -> float:
    """In what time the holder promised to renew; ours where it says nothing."""
    said = _spec(found).get("leaseDurationSeconds")
    return float(said) if isinstance(said, int) and said > 0 else times.duration_s
