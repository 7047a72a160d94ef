"""``gitvirt xml``: what a VM would be on this engine."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler import wiring_files
from reconciler.cli.invocation import invocation, tell_note
from reconciler.cli.validate import Paths, write_problems
from reconciler.model.plain_text import one_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(xml)


def xml(
    context: typer.Context,
    paths: Paths,
    vm: Annotated[str, typer.Option("--vm", help="Only this VM: NAME or NAMESPACE/NAME.")] = "",
) -> None:
    """Print the domain XML that the VMs of manifests would get, without secrets; needs no libvirt.

    Exit code 1 when a VM cannot be resolved or the manifests have errors.
    """
    found = wiring_files.describe_files(invocation(context).settings, paths)
    write_problems(found.problems, to_stderr=True)
    chosen = {key: text for key, text in found.texts.items() if vm in ("", key.name, f"{key.namespace}/{key.name}")}
    for key, text in sorted(chosen.items()):
        if len(chosen) > 1:
            typer.echo(f"<!-- {one_line(str(key)).replace('--', '- -')} -->")
        typer.echo(text.rstrip("\n"))
    for key, reason in found.faults.items():
        tell_note(f"{key} cannot be resolved: {reason}")
    if vm and not chosen:
        tell_note(f"there is no VM {vm} in these manifests")
    if found.errors or found.faults or (vm and not chosen):
        raise typer.Exit(1)
