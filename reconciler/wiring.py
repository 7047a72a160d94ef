"""The composition root: settings → source, engine, journal, cycle, daemon. Only this imports an engine, and lazily: what
needs no hypervisor works on a machine that has none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from reconciler.daemon import events
from reconciler.daemon.clock import SystemClock
from reconciler.daemon.control import user_name
from reconciler.daemon.control_client import ask as ask_daemon
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.doctor import Check, examine
from reconciler.daemon.file_cache import FileCache
from reconciler.daemon.fingerprint import fingerprint
from reconciler.daemon.journal_push import PushedJournal
from reconciler.daemon.key import ensure_key, keyed_digest
from reconciler.daemon.led_engine import led_engine
from reconciler.daemon.log_setup import set_up_logging
from reconciler.daemon.operations import Operations, Turn
from reconciler.daemon.patient_source import PatientSource
from reconciler.daemon.suspension import SuspensionFile
from reconciler.daemon.threads import ThreadWorkers
from reconciler.daemon.used_approvals import UsedApprovals
from reconciler.daemon.views import report_view, with_outdated
from reconciler.daemon.wake import Wake
from reconciler.journal.git_journal import GitJournal
from reconciler.manifests.limits import RevisionLimits
from reconciler.model.errors import SettingsError
from reconciler.ports import Clock, Engine, Leadership, Workers
from reconciler.secrets.host_store import HostStore
from reconciler.settings import LogSettings, Settings
from reconciler.source.git_source import GitSource
from reconciler.source.limits import DEFAULT_LIMITS as SOURCE_LIMITS
from reconciler.wiring_engines import EngineChoice, engine_choice
from reconciler.wiring_journal import open_journal, pushed
from reconciler.wiring_lead import acting, make_directory

T = TypeVar("T")

READING_VERBS = frozenset({"status", "get", "plan", "trash-list"})
"""Verbs that change nothing, so that they need no lock where no daemon runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """A cycle and what it stands on. ``patient`` are the sources as a daemon's cycle sees them; ``pushed`` is the journal where it has a
    copy elsewhere.
    """

    sources: Mapping[str, GitSource]
    patient: Mapping[str, PatientSource]
    engine: Engine
    journal: GitJournal
    pushed: PushedJournal | None
    cycle: Cycle
    clock: Clock
    workers: Workers
    suspension: SuspensionFile
    has_new_key: bool
    choice: EngineChoice

    def operations(self, turn: Turn, settings: Settings) -> Operations:
        """The verbs over this cycle."""
        return Operations(
            cycle=self.cycle,
            engine=self.engine,
            clock=self.clock,
            policy=settings.policy,
            turn=turn,
            suspension=self.suspension,
            workers=self.workers,
        )

    def begin_to_push(self) -> None:
        """From here on the journal's copy elsewhere is kept up to date: this process acts."""
        if self.pushed is not None:
            self.pushed.begin()

    def close(self) -> None:
        """Let go of the host and of the remotes."""
        if self.pushed is not None:
            self.pushed.finish()
        self.engine.close()
        for source in self.sources.values():
            source.close()


