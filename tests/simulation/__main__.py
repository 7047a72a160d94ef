"""The real cycle over seeded histories with one fault each, on every core, for as long as it is told.

Ends with the line ``N runs, M violations``, where a run is one history with one fault at one step, to its end; the exit
status is 1 when M is not 0 or a worker died. A seed and a fault repeat one run. The first violation of each kind is written to a
file of `corpus`, as small as it gets, for the tests to replay for good.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nodeexec.simulated.faults import Fault
from tests.simulation.corpus import DIRECTORY, Keeper
from tests.simulation.crew import CORES, Crew, Job, WorkerDiedError
from tests.simulation.histories import make_history
from tests.simulation.planting import planted
from tests.simulation.result import Result
from tests.simulation.runs import run_to_its_end
from tests.simulation.schedule import Choice, by_turns, every
from tests.simulation.tally import Tally

INTERRUPTED = 130
NO_FAULT = "none"


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=0, help="the first history, or the one of --fault")
    parser.add_argument("--fault", default="", help="one run alone: a fault such as crash-after@12, or none")
    parser.add_argument("--every", action="store_true", help="at each point every kind of fault, not one by turns")
    parser.add_argument("--workers", type=int, default=CORES, help="processes; one a core unless said")
    parser.add_argument("--plant", default="", help="a bug of planted.py to run with, to see what is told of it")
    parser.add_argument("--corpus", type=Path, default=DIRECTORY, help="where cases of violations are written")
    options = parser.parse_args(arguments)
    if options.fault:
        fault = None if options.fault == NO_FAULT else Fault.parse(options.fault)
        return tell_one(run_to_its_end(make_history(options.seed), fault))
    until = time.monotonic() + options.seconds
    jobs = _jobs(options.seed, until, choose=every if options.every else by_turns, plant=options.plant)
    with planted(options.plant):
        return tell_all(jobs, workers=options.workers, keeper=Keeper(options.corpus))


def _jobs(seed: int, until: float, *, choose: Choice, plant: str) -> Iterator[Job]:
    """Histories from a seed on, until the time is over; one at least."""
    while True:
        yield Job(history=make_history(seed), choose=choose, until=until, plant=plant)
        seed += 1
        if time.monotonic() > until:
            return


def tell_one(result: Result) -> int:
    """Print what one run came to."""
    print(result)
    print(f"1 runs, {len(result.violations)} violations")
    return 1 if result.violations else 0


def tell_all(jobs: Iterator[Job], *, workers: int, keeper: Keeper) -> int:
    """Run the jobs; print violations as they come and how far it is, and the sum."""
    tally = Tally()
    failure = 0
    try:
        with Crew(workers) as crew:
            print(f"{workers} histories at a time", flush=True)
            for result in crew.run(jobs):
                tally.count(result)
                if result.violations:
                    keeper.take(result)
                    print(
                        f"{result}\n  again: make sim SEED={result.seed} FAULT={result.fault or NO_FAULT}", flush=True
                    )
                if line := tally.due():
                    print(line, file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        failure = INTERRUPTED
    except WorkerDiedError as error:
        print(f"{error}; its runs after the last result are not counted", flush=True)
        failure = 1
    for path in keeper.write():
        print(f"written: {path}; commit it together with the mend")
    print(tally.seeds())
    print(tally.total())
    return 1 if tally.violations else failure


if __name__ == "__main__":
    sys.exit(main())
