"""Which runs are made, in which order: a few faults of every history first, so that a short time sees much."""

from __future__ import annotations

import random
from collections.abc import Iterator

from nodeexec.simulated.faults import Fault, FaultKind
from tests.simulation.run import Result, run_once

FAULTS_A_HISTORY = 24


def all_faults(points: int) -> Iterator[Fault]:
    """Every kind at every point."""
    for at in range(points):
        for kind in FaultKind:
            yield Fault(kind, at)


def runs_of(seed: int, *, faults: int | None = FAULTS_A_HISTORY) -> Iterator[Result]:
    """A history without a fault, then with ``faults`` of its faults (None: all), chosen by the seed."""
    calm = run_once(seed)
    yield calm
    chosen = list(all_faults(len(calm.points)))
    if faults is not None:
        chosen = random.Random(seed).sample(chosen, min(faults, len(chosen)))
    for fault in chosen:
        yield run_once(seed, fault)


def runs(first_seed: int = 0, *, faults: int | None = FAULTS_A_HISTORY) -> Iterator[Result]:
    """Runs without end."""
    seed = first_seed
    while True:
        yield from runs_of(seed, faults=faults)
        seed += 1