class InlineTurn:
    """`operations.Turn` where no daemon runs: this process has the lock, so it may act at once."""

    in_daemon = False

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle

    def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` now."""
        return function()

    def run(self, wake: Wake) -> CycleReport:
        """One cycle, now."""
        return self._cycle.run(wake)

    def wait_for_first_cycle(self) -> None:
        """The command has looked at what it needs."""

    def tell(self, wake: Wake) -> None:
        """Nobody is there to look later."""


def keep_quiet() -> None:
    """Until the daemon sets its own logging up: what a library logs must not get between the lines of a result."""
    if not structlog.is_configured():
        set_up_logging(LogSettings(level="warning"))


def build_core(
    settings: Settings, *, on_late: Callable[[], None] | None = None, leadership: Leadership | None = None
) -> Core:
    """Everything a cycle needs, opened as far as needed. With ``on_late`` the cycle does not wait for slow remotes; it is
    called when one has answered after all. Where ``leadership`` can be lost, the engine acts only while it is held.

    Raises:
        SettingsError: no repository is named.
        RequirementError: a directory, the key or the engine's library is missing.
        SourceError, JournalError: the repository's URL or the state directory is of no use.
    """
    keep_quiet()
    if not all(followed.url for followed in settings.sources):
        raise SettingsError(
            f"no repository is named in {settings.origin}: set source.url in /etc/gitvirt/settings.yaml (or what --settings "
            "names), or for instance --set source.url=/srv/vms.git."
        )
    make_directory(settings.state_directory, "stateDirectory", 0o700)
    key, is_new = ensure_key(settings.key_file)
    digest = keyed_digest(key)
    clock = SystemClock()
    sources = _sources(settings, clock)
    patient: dict[str, PatientSource] = {}
    if on_late is not None:
        for name, source in sources.items():
            patient[name] = PatientSource(source, name=name, clock=clock, on_late=on_late)
    choice = engine_choice(settings)
    workers = ThreadWorkers(choice.threads)
    if leadership is not None and leadership.waits:
        engine = led_engine(choice.open(settings, clock, workers, may_act=leadership.is_held), leadership)
    else:
        engine = choice.open(settings, clock, workers)
    journal = open_journal(settings, background=workers.background)
    elsewhere = pushed(journal, settings)
    cycle = Cycle(
        sources=patient or sources,
        engine=engine,
        journal=elsewhere or journal,
        clock=clock,
        workers=workers,
        policy=settings.policy,
        digest=digest,
        secrets=HostStore(settings.secrets.directory, settings.secrets.age_key_file),
        file_cache=_file_cache(settings),
        limits=RevisionLimits(documents=settings.limits.documents, read_bytes=settings.limits.read_bytes),
        used_approvals=UsedApprovals.beside(settings.key_file),
    )
    return Core(
        sources=sources,
        patient=patient,
        engine=engine,
        journal=journal,
        pushed=elsewhere,
        cycle=cycle,
        clock=clock,
        workers=workers,
        suspension=SuspensionFile(settings.key_file),
        has_new_key=is_new,
        choice=choice,
    )


def _sources(settings: Settings, clock: SystemClock) -> dict[str, GitSource]:
    limits = replace(SOURCE_LIMITS, files=settings.limits.files, fetch_bytes=settings.limits.fetch_bytes)
    return {
        followed.name: GitSource(followed, state_directory=settings.state_directory, clock=clock, limits=limits)
        for followed in settings.sources
    }


def _file_cache(settings: Settings) -> FileCache:
    meaning = fingerprint(settings.policy.default_namespace)
    log = structlog.get_logger()
    return FileCache(
        settings.state_directory / "cache" / "files.sqlite",
        meaning,
        lambda reason: log.warning(events.CACHE_UNUSED, reason=reason),
    )


def ask_here(settings: Settings, verb: str, arguments: Mapping[str, Any]) -> Any:
    """Have a verb carried out by this process, which takes the lock to act.

    Raises:
        GitvirtError: whatever stands in the way.
    """
    with nullcontext() if verb in READING_VERBS else acting(settings) as leadership:
        core = build_core(settings, leadership=leadership)
        try:
            if verb not in READING_VERBS:
                core.begin_to_push()
            operations = core.operations(InlineTurn(core.cycle), settings)
            for source in core.sources.values():
                source.fetch()
            return operations.serve(verb, arguments, calling_user())
        finally:
            core.close()


def apply_once(
    settings: Settings, *, plan_id: str, wait_s: float, progress: Callable[[Mapping[str, Any]], None]
) -> Mapping[str, Any]:
    """One cycle here and now, without a daemon; then, for at most ``wait_s``, as many more as it takes until nothing is
    under way. Beside a daemon it is that daemon's cycle. With a ``plan_id`` that plan is carried out or nothing is.
    ``progress`` hears of each.

    Raises:
        StalePlanError: the plan is not what would be done now.
        GitvirtError: whatever stands in the way.
    """
    verb, given = ("apply", {"plan_id": plan_id}) if plan_id else ("reconcile", {})
    answer: Mapping[str, Any] | None = ask_daemon(settings.control_socket, verb, given)
    if answer is not None:
        progress(answer)
        return answer
    with acting(settings) as leadership:
        core = build_core(settings, leadership=leadership)
        try:
            core.begin_to_push()
            operations = core.operations(InlineTurn(core.cycle), settings)
            deadline_s = core.clock.monotonic() + wait_s
            view = operations.serve(verb, given, calling_user())
            progress(view)
            while (pause_s := view["retry_after_s"]) is not None and core.clock.monotonic() + pause_s <= deadline_s:
                time.sleep(pause_s)
                core.choice.before_cycle()
                view = with_outdated(report_view(core.cycle.run(Wake())), core.engine.outdated())
                progress(view)
            return view
        finally:
            core.close()


def calling_user() -> str:
    """Who runs this command, as the journal tells it."""
    return user_name(os.geteuid(), os.environ.get("SUDO_USER", ""))


def engine_uri(settings: Settings) -> str:
    """Which host the daemon of these settings works on."""
    return engine_choice(settings).uri


def examine_machine(settings: Settings) -> tuple[Check, ...]:
    """What this machine has of what gitvirt needs."""
    keep_quiet()
    choice = engine_choice(settings)
    clock = SystemClock()
    return examine(
        settings,
        open_engine=lambda: choice.open(settings, clock, ThreadWorkers(choice.threads)),
        why_slow=choice.why_slow,
        why_not_led=choice.why_not_led,
        programs=choice.programs,
    )
