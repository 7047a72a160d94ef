"""The part of the composition root for commands that usually ask a running daemon: the rest of gitvirt, most of a
second of imports, is only loaded where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler.daemon.arguments import Arguments
from reconciler.daemon.console_log import ConsoleLog
from reconciler.daemon.control_client import ask as ask_daemon
from reconciler.model.errors import RequirementError
from reconciler.model.record import AuditEntry
from reconciler.settings import Settings


def ask(settings: Settings, verb: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """Have a verb carried out: by the daemon where one runs, else by this process, which then takes the lock to act.

    Raises:
        GitvirtError: whatever stands in the way.
    """
    answer = ask_daemon(settings.control_socket, verb, arguments)
    if answer is not None:
        return answer
    from reconciler.wiring import ask_here

    return ask_here(settings, verb, arguments or {})


def live_plan(settings: Settings, *, colour: bool, markdown: bool) -> tuple[Mapping[str, Any], str]:
    """What would be done on this host now: the daemon's answer, or worked out here. As plain data and as text.

    Raises:
        GitvirtError: whatever stands in the way.
    """
    answer = ask(settings, "plan", {"style": "markdown" if markdown else "colour" if colour else "text"})
    text = answer.pop("text")
    return answer, text


def console_log(settings: Settings, *, namespace: str, name: str) -> ConsoleLog:
    """What a VM wrote to its serial console; works with and without a daemon.

    Raises:
        DaemonError: this is no name of a VM.
        RequirementError: the engine keeps no such log.
    """
    from reconciler.wiring_engines import engine_choice

    key = Arguments("logs", {"namespace": namespace, "name": name}).vm(settings.policy.default_namespace)
    path = engine_choice(settings).console_log(key)
    if path is None:
        raise RequirementError(f"the engine {settings.engine.name} keeps no log of consoles.")
    return ConsoleLog(path)


def audit(settings: Settings, *, vm: str | None, since: datetime | None, limit: int | None) -> Sequence[AuditEntry]:
    """What happened, newest first.

    Raises:
        JournalError: the journal cannot be read.
    """
    from reconciler.wiring_journal import open_journal

    return tuple(open_journal(settings).entries(vm=vm, since=since, limit=limit))
