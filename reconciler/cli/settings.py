"""``gitvirt settings``: the effective settings."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.invocation import examples, invocation
from reconciler.cli.options import OutputFormat
from reconciler.cli.output import write_json, write_yaml


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("gitvirt settings --set mode=report"))(settings)


def settings(
    context: typer.Context,
    output: Annotated[OutputFormat, typer.Option("--output", "-o", help="yaml or json.")] = OutputFormat.YAML,
) -> None:
    """Print the effective settings, without credentials.

    Defaults and overrides are included; the output is a settings file.
    """
    effective = invocation(context).settings
    if output is OutputFormat.JSON:
        write_json(effective.to_dict())
        return
    typer.echo(f"# from {effective.origin}")
    write_yaml(effective.to_dict())
