"""The one thread that runs cycles. Everything else only adds to the pending `Wake` that it drains."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import structlog

from reconciler.daemon import events
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError, GitvirtError
from reconciler.model.keys import ObjectKey
from reconciler.ports import Clock

T = TypeVar("T")

SETTLE_S = 0.03
"""A hypervisor says one thing in several events; a cycle that begins this much later sees them all at once."""

_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 30.0

_log = structlog.get_logger("gitvirt.loop")


class RunsCycles(Protocol):
    """What the loop needs of a cycle."""

    def run(self, wake: Wake) -> CycleReport:
        """One cycle."""
        ...


class CycleLoop:
    """Runs cycles one after another on its own thread until `stop`.

    A cycle that ends in a `GitvirtError` (no engine, no disk space) is run again with growing back-off, or at the next
    wake-up. Any other exception is a broken invariant: the loop ends with it, and `crash` holds it.
    """

    def __init__(
        self,
        *,
        cycle: RunsCycles,
        clock: Clock,
        listeners: Sequence[Callable[[CycleReport], None]] = (),
        before: Callable[[], None] | None = None,
        on_fault: Callable[[GitvirtError], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """``before`` is called before each cycle; ``listeners`` hear of every one that ended, ``on_fault`` of one that
        could not be; ``on_end`` is called last.
        """
        self._cycle = cycle
        self._clock = clock
        self._listeners = tuple(listeners)
        self._before = before
        self._on_fault = on_fault
        self._on_end = on_end
        self._condition = threading.Condition()
        self._pending: Wake | None = None
        self._keys: set[ObjectKey] = set()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._retry_at: float | None = None
        self._back_off_s = 0.0
        self._failed: Wake = Wake()
        self._stopping = False
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cycle", daemon=True)
        self.crash: BaseException | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs cycles."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to run cycles."""
        self._thread.start()

    def stop(self) -> None:
        """Run no further cycle; the one under way ends. Returns at once."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; whether it did."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wake(self, wake: Wake) -> None:
        """Add to what the next cycle looks at. Never blocks for a cycle."""
        with self._condition:
            # Events come one by one and may name thousands of objects: each would copy the keys of all before it.
            self._keys |= wake.keys
            rest = replace(wake, keys=frozenset())
            self._pending = self._pending.merged(rest) if self._pending else rest
            self._condition.notify_all()

    def wait_for_first(self, timeout_s: float) -> None:
        """Return once a cycle was tried, or the loop has ended. Before that nothing is known, so nothing can be answered.

        Raises:
            DaemonError: it took longer.
        """
        if threading.current_thread() is not self._thread and not self._tried.wait(timeout_s):
            raise DaemonError(f"the daemon's first look has not ended within {timeout_s:g} s; ask again.")

    def call(self, function: Callable[[], T], *, timeout_s: float) -> T:
        """Run ``function`` on the cycle's thread, between two cycles, so that nothing else acts meanwhile.

        Raises:
            DaemonError: it did not come to its turn in time (then it will not run), or the daemon is stopping.
        """
        if threading.current_thread() is self._thread:
            return function()
        future: Future[T] = Future()
        with self._condition:
            if self._stopping:
                raise DaemonError("the daemon is stopping; ask again when it runs.")
            self._calls.append((function, future))
            self._condition.notify_all()
        try:
            return future.result(timeout_s)
        except FutureTimeoutError as error:
            if future.cancel():
                raise DaemonError(f"the daemon was busy for {timeout_s:g} s; nothing was done. Ask again.") from error
            raise DaemonError(
                f"the request was still being worked on after {timeout_s:g} s; `gitvirt status` shows how it ends."
            ) from error

    def run(self, wake: Wake) -> CycleReport:
        """One cycle now, for a caller on the cycle's thread (see `call`); listeners hear of it as of any other."""
        if self._before:
            self._before()
        report = self._cycle.run(wake)
        self._back_off_s = 0.0
        self._failed = Wake()
        retry = report.retry_after_s
        self._retry_at = None if retry is None else self._clock.monotonic() + retry
        for listener in self._listeners:
            listener(report)
        return report

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except BaseException as fault:
            self.crash = fault
            raise
        finally:
            self._refuse_waiting()
            if self._on_end:
                self._on_end()

    def _step(self) -> bool:
        """One turn: a call, or a cycle. False when told to stop."""
        with self._condition:
            while not (self._stopping or self._calls or self._pending is not None or self._is_due()):
                self._condition.wait(self._until_retry_s())
            if self._stopping:
                return False
            queued = self._calls.popleft() if self._calls else None
        if queued is not None:
            self._answer(*queued)
            return True
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or bool(self._calls), SETTLE_S)
            if self._stopping:
                return False
            wake = self._failed.merged(replace(self._pending or Wake(), keys=frozenset(self._keys)))
            self._pending, self._keys = None, set()
            self._retry_at = None
        self._attempt(wake)
        return True

    def _attempt(self, wake: Wake) -> None:
        try:
            self.run(wake)
        except GitvirtError as fault:
            self._failed = wake
            self._back_off_s = min(max(self._back_off_s * 2, _FIRST_BACK_OFF_S), _LONGEST_BACK_OFF_S)
            self._retry_at = self._clock.monotonic() + self._back_off_s
            _log.error(events.CYCLE_FAILED, error=str(fault), retry_after_s=self._back_off_s)
            if self._on_fault:
                self._on_fault(fault)
        self._tried.set()

    def _answer(self, function: Callable[[], Any], future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function())
        except GitvirtError as fault:
            future.set_exception(fault)
        except BaseException as fault:
            future.set_exception(DaemonError("the daemon met a fault of its own and ends; see its log."))
            raise fault

    def _refuse_waiting(self) -> None:
        self._tried.set()
        with self._condition:
            self._stopping = True
            waiting = list(self._calls)
            self._calls.clear()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(DaemonError("the daemon is stopping; ask again when it runs."))

    def _is_due(self) -> bool:
        return self._retry_at is not None and self._clock.monotonic() >= self._retry_at

    def _until_retry_s(self) -> float | None:
        return None if self._retry_at is None else max(0.0, self._retry_at - self._clock.monotonic())
