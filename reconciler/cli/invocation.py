"""What every command shares: the settings it was called with, how help reads, and how faults end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from reconciler.model.errors import GitvirtError
from reconciler.model.plain_text import one_line, plain_lines
from reconciler.settings import Settings, load_settings

_MAX_MESSAGE = 4000
_SHORT_HELP = 66


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One call of ``gitvirt``."""

    settings_path: Path | None = None
    overrides: Sequence[str] = ()
    debug: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The effective settings, read when a command first needs them.

        Raises:
            SettingsError: see `load_settings`.
        """
        return load_settings(self.settings_path, self.overrides)


def invocation(context: typer.Context) -> Invocation:
    """The call that a command belongs to."""
    found = context.find_object(Invocation)
    return found or Invocation()


SECTIONS: Mapping[str, Sequence[str]] = {
    "On files alone": ("validate", "plan", "diff", "xml", "settings", "schema", "completion"),
    "What is true on this host": (
        "status",
        "get",
        "describe",
        "events",
        "logs",
        "history",
        "audit",
        "export",
        "doctor",
    ),
    "Make it so": ("run", "apply", "reconcile", "approve"),
    "By hand": ("console", "start", "stop", "pause", "restart", "suspend", "resume", "adopt", "release", "trash"),
}
"""The commands as `gitvirt --help` groups them."""


def examples(*lines: str) -> str:
    """The examples below a command's help, each on a line of its own."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def own_version() -> str:
    """The version of this gitvirt; of a checkout that is not installed, 0."""
    try:
        return metadata.version("gitvirt")
    except metadata.PackageNotFoundError:
        return "0"


class FaultTellingGroup(TyperGroup):
    """Ends a `GitvirtError` as one clear message and its exit code; with ``--debug`` the traceback comes first."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands in their sections, each with the first sentence of its help."""
        del ctx
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        for heading, names in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(n, shown[n].get_short_help_str(_SHORT_HELP)) for n in names if n in shown])

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except GitvirtError as fault:
            if invocation(ctx).debug:
                typer.echo(plain_lines("".join(traceback.format_exception(fault)), _MAX_MESSAGE), err=True)
            tell_fault(fault)
            raise typer.Exit(fault.exit_code) from fault


def tell_fault(fault: GitvirtError) -> None:
    """The message of a fault on standard error, safe for a terminal, its own line breaks kept."""
    lines = [one_line(line, _MAX_MESSAGE) if line.strip() else "" for line in str(fault).splitlines()]
    indented = [f"  {line}" if number else line for number, line in enumerate(lines)]
    typer.echo("gitvirt: " + "\n".join(indented), err=True)


def tell_note(text: str) -> None:
    """Something worth knowing that is not the result, on standard error."""
    typer.echo(f"gitvirt: {one_line(text, _MAX_MESSAGE)}", err=True)
