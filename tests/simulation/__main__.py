"""``python -m tests.simulation --seconds N [--seed S] [--fault KIND@POINT]``: histories with faults, as long as told.

Ends with the line ``N runs, M violations``; exit status 1 when M is not 0. A seed and a fault repeat one run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from nodeexec.simulated.faults import Fault
from tests.simulation.run import Result, run_once
from tests.simulation.schedule import runs

PROGRESS_S = 10.0


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=0, help="the first history, or the one of --fault")
    parser.add_argument("--fault", type=Fault.parse, default=None, help="one fault, such as crash-after@12")
    parser.add_argument("--every", action="store_true", help="every fault of a history before the next one")
    options = parser.parse_args(arguments)
    if options.fault is not None:
        return tell(iter([run_once(options.seed, options.fault)]), seconds=options.seconds)
    chosen = runs(options.seed, faults=None) if options.every else runs(options.seed)
    return tell(chosen, seconds=options.seconds)


def tell(chosen: Iterator[Result], *, seconds: float) -> int:
    """Make the runs until the time is over; print violations as they come, and the sum."""
    begun = told = time.monotonic()
    made = violations = 0
    for result in chosen:
        made += 1
        violations += len(result.violations)
        if result.violations:
            print(f"{result}\n  again: python -m tests.simulation --seed {result.seed}{_fault(result)}", flush=True)
        now = time.monotonic()
        if now - told > PROGRESS_S:
            told = now
            print(f"{made} runs, {violations} violations, at seed {result.seed}", file=sys.stderr, flush=True)
        if now - begun > seconds:
            break
    print(f"{made} runs, {violations} violations")
    return 1 if violations else 0


def _fault(result: Result) -> str:
    return f" --fault {result.fault}" if result.fault else " --seconds 0"


if __name__ == "__main__":
    sys.exit(main())
