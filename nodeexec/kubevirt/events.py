"""Events of single objects, asked for when something is wrong with them; never watched, never listed as a whole.

An answer holds for a minute; a few are asked for at a time, those first that were never asked for. Where the right is missing there are none.

*Source*: Kubernetes' API reference, Event of ``v1`` and of ``events.k8s.io/v1`` (the same objects in two forms), field selectors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError
from nodeexec.kubevirt.findings import Subject, told
from nodeexec.kubevirt.marks import read_time
from reconciler.ports import Clock

HOLDS_S = 60.0
DENIED_S = 600.0
BURST = 8
EACH_S = 0.5
PAUSE_S = 30.0
"""After a server that did not answer; health is told without events meanwhile."""
_FORGOTTEN_S = 600.0
_TIMEOUT_S = 5.0
_LIMIT = "100"
_REFUSED = (401, 403, 404)
_GROUPS = (("/api/v1", "events", "involvedObject"), ("/apis/events.k8s.io/v1", "events.events.k8s.io", "regarding"))
_VAGUE = frozenset({"BackOff", "SyncFailed", "FailedSync"})
"""Reasons whose sentences say only that something before them went wrong."""


@dataclass(frozen=True, slots=True)
class Warned:
    """The newest warning about an object. ``at`` is when it was seen last."""

    at: datetime
    text: str
    is_vague: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    asked_at: float
    newest: Warned | None


class Events:
    """What was warned about, by object. Methods may be called from several threads."""

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._lock = Lock()
        self._answers: dict[Subject, _Answer] = {}
        self._denied_until: dict[tuple[str, str], float] = {}
        self._paused_until = 0.0
        self._budget, self._filled_at = float(BURST), clock.monotonic()

    def why(self, subjects: Collection[Subject]) -> str:
        """The newest warning about any of these objects, as far as they were asked for; empty for none."""
        known = [answer.newest for one in subjects if (answer := self._answers.get(one)) and answer.newest is not None]
        return max(known, key=lambda warned: (not warned.is_vague, warned.at)).text if known else ""

    def look(self, subjects: Collection[Subject]) -> None:
        """Ask about those whose answer is missing or old, as many as the budget has; the others are asked about another time."""
        with self._lock:
            now = self._clock.monotonic()
            self._fill(now)
            due = [one for one in dict.fromkeys(subjects) if self._is_due(one, now)]
            if now < self._paused_until:
                return
            for subject in sorted(due, key=lambda one: answer.asked_at if (answer := self._answers.get(one)) else 0.0):
                if self._budget < 1:
                    break
                self._budget -= 1
                try:
                    newest = self._newest(subject, now)
                except UnreachableError:
                    self._paused_until = self._clock.monotonic() + PAUSE_S
                    break
                self._answers[subject] = _Answer(now, newest)

    def _fill(self, now: float) -> None:
        self._budget = min(float(BURST), self._budget + (now - self._filled_at) / EACH_S)
        self._filled_at = now
        old = [one for one, answer in self._answers.items() if now - answer.asked_at > _FORGOTTEN_S]
        for one in old:
            del self._answers[one]

    def _is_due(self, subject: Subject, now: float) -> bool:
        answer = self._answers.get(subject)
        if answer is not None and now - answer.asked_at < HOLDS_S:
            return False
        return any(now >= self._denied_until.get((group, subject.namespace), 0.0) for group, _, _ in _GROUPS)

    def _newest(self, subject: Subject, now: float) -> Warned | None:
        """From the first of the two forms that may be listed in the namespace.

        Raises:
            UnreachableError: no answer.
        """
        for group, resource, field in _GROUPS:
            if now < self._denied_until.get((group, subject.namespace), 0.0):
                continue
            path = f"{group}/namespaces/{subject.namespace}/events"
            request = Request(verb="list", resource=resource, object=f"in namespace {subject.namespace}")
            query = {"fieldSelector": _selector(subject, field), "limit": _LIMIT}
            try:
                found = self._client.call("GET", path, request, query=query, timeout_s=_TIMEOUT_S)
            except ApiError as error:
                if error.status not in _REFUSED:
                    return None
                self._denied_until[group, subject.namespace] = now + DENIED_S
                continue
            return newest_warning(found.get("items") or ())
        return None


def newest_warning(items: Collection[Mapping[str, Any]]) -> Warned | None:
    """The one that tells most: the newest whose sentence is not vague, else the newest."""
    found = [warned for item in items if (warned := _warned(item)) is not None]
    return max(found, key=lambda one: (not one.is_vague, one.at, one.text), default=None)


def _warned(item: Mapping[str, Any]) -> Warned | None:
    if item.get("type") != "Warning":
        return None
    reason, text = told(item.get("reason")), told(item.get("message") or item.get("note"))
    series = item.get("series") or {}
    times = (
        series.get("lastObservedTime"), item.get("lastTimestamp"), item.get("deprecatedLastTimestamp"), item.get("eventTime"),
        (item.get("metadata") or {}).get("creationTimestamp"),
    )  # fmt: skip
    at = next((at for said in times if (at := read_time(said)) is not None), datetime.fromtimestamp(0, UTC))
    return Warned(at, f"{reason}: {text}" if text else reason, reason in _VAGUE)


def _selector(subject: Subject, field: str) -> str:
    if subject.uid:
        return f"{field}.uid={subject.uid}"
    return f"{field}.kind={subject.kind},{field}.name={subject.name}"
