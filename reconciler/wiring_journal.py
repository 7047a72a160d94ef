"""The part of the composition root for the journal, and for its copy elsewhere where the settings name one."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.daemon.clock import SystemClock
from reconciler.daemon.journal_push import PushedJournal
from reconciler.journal.git_journal import GitJournal
from reconciler.settings import Settings
from reconciler.source.limits import DEFAULT_LIMITS
from reconciler.source.push_remote import PushRemote


def open_journal(
    settings: Settings, *, background: Callable[[str, Callable[[], None]], None] | None = None
) -> GitJournal:
    """The journal of the state directory. ``background`` packs it beside the cycle where there are threads for that."""
    return GitJournal(state_directory=settings.state_directory, clock=SystemClock(), background=background)


def pushed(journal: GitJournal, settings: Settings) -> PushedJournal | None:
    """The same with a copy elsewhere; None where the settings name none. Nothing is asked before it begins.

    Raises:
        SourceError: the URL or the branch is of no use.
    """
    push = settings.journal.push
    if push is None:
        return None
    remote = PushRemote(push.spec, push.ref, DEFAULT_LIMITS)
    return PushedJournal(journal, remote, SystemClock(), place=settings.state_directory / "journal-elsewhere.git")
