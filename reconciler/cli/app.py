"""The ``gitvirt`` command: options that every command shares, and the groups of commands."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from typer.main import get_command

from reconciler.cli.invocation import FaultTellingGroup, Invocation, examples, tell_fault
from reconciler.cli.standard_streams import guarded_streams
from reconciler.model.errors import OutputError
from reconciler.model.plain_text import plain_lines

_SHARED_WITH_VALUE = ("--settings", "--set")
_SHARED_FLAGS = ("--debug",)
_VERSION = "--version"
_CRASHED, _INTERRUPTED = 70, 130
_MAX_LINE = 4000
_ABOUT = """Keeps virtual machines the way a Git repository says they are.

`gitvirt run` follows a repository of KubeVirt manifests and makes them true, on this host or on a cluster. Every other command checks
manifests, asks what is true, or does one thing by hand. --settings, --set and --debug may stand behind the command as well.
"""

MODULE_OF = {
    "run": "run",
    "validate": "validate",
    "plan": "plan",
    "diff": "plan",
    "apply": "plan",
    "get": "get",
    "describe": "get",
    "status": "get",
    "audit": "audit",
    "events": "events",
    "history": "history",
    "logs": "logs",
    "console": "console",
    **dict.fromkeys(
        ("start", "stop", "pause", "restart", "suspend", "resume", "release", "approve", "reconcile"), "operate"
    ),
    "trash": "trash",
    "xml": "xml",
    "export": "export",
    "adopt": "adopt",
    "doctor": "doctor",
    "settings": "settings",
    "schema": "schema",
    "completion": "completion",
}
"""Each command and the module of ``reconciler.cli`` that registers it: a call loads only what its command needs."""


def build_app(command: str = "") -> typer.Typer:
    """The command line with the group of ``command``, or with all groups where that is none."""
    app = typer.Typer(
        name="gitvirt",
        cls=FaultTellingGroup,
        help=_ABOUT,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog=examples(
            "gitvirt validate vms/                     check manifests before they are committed",
            "gitvirt plan --base .@main --head .       what the changes of this directory would do",
            "gitvirt status                            everything at a glance",
            "gitvirt run --settings /etc/gitvirt/settings.yaml",
        ),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(shared)
    every = () if command == _VERSION else tuple(dict.fromkeys(MODULE_OF.values()))
    for module in (MODULE_OF[command],) if command in MODULE_OF else every:
        importlib.import_module(f"reconciler.cli.{module}").register(app)
    return app


def _tell_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"gitvirt {metadata.version('gitvirt')}")
        except metadata.PackageNotFoundError:
            typer.echo("gitvirt (not installed)")
        raise typer.Exit


def shared(
    context: typer.Context,
    settings_path: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="PATH",
            readable=False,  # whoever reads it tells why it cannot be, as of every fault of the settings
            help="Settings file; else GITVIRT_SETTINGS, a user's own, or /etc/gitvirt/settings.yaml.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override one setting; repeatable.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a fault.")] = False,
    version: Annotated[
        bool, typer.Option(_VERSION, callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take note of what every command shares."""
    del version
    context.obj = Invocation(settings_path=settings_path, overrides=tuple(overrides or ()), debug=debug)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    sys.excepthook = _end_crashed
    shared_ones, rest = split_shared(sys.argv[1:] if arguments is None else arguments)
    # Called itself, the Typer object would put a hook of its own in place of ours.
    command = get_command(build_app(rest[0] if rest else ""))
    with guarded_streams(), interruptible():
        try:
            command(args=[*shared_ones, *rest], prog_name="gitvirt")
        except OutputError as fault:
            # Help and version are told before there is a command.
            tell_fault(fault)
            sys.exit(fault.exit_code)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends what a command does as an exception, so that it puts its things away; before and after that there is nothing
    to put away, and it ends the process as it is.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)


def split_shared(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of the root command, which click wants in front, wherever they stand; and the rest."""
    shared_ones: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            rest += [argument, *left]
            break
        if argument in _SHARED_FLAGS or argument.startswith(tuple(f"{name}=" for name in _SHARED_WITH_VALUE)):
            shared_ones.append(argument)
        elif argument in _SHARED_WITH_VALUE and left:
            shared_ones += [argument, left.pop(0)]
        else:
            rest.append(argument)
    return shared_ones, rest


def _end_crashed(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """A broken invariant has an exit code of its own, so that `diff` never says "differs" (1) when it fell over."""
    if issubclass(kind, KeyboardInterrupt):
        os._exit(_INTERRUPTED)
    print(plain_lines("".join(traceback.format_exception(kind, fault, trace)), _MAX_LINE), file=sys.stderr)
    with suppress(OSError, OutputError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_CRASHED)
