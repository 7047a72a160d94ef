"""``gitvirt xml``: what a VM would be on this engine."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.validate import Paths, write_problems
from reconciler.model.keys import ObjectKey
from reconciler.model.plain_text import one_line
from reconciler.model.problem import Severity


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("gitvirt xml vms/ --vm prod/web", "gitvirt xml .@v1.2 > before.xml"))(xml)


def xml(
    context: typer.Context,
    paths: Paths,
    vm: Annotated[
        str, typer.Option("--vm", metavar="[NAMESPACE/]VM", help="Only this VM: NAME or NAMESPACE/NAME.")
    ] = "",
) -> None:
    """Print the domain XML that VMs would get; needs no libvirt.

    Secrets are left out. Exit code 1 when a VM cannot be resolved or the manifests have errors; with --vm, only those of that VM count.
    """
    from reconciler import wiring_files

    found = wiring_files.describe_files(invocation(context).settings, paths)
    chosen = {key: text for key, text in found.texts.items() if _is_meant(key, vm)}
    faults = {key: reason for key, reason in found.faults.items() if _is_meant(key, vm)}
    problems = [one for one in found.problems if not vm or one.object is None or _is_meant(one.object, vm)]
    write_problems(problems, to_stderr=True)
    for key, text in sorted(chosen.items()):
        if len(chosen) > 1:
            typer.echo(f"<!-- {one_line(str(key)).replace('--', '- -')} -->")
        typer.echo(text.rstrip("\n"))
    for key, reason in faults.items():
        tell_note(f"{key} cannot be resolved: {reason}")
    missing = bool(vm) and not chosen and not faults
    if missing:
        names = ", ".join(f"{key.namespace}/{key.name}" for key in sorted({*found.texts, *found.faults})) or "none"
        tell_note(f"there is no VM {vm} in these manifests; they hold: {names}")
    if faults or missing or any(one.severity is Severity.ERROR for one in problems):
        raise typer.Exit(1)


def _is_meant(key: ObjectKey, vm: str) -> bool:
    """Whether an object is the VM that was asked for; every one is where none was."""
    return not vm or (key.kind == "VirtualMachine" and vm in (key.name, f"{key.namespace}/{key.name}"))
