"""All that happened in a run, as one digest: two runs that differ in anything differ in it."""

from __future__ import annotations

import hashlib

from nodeexec.simulated.host import StepRecord
from tests.simulation.run import Simulation


class Trace:
    """Watches a simulation from its beginning."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._found = hashlib.sha256()
        simulation.host.watchers.append(self._watch)

    def _watch(self, step: StepRecord) -> None:
        """One step, with all of the host after it."""
        self._found.update(f"{step.at} {step.name} {step.actor} {step.reason} {step.key} {step.after}\n".encode())

    def digest(self) -> str:
        """Of the steps so far, the points passed and the violations found."""
        whole = self._found.copy()
        whole.update(repr((self._simulation.faults.points, self._simulation.result.violations)).encode())
        return whole.hexdigest()
