"""What an executor works with, and how it says what it did."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodeexec.kubevirt.access import Access
from nodeexec.kubevirt.caches import Caches
from nodeexec.kubevirt.deletions import Deletions
from nodeexec.kubevirt.discovery import Discovery
from nodeexec.kubevirt.observe import Observer
from nodeexec.kubevirt.register import Register
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.model.outcome import Outcome, Result
from reconciler.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The parts of one engine."""

    access: Access
    caches: Caches
    observer: Observer
    deletions: Deletions
    register: Register
    discovery: Discovery
    settings: KubevirtSettings
    clock: Clock
    owner: str


@dataclass(slots=True)
class Steps:
    """The side effects of one change, in order."""

    done: list[str] = field(default_factory=list)

    def note(self, step: str) -> None:
        """A side effect that was carried out."""
        self.done.append(step)

    def outcome(self, result: Result | None = None, reason: str = "", retry_after_s: float | None = None) -> Outcome:
        """How it ended; by itself ``applied`` where anything was done."""
        ended = result or (Result.APPLIED if self.done else Result.UNCHANGED)
        return Outcome(result=ended, reason=reason, retry_after_s=retry_after_s, steps=tuple(self.done))
