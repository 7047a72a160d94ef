"""``gitvirt console``: the serial console of a VM on this terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from typing import Annotated

import typer

from reconciler import wiring_console
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import Namespace, VmName, vm_arguments
from reconciler.cli.terminal import hand_through, raw_terminal, wait_for_leave
from reconciler.model.errors import EngineError, RequirementError
from reconciler.model.plain_text import one_line
from reconciler.ports import Console

_LOOK_AGAIN_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("gitvirt console web", "gitvirt console prod/web --read-only"))(console)


def console(
    context: typer.Context,
    vm: VmName,
    namespace: Namespace = "",
    read_only: Annotated[bool, typer.Option("--read-only", help="Watch only: no key reaches the guest.")] = False,
    force: Annotated[bool, typer.Option("--force", help="End the session of whoever has the console now.")] = False,
) -> None:
    """Open a VM's serial console; Ctrl-] leaves it, and the VM goes on.

    When the guest stops, it says so and waits until the guest runs again. What the guest writes goes on to its log
    meanwhile (`gitvirt logs`).
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RequirementError("console needs a terminal; `gitvirt logs --vm VM -f` shows what the guest writes.")
    named = vm_arguments(vm, namespace)
    settings = invocation(context).settings
    shown = one_line(vm)
    with wiring_console.consoles(settings, named["namespace"], named["name"]) as open_console:
        first = open_console(force)
        tell_note(f"{shown}: {'connected' if first else 'the guest is off; waiting until it runs'}. Ctrl-] leaves.")
        with raw_terminal():
            _sessions(first, open_console, shown, read_only=read_only)
    tell_note(f"left the console of {shown}")


def _sessions(
    first: Console | None, open_console: Callable[[bool], Console | None], shown: str, *, read_only: bool
) -> None:
    """One session after the other until the person leaves. Between two of them it waits, also while somebody else has the
    console or the engine does not answer, and says why.
    """
    session, told = first, ""
    while True:
        if session is not None:
            with closing(session):
                if hand_through(session, read_only=read_only):
                    return
            _tell_raw(f"{shown}: the console ended, as the guest stopped or another session took it over; waiting")
        if wait_for_leave(_LOOK_AGAIN_S):
            return
        try:
            session = open_console(False)
        except EngineError as error:
            session = None
            if str(error) != told:
                told = str(error)
                _tell_raw(f"{shown}: {told}; waiting")
        if session is not None:
            told = ""
            _tell_raw(f"{shown}: connected again")


def _tell_raw(text: str) -> None:
    """A note on a terminal in raw mode, where a line break alone does not go to the line's begin."""
    sys.stderr.write(f"\r\ngitvirt: {one_line(text, 300)}\r\n")
    sys.stderr.flush()
