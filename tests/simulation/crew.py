"""Worker processes that run histories, one history each at a time, and hand every result over as it comes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Self

from tests.simulation.histories import History
from tests.simulation.kept_files import LOADED_BEFORE
from tests.simulation.planting import planted
from tests.simulation.result import Result
from tests.simulation.runs import run_history
from tests.simulation.schedule import Choice

CORES = len(os.sched_getaffinity(0))
FOREVER = float("inf")
OBJECTS_A_COLLECTION = 100_000
"""Some eight runs: what one leaves behind goes as a whole, so looking for it more often costs a seventh of the time and finds nothing."""


class WorkerDiedError(Exception):
    """A worker ended by itself; says with which history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The runs of one history: without a fault, and with each that ``choose`` says. None begins after ``until``
    (monotonic seconds). ``plant`` names a bug of `planted` to do it with; ``traced`` results have their `trace`.
    """

    history: History
    choose: Choice
    until: float = FOREVER
    plant: str = ""
    traced: bool = False


@dataclass(slots=True)
class _Worker:
    """A process, the way to it, and what it is at."""

    process: SpawnProcess
    pipe: Connection
    job: Job | None = None


class Crew:
    """As many workers as there are cores. Use it as a context: leaving it ends them."""

    def __init__(self, size: int = CORES) -> None:
        context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        with _interrupts_ignored():
            for number in range(size):
                here, there = context.Pipe()
                process = context.Process(target=_work, args=(there,), name=f"simulation-{number}", daemon=True)
                process.start()
                there.close()
                self._workers.append(_Worker(process, here))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def run(self, jobs: Iterable[Job]) -> Generator[Result]:
        """The results of all jobs as they come. Closing the iterator ends runs that were not wanted any more.

        Raises:
            WorkerDiedError: a worker did.
        """
        waiting = iter(jobs)
        try:
            for worker in self._workers:
                self._next(worker, waiting)
            while busy := {worker.pipe: worker for worker in self._workers if worker.job is not None}:
                for ready in wait(list(busy)):
                    worker = busy[ready]
                    result = _received(worker)
                    if result is None:
                        self._next(worker, waiting)
                    else:
                        yield result
        except KeyboardInterrupt:
            # It may have come between a job and its message, or between an answer and its note: who leaves the crew ends all of it.
            for worker in self._workers:
                worker.job = None
            raise
        finally:
            self._stop()

    @staticmethod
    def _next(worker: _Worker, waiting: Iterator[Job]) -> None:
        worker.job = next(waiting, None)
        if worker.job is not None:
            worker.pipe.send(worker.job)

    def _stop(self) -> None:
        """No more runs of the jobs under way; what was run and not taken is thrown away."""
        for worker in self._workers:
            if worker.job is not None:
                with suppress(OSError):
                    worker.pipe.send(None)
        for worker in self._workers:
            if worker.job is not None:
                with suppress(WorkerDiedError):
                    while _received(worker) is not None:
                        pass
                worker.job = None


def _received(worker: _Worker) -> Result | None:
    """A result; None at the end of a job.

    Raises:
        WorkerDiedError: nothing will come any more.
    """
    try:
        answer = worker.pipe.recv()
    except (EOFError, OSError) as error:
        worker.process.join(timeout=60.0)
        seed = worker.job.history.seed if worker.job else None
        worker.job = None
        said = f"the worker with the history of seed {seed} died, exit code {worker.process.exitcode}"
        raise WorkerDiedError(said) from error
    assert answer is None or isinstance(answer, Result)
    return answer


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """What is started within this does not hear Ctrl-C: the crew's owner does, and ends it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection) -> None:
    """A worker's life: jobs, until there is nobody to give one."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_A_COLLECTION)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job = pipe.recv()
            if job is None:  # a stop that came when the job had ended already
                continue
            LOADED_BEFORE.clear()
            with planted(job.plant):
                over = _end_of(job, pipe)
                run_history(job.history, job.choose, pipe.send, is_over=over, traced=job.traced)
            pipe.send(None)


def _end_of(job: Job, pipe: Connection) -> Callable[[], bool]:
    """Whether the job's time is over, or its owner said to stop."""
    return lambda: time.monotonic() > job.until or pipe.poll()
