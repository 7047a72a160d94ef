"""The daemon, wired: the cycle's core and everything around it, and what hears of each cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import structlog

from reconciler.daemon import events
from reconciler.daemon.addresses import look_for_addresses
from reconciler.daemon.arguments import Arguments
from reconciler.daemon.clock_watch import ClockWatch
from reconciler.daemon.control import ControlServer
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.cycle_log import CycleLog
from reconciler.daemon.event_book import EVENTS_VERB, EventBook
from reconciler.daemon.event_pump import EventPump
from reconciler.daemon.loop import CycleLoop
from reconciler.daemon.operations import Operations
from reconciler.daemon.service import DRAIN_S, ENDED, LOST, Daemon, LoopTurn, Parts
from reconciler.daemon.timers import Poll, Timers
from reconciler.daemon.upkeep import Upkeep
from reconciler.daemon.wake import Wake
from reconciler.model.revision import SourceState
from reconciler.model.status import ObjectStatus
from reconciler.settings import Settings
from reconciler.web.health import Health
from reconciler.web.metrics import Metrics
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
def daemon_of(
    settings: Settings, led: Lead, listeners: Sequence[Callable[[CycleReport, tuple[ObjectStatus, ...]], None]] = ()
) -> Iterator[RunningDaemon]:
    """The whole daemon, which leads for as long as the context lasts. ``listeners`` hear of each cycle, after
    log and metrics, with the status of every object.

    Raises:
        GitvirtError: see `build_core`.
    """
    leadership, signals = led.leadership, led.signals
    with ExitStack() as ending:
        # The last push may take a while: the next one leads meanwhile.
        pushing = ending.enter_context(ExitStack())
        ending.callback(leadership.release)
        make_directory(settings.runtime_directory, "runtimeDirectory", 0o755)
        core = build_core(settings, on_late=lambda: loop.wake(Wake()), leadership=leadership)
        _tell_of_new_key(core, settings)
        if core.pushed is not None:
            pushing.callback(core.pushed.finish)
        core.begin_to_push()
        metrics = Metrics(now=core.clock.now, leads=leadership.is_held)
        book = EventBook(core.clock.now())
        operations = core.operations(LoopTurn(lambda: loop), settings)
        health = Health(is_alive=lambda: loop.is_alive, monotonic=core.clock.monotonic)

        def on_fault(fault: Exception) -> None:
            metrics.cycle_failed()
            health.cycle_ended(str(fault))

        def before_cycle() -> None:
            health.cycle_began()
            operations.apply_suspension()
            core.choice.before_cycle()

        def on_lost(reason: str) -> None:
            structlog.get_logger().error(events.LEADERSHIP_LOST, reason=reason, identity=leadership.identity)
            signals.put(LOST)

        loop = CycleLoop(
            cycle=core.cycle,
            clock=core.clock,
            listeners=[_after_cycle(core, metrics, health, lambda: timers, (book, *listeners))],
            on_fault=on_fault,
            before=before_cycle,
            on_end=lambda: signals.put(ENDED),
        )
        timers = Timers(
            wake=loop.wake,
            polls=_polls(core, settings),
            resync_s=settings.resync_interval_s,
            is_alive=lambda: loop.is_alive,
        )
        control = _control(settings, book, operations)
        daemon = Daemon(
            Parts(
                engine=core.engine,
                loop=loop,
                timers=timers,
                pump=EventPump(engine=core.engine, wake=loop.wake, clock=core.clock),
                control=control,
                web=web_servers(settings, health, metrics, waking(loop.wake)),
                upkeep=Upkeep(
                    leadership=leadership,
                    control=control,
                    timers=timers,
                    clock=ClockWatch(core.clock),
                    wake=loop.wake,
                ),
            ),
            signals=signals,
        )
        ending.callback(lambda: loop.is_alive and loop.join(DRAIN_S))
        leadership.when_lost(on_lost)
        leadership.when_asked(lambda: loop.wake(Wake(fetch=True)))
        yield RunningDaemon(daemon=daemon, cycle=core.cycle, operations=operations)


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


def _after_cycle(
    core: Core,
    metrics: Metrics,
    health: Health,
    timers: Callable[[], Timers],
    listeners: Sequence[Callable[[CycleReport, tuple[ObjectStatus, ...]], None]],
) -> Callable[[CycleReport], None]:
    """What hears of each finished cycle, in order: log, metrics, health, the look for addresses, then ``listeners``.
    ``timers`` gives the timers, which do not exist yet when this is made.
    """
    log = CycleLog()

    def tell(report: CycleReport) -> None:
        statuses = core.cycle.status()
        log(report)
        metrics.cycle_ended(
            record=report.record,
            plan=report.plan,
            sources=report.sources,
            problems=report.problems,
            objects=statuses,
            suspended=bool(core.cycle.suspended),
            journal_failing=bool(core.cycle.journal_fault),
        )
        health.cycle_ended(_why_not_ready(core.cycle, report))
        look_for_addresses(statuses, now=core.clock.now(), later=timers().later)
        if core.cycle.observation is not None:
            log.tell_host(core.cycle.observation.host)
        for listener in listeners:
            listener(report, statuses)

    return tell


def _why_not_ready(cycle: Cycle, report: CycleReport) -> str:
    """Empty once a revision of every source is known and the host was observed: from then on the last accepted revisions
    are enforced, whatever the remotes say, as long as the host answers.
    """
    for name, status in report.sources.items():
        if name not in cycle.revisions:
            said = status.message or "the repository was not read yet"
            said = said if status.state is not SourceState.READY else "; ".join(report.record.messages) or said
            return f"source {name}: {said}" if name else said
    if cycle.engine_fault:
        return cycle.engine_fault
    if report.plan is None or cycle.observation is None:
        return "; ".join(report.record.messages) or "the host was not observed yet"
    return ""
