"""What a simulation made so far, counted."""

from __future__ import annotations

import time

from tests.simulation.result import Result

PROGRESS_S = 10.0


class Tally:
    """``runs`` with a fault; those without one, one a history, say where faults can go and are not counted."""

    def __init__(self) -> None:
        self.runs = self.violations = 0
        self._seeds: set[int] = set()
        self._begun = self._told = time.monotonic()

    def count(self, result: Result) -> None:
        """One more result."""
        self.runs += result.fault is not None
        self.violations += len(result.violations)
        self._seeds.add(result.seed)

    def due(self) -> str:
        """How far it is, when that was not told for a while; else nothing."""
        now = time.monotonic()
        if now - self._told < PROGRESS_S:
            return ""
        self._told = now
        return f"{now - self._begun:.0f} s: {self.total()}, {self._rate():.0f} runs/s, {self.seeds()}"

    def seeds(self) -> str:
        """The histories that were run."""
        return f"seeds {min(self._seeds)} to {max(self._seeds)}" if self._seeds else "no history was run"

    def total(self) -> str:
        """The sum."""
        return f"{self.runs} runs, {self.violations} violations"

    def _rate(self) -> float:
        return self.runs / max(time.monotonic() - self._begun, 0.001)
