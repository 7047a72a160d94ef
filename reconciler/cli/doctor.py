"""``gitvirt doctor``: what this machine has and what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from reconciler.cli.invocation import examples, invocation
from reconciler.cli.options import TextFormat
from reconciler.cli.output import write_data
from reconciler.model.plain_text import one_line

if TYPE_CHECKING:
    from reconciler.daemon.doctor import Check

_SIGN = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("gitvirt doctor", "sudo gitvirt doctor -o json"))(doctor)


def doctor(
    context: typer.Context,
    output: Annotated[TextFormat, typer.Option("--output", "-o", help="How to write the findings.")] = TextFormat.TEXT,
) -> None:
    """Check what gitvirt needs on this machine, and say what to do.

    Exit code 1 when something that is needed is missing.
    """
    from reconciler import wiring

    checks = wiring.examine_machine(invocation(context).settings)
    views = [{"check": c.name, "state": str(c.state), "found": c.found, "remedy": c.remedy} for c in checks]
    if not write_data({"checks": views}, output):
        _tell(checks)
    if any(str(check.state) == "failed" for check in checks):
        raise typer.Exit(1)


def _tell(checks: tuple[Check, ...]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    width = max(len(check.name) for check in checks) + 2
    for check in checks:
        sign, colour = _SIGN[str(check.state)]
        console.print(Text(sign, style=colour) + Text(f" {one_line(check.name):<{width}}{one_line(check.found, 300)}"))
        if check.remedy:
            console.print(Text(f"  {'':<{width}}→ {one_line(check.remedy, 600)}"))
    missing = sum(1 for check in checks if str(check.state) == "failed")
    console.print(Text(f"{missing} of {len(checks)} checks failed." if missing else "All that is needed is there."))
