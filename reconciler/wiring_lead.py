"""The part of the composition root that gets the right to act: for a command at once, for a daemon perhaps after a while of
standing by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from reconciler.daemon.clock import SystemClock
from reconciler.daemon.control import ControlServer
from reconciler.daemon.standby import Standby
from reconciler.model.errors import RequirementError
from reconciler.ports import Leadership
from reconciler.settings import Settings
from reconciler.web.metrics import Metrics
from reconciler.wiring_engines import engine_choice
from reconciler.wiring_web import passing_on, web_servers


def make_directory(path: Path, setting: str, mode: int) -> None:
    """Make it, if it is not there.

    Raises:
        RequirementError: it cannot be made.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise RequirementError(
            f"{setting} {path} cannot be made: {error.strerror}. Run as root, or set {setting}."
        ) from error


@contextmanager
def acting(settings: Settings) -> Iterator[Leadership]:
    """The right to act, for a command that acts once.

    Raises:
        LockedError: a daemon or another command has it.
        EngineError, RequirementError: it cannot be asked for.
    """
    leadership = engine_choice(settings).leadership(SystemClock())
    leadership.acquire()
    try:
        yield leadership
    finally:
        leadership.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """The right to act that a daemon has, and the signals that came since it began to wait for it."""

    leadership: Leadership
    signals: SimpleQueue[int]


def lead(settings: Settings) -> Lead | None:
    """The right to act, for a daemon: where the engine knows replicas this stands by until it has it. None when it was told
    to end meanwhile.

    Raises:
        LockedError: another daemon works as this owner on this engine, and it is of no use to wait.
        EngineError, RequirementError: it cannot be asked for.
    """
    clock, signals = SystemClock(), SimpleQueue[int]()
    leadership = engine_choice(settings).leadership(clock)
    if not leadership.waits:
        leadership.acquire()
        return Lead(leadership=leadership, signals=signals)
    make_directory(settings.runtime_directory, "runtimeDirectory", 0o755)
    standby = Standby(leadership, owner=settings.policy.owner)
    control = ControlServer(settings.control_socket, lambda request, _: standby.serve(request.verb, request.arguments))
    web = web_servers(settings, standby, Metrics(now=clock.now, leads=leadership.is_held), passing_on(leadership))
    return Lead(leadership=leadership, signals=signals) if standby.wait(control, web, signals) else None
