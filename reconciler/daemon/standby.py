"""A replica that waits for its turn: it touches nothing, says that it stands by, and takes over when it may."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from reconciler.daemon import events
from reconciler.daemon.notify import READY, WATCHDOG, notify
from reconciler.daemon.service import Stoppable, handled_signals, tell_web
from reconciler.model.errors import DaemonError, EngineError
from reconciler.ports import Leadership
from reconciler.web.server import WebServer

_log = structlog.get_logger("gitvirt.standby")


class Standby:
    """From its start to the moment that it leads, or is told to end."""

    def __init__(self, leadership: Leadership, *, owner: str) -> None:
        self._leadership = leadership
        self._owner = owner
        self._fault = ""

    def wait(self, control: Stoppable, web: Sequence[WebServer], signals: SimpleQueue[int]) -> bool:
        """Stand by with these running; True when this process leads, False when it was told to end.

        Raises:
            GitvirtError: a service cannot be started.
        """
        with handled_signals(signals):
            if self._attempt():
                return True
            started: list[Stoppable] = []
            try:
                for service in (control, *web):
                    service.start()
                    started.append(service)
                tell_web(web)
                notify(READY)
                _log.info(events.STANDBY_BEGUN, leader=self._leadership.leader, identity=self._leadership.identity)
                while not self._attempt():
                    if self._told_to_end(signals):
                        return False
                    notify(WATCHDOG)
            finally:
                for service in reversed(started):
                    service.stop()
        _log.info(events.LEADERSHIP_TAKEN, identity=self._leadership.identity)
        return True

    def alive(self) -> tuple[bool, str]:
        """For /healthz."""
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """For /readyz: whether it would notice that its turn has come."""
        return (False, self._fault) if self._fault else (True, f"standing by: {self._leader} leads")

    def serve(self, verb: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a command is told meanwhile: the state of things, or who has to be asked.

        Raises:
            DaemonError: every verb but ``status``.
        """
        if verb != "status":
            raise DaemonError(f"this replica ({self._leadership.identity}) stands by; {self._whom_to_ask()}.")
        return {
            "owner": self._owner,
            "daemon": True,
            "standby": {"identity": self._leadership.identity, "leader": self._leadership.leader},
            "suspended": "",
            "sources": [],
            "host": None,
            "observed_at": None,
            "last_cycle_at": None,
            "messages": [self._fault] if self._fault else [],
            "plan": None,
            "trash": None,
            "problems": [],
            "objects": [],
        }

    def _whom_to_ask(self) -> str:
        leader = self._leadership.leader
        if not leader:
            return "nobody leads at the moment, ask again when one does"
        place, _, number = leader.rpartition("_")
        if number and place == self._leadership.identity.rpartition("_")[0]:
            return f"{leader} leads, ask there; it is on this machine too, and if it is gone, this one takes over within 15 s"
        return f"{leader} leads, ask there (kubectl exec {place or leader} -- gitvirt …)"

    @property
    def _leader(self) -> str:
        return self._leadership.leader or "nobody"

    def _attempt(self) -> bool:
        """One attempt; a fault is said when it begins."""
        try:
            taken = self._leadership.attempt()
        except EngineError as fault:
            if str(fault) != self._fault:
                _log.warning(events.LEADERSHIP_UNKNOWN, reason=str(fault))
            self._fault = str(fault)
            return False
        self._fault = ""
        return taken

    def _told_to_end(self, signals: SimpleQueue[int]) -> bool:
        """Pause until the next attempt; whether a signal came that ends the process. SIGHUP ends the pause."""
        try:
            number = signals.get(timeout=self._leadership.patience_s)
        except Empty:
            return False
        if number == signal.SIGHUP:
            return False
        _log.info(events.DAEMON_STOPPING, reason=signal.Signals(number).name, drain_s=0.0)
        return True
