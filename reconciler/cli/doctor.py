"""``gitvirt doctor``: what this machine has and what it lacks."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from reconciler import wiring
from reconciler.cli.invocation import invocation
from reconciler.cli.options import TextFormat
from reconciler.cli.output import write_json, write_yaml
from reconciler.daemon.doctor import Check, State
from reconciler.model.plain_text import one_line

_SIGN = {State.OK: ("✓", "green"), State.WARNING: ("!", "yellow"), State.FAILED: ("✗", "red")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    context: typer.Context,
    output: Annotated[TextFormat, typer.Option("--output", "-o", help="How to write the findings.")] = TextFormat.TEXT,
) -> None:
    """Look at everything gitvirt needs on this machine, and say what to do about what is missing.

    Exit code 1 when something that is needed is missing.
    """
    checks = wiring.examine_machine(invocation(context).settings)
    views = [{"check": c.name, "state": str(c.state), "found": c.found, "remedy": c.remedy} for c in checks]
    if output is TextFormat.JSON:
        write_json({"checks": views})
    elif output is TextFormat.YAML:
        write_yaml({"checks": views})
    else:
        _tell(checks)
    if any(check.state is State.FAILED for check in checks):
        raise typer.Exit(1)


def _tell(checks: tuple[Check, ...]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    width = max(len(check.name) for check in checks) + 2
    for check in checks:
        sign, colour = _SIGN[check.state]
        console.print(Text(sign, style=colour) + Text(f" {one_line(check.name):<{width}}{one_line(check.found, 300)}"))
        if check.remedy:
            console.print(Text(f"  {'':<{width}}→ {one_line(check.remedy, 600)}"))
    missing = sum(1 for check in checks if check.state is State.FAILED)
    console.print(Text(f"{missing} of {len(checks)} checks failed." if missing else "All that is needed is there."))
