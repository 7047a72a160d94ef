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


def runs_of(seed: int, *, faults: int | None = FAULTS_A_HISTORY, only: FaultKind | None = None) -> Iterator[Result]:
    """A history without a fault, then with ``faults`` of its faults (None: all), chosen by the seed; ``only`` of one
    kind where that is given.
    """
    calm = run_once(seed)
    yield calm
    chosen = [fault for fault in all_faults(len(calm.points)) if only is None or fault.kind is only]
    if faults is not None:
        chosen = random.Random(seed).sample(chosen, min(faults, len(chosen)))
    for fault in chosen:
        yield run_once(seed, fault)


def calm_then_faulty(histories: int, *, only: FaultKind | None = None) -> Iterator[Result]:
    """That many histories without faults, then the same with them: finds first what needs no fault."""
    for seed in range(histories):
        yield run_once(seed)
    for seed in range(histories):
        yield from runs_of(seed, only=only)


def runs(first_seed: int = 0, *, faults: int | None = FAULTS_A_HISTORY) -> Iterator[Result]:
    """Runs without end."""
    seed = first_seed
    while True:
        yield from runs_of(seed, faults=faults)
        seed += 1
