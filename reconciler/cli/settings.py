"""``gitvirt settings``: the effective settings."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.invocation import examples, invocation
from reconciler.cli.options import DataFormat
from reconciler.cli.output import write_json, write_yaml


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("gitvirt settings --set mode=report"))(settings)


def settings(
    context: typer.Context,
    output: Annotated[DataFormat, typer.Option("--output", "-o", help="How to write them.")] = DataFormat.YAML,
) -> None:
    """Print the effective settings, without credentials.

    Defaults and overrides are included; the output is a settings file.
    """
    effective = invocation(context).settings
    if output is DataFormat.JSON:
        write_json(effective.to_dict())
        return
    typer.echo(f"# from {effective.origin}")
    write_yaml(effective.to_dict())
