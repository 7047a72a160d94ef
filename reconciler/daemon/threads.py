"""The real workers: a few threads for the changes of one cycle, and a thread of its own for each long piece of work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from reconciler.daemon.in_time import in_time

T = TypeVar("T")
R = TypeVar("R")


class ThreadWorkers:
    """`reconciler.ports.Workers` on threads.

    All threads are daemon threads, so that an image that is still being imported never keeps the process alive: work is
    resumable by its engine, whether it was told to stop or killed.
    """

    def __init__(self, count: int = 4) -> None:
        """``count`` threads work on one `map` at a time."""
        self._count = count
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Apply ``function`` to every item; results in the order of ``items``; raises the first item's exception, after
        all have ended.
        """
        if len(items) <= 1 or self._count == 1:
            return [function(item) for item in items]
        waiting: SimpleQueue[int] = SimpleQueue()
        for index in range(len(items)):
            waiting.put(index)
        results: dict[int, R] = {}
        faults: dict[int, BaseException] = {}

        def work() -> None:
            while True:
                try:
                    index = waiting.get_nowait()
                except Empty:
                    return
                try:
                    results[index] = function(items[index])
                except BaseException as fault:  # noqa: BLE001 - handed to the caller below, none is swallowed
                    faults[index] = fault

        threads = [
            threading.Thread(target=work, name=f"worker-{number}", daemon=True)
            for number in range(min(self._count, len(items)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[min(faults)]
        return [results[index] for index in range(len(items))]

    def background(self, name: str, function: Callable[[], None]) -> None:
        """Run ``function`` on a thread of its own; nothing when work of that name is under way.

        An exception ends the thread and reaches `threading.excepthook`, which logs it: whoever started the work sees from
        its own marks that it did not end.
        """
        with self._lock:
            if name in self._under_way:
                return
            self._under_way.add(name)

        def work() -> None:
            try:
                function()
            finally:
                with self._lock:
                    self._under_way.discard(name)

        threading.Thread(target=work, name=name, daemon=True).start()

    def is_under_way(self, name: str) -> bool:
        """Whether the background work of that name has not ended."""
        with self._lock:
            return name in self._under_way

    def in_time(self, function: Callable[[], R], timeout_s: float) -> R:
        """What ``function`` returns or raises, from a thread of its own.

        Raises:
            TimeoutError: it has not ended within the time.
        """
        return in_time(function, timeout_s)
