"""``gitvirt schema``: the JSON Schemas that editors and other tools use."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.invocation import examples

Name = Annotated[
    str, typer.Argument(metavar="[NAME]", help="all (every kind), settings, catalog, or a kind such as virtualmachine.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt schema > .gitvirt-schema.json     a copy for the repository and its editors",
            "gitvirt schema settings --path            where the schema of the settings is on this machine",
        )
    )(schema)


def schema(
    name: Name = "all", path: Annotated[bool, typer.Option("--path", help="Print the file's path instead.")] = False
) -> None:
    """Print a JSON Schema; one of them checks every kind of manifest."""
    directory = resources.files("schemas")
    file = directory.joinpath(f"{Path(name).name.lower().removesuffix('.json')}.json")
    if not file.is_file():
        known = sorted(
            entry.name.removesuffix(".json") for entry in directory.iterdir() if entry.name.endswith(".json")
        )
        raise typer.BadParameter(f"there is no schema of that name; there is {', '.join(known)}", param_hint="NAME")
    typer.echo(str(file) if path else file.read_text(encoding="utf-8"), nl=path)
