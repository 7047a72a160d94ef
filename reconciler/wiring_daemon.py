"""The daemon, wired: the cycle's core and everything around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import structlog

from reconciler.daemon import events
from reconciler.daemon.arguments import Arguments
from reconciler.daemon.clock_watch import ClockWatch
from reconciler.daemon.control import ControlServer
from reconciler.daemon.cycle import Cycle
from reconciler.daemon.event_book import EVENTS_VERB, EventBook
from reconciler.daemon.event_pump import EventPump
from reconciler.daemon.listeners import Listener, Listeners
from reconciler.daemon.loop import CycleLoop
from reconciler.daemon.operations import Operations
from reconciler.daemon.service import DRAIN_S, ENDED, LOST, Daemon, LoopTurn, Parts
from reconciler.daemon.timers import Poll, Timers
from reconciler.daemon.upkeep import Upkeep
from reconciler.daemon.wake import Wake
from reconciler.settings import Settings
from reconciler.web.health import Health
from reconciler.web.metrics import Metrics
from reconciler.web.server import WebServer
from reconciler.wiring import Core, build_core
from reconciler.wiring_lead import Lead, make_directory
from reconciler.wiring_web import waking, web_servers


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDaemon:
    """A daemon about to run, and what an embedding command wants of it."""

    daemon: Daemon
    cycle: Cycle
    operations: Operations


@contextmanager
def daemon_of(settings: Settings, led: Lead, listeners: Sequence[Listener] = ()) -> Iterator[RunningDaemon]:
    """The whole daemon, which leads for as long as the context lasts. ``listeners`` hear of each cycle after log and metrics.

    Raises:
        GitvirtError: see `build_core`.
    """
    with ExitStack() as ending:
        # The last push may take a while: the next one leads meanwhile.
        pushing = ending.enter_context(ExitStack())
        ending.callback(led.leadership.release)
        make_directory(settings.runtime_directory, "runtimeDirectory", 0o755)
        core = build_core(settings, on_late=lambda: loop.wake(Wake()), leadership=led.leadership)
        _tell_of_new_key(core, settings)
        if core.pushed is not None:
            pushing.callback(core.pushed.finish)
        core.begin_to_push()
        book = EventBook(core.clock.now())
        operations = core.operations(LoopTurn(lambda: loop), settings)
        metrics = Metrics(now=core.clock.now, leads=led.leadership.is_held)
        health = Health(is_alive=lambda: loop.is_alive, monotonic=core.clock.monotonic)

        def look_later(after_s: float, wake: Wake) -> None:
            timers.later(after_s, wake)

        hearing = Listeners(
            core.cycle,
            clock=core.clock,
            metrics=metrics,
            health=health,
            later=look_later,
            others=(book, *listeners),
        )

        def before_cycle() -> None:
            hearing.began()
            operations.apply_suspension()
            core.choice.before_cycle()

        loop = CycleLoop(
            cycle=core.cycle,
            clock=core.clock,
            listeners=[hearing.ended],
            on_fault=hearing.failed,
            before=before_cycle,
            on_end=lambda: led.signals.put(ENDED),
        )
        timers = Timers(
            wake=loop.wake,
            polls=_polls(core, settings),
            resync_s=settings.resync_interval_s,
            is_alive=lambda: loop.is_alive,
        )
        control = _control(settings, book, operations)
        web = web_servers(settings, health, metrics, waking(loop.wake))
        daemon = Daemon(_parts(core, led, loop, timers, control, web), signals=led.signals)
        ending.callback(lambda: loop.is_alive and loop.join(DRAIN_S))
        _follow_leadership(led, loop)
        yield RunningDaemon(daemon=daemon, cycle=core.cycle, operations=operations)


def _parts(
    core: Core, led: Lead, loop: CycleLoop, timers: Timers, control: ControlServer, web: tuple[WebServer, ...]
) -> Parts:
    """What the daemon starts and stops."""
    upkeep = Upkeep(
        leadership=led.leadership, control=control, timers=timers, clock=ClockWatch(core.clock), wake=loop.wake
    )
    pump = EventPump(engine=core.engine, wake=loop.wake, clock=core.clock)
    return Parts(engine=core.engine, loop=loop, timers=timers, pump=pump, control=control, web=web, upkeep=upkeep)


def _follow_leadership(led: Lead, loop: CycleLoop) -> None:
    """End when another replica leads; look at the repositories when one that stands by asks for it."""

    def on_lost(reason: str) -> None:
        structlog.get_logger().error(events.LEADERSHIP_LOST, reason=reason, identity=led.leadership.identity)
        led.signals.put(LOST)

    led.leadership.when_lost(on_lost)
    led.leadership.when_asked(lambda: loop.wake(Wake(fetch=True)))


def _tell_of_new_key(core: Core, settings: Settings) -> None:
    if core.has_new_key:
        said = "a new key was made; if there was one before, put it back: what it recorded of secrets is not known now"
        structlog.get_logger().warning(events.KEY_CREATED, file=str(settings.key_file), reason=said)


def _polls(core: Core, settings: Settings) -> list[Poll]:
    """When each source is looked at."""
    return [
        Poll(
            source=followed.name,
            interval_s=followed.interval_s,
            jitter_s=followed.jitter_s,
            is_due=core.patient[followed.name].is_due,
        )
        for followed in settings.sources
    ]


def _control(settings: Settings, book: EventBook, operations: Operations) -> ControlServer:
    """The socket that commands ask: events from the book, all else from the verbs."""
    return ControlServer(
        settings.control_socket,
        lambda request, user: (
            book.serve(Arguments(request.verb, request.arguments))
            if request.verb == EVENTS_VERB
            else operations.serve(request.verb, request.arguments, user)
        ),
    )
