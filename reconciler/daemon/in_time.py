"""An answer in time, or none: for calls into libraries that nothing can interrupt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def in_time(function: Callable[[], T], timeout_s: float) -> T:
    """What ``function`` returns or raises. It runs in a thread of its own, which goes on when nobody waits for it any more.

    Raises:
        TimeoutError: it has not ended within the time.
    """
    answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            answers.put((function(), None))
        except BaseException as fault:  # noqa: BLE001 - handed to the caller below
            answers.put((None, fault))

    threading.Thread(target=work, name="answer", daemon=True).start()
    try:
        answer, fault = answers.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError from None
    if fault is not None:
        raise fault
    return answer  # type: ignore[return-value]  # None only where T has it
