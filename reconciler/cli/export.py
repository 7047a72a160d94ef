"""``gitvirt export``: domains that are there already, as manifests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from reconciler import wiring_export
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.model.errors import RequirementError
from reconciler.model.plain_text import one_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt export web01 > vms/web01.yaml",
            "gitvirt export --all -n prod -o vms/",
        )
    )(export)


def export(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DOMAIN...]", help="As `virsh list --all` names them; on a cluster VMs, as NAME or NAMESPACE/NAME."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every one that nobody owns.")] = False,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the manifests.")] = "",
    directory: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write files there instead of to standard output."),
    ] = None,
) -> None:
    """Write existing domains as manifests.

    Looks only. Each manifest is read back and compared with its domain; what a manifest cannot say is told, and stands
    in its comments. It fails where something of a domain could not be exported. Passwords, keys and cloud-init data are
    not exported.
    """
    if everything == bool(names):
        raise typer.BadParameter("name domains, or say --all; not both")
    found = wiring_export.export_domains(invocation(context).settings, names or (), namespace)
    if directory is None:
        typer.echo(found.text, nl=False)
    else:
        _write(directory, found.files)
    for name, is_whole in found.whole.items():
        tell_note(f"{one_line(name)}: exported {'as it is' if is_whole else 'not as it is; its comments say why'}")
    if not all(found.whole.values()):
        raise typer.Exit(1)


def _write(directory: Path, files: Mapping[str, str]) -> None:
    """Put the files there; one that says something else already is never overwritten."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        other = [
            name
            for name, text in files.items()
            if (directory / name).exists() and (directory / name).read_text() != text
        ]
        if other:
            raise RequirementError(
                f"{', '.join(other)} in {directory} would be overwritten; move them away, or name another directory."
            )
        for name, text in files.items():
            (directory / name).write_text(text)
            tell_note(f"wrote {directory / name}")
    except OSError as error:
        raise RequirementError(f"{error.filename or directory}: {error.strerror}.") from error
