"""``gitvirt adopt``: an existing domain becomes gitvirt's, as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import Namespace, TextFormat, read_kind
from reconciler.cli.output import write_data
from reconciler.cli.report import any_failed, write_report
from reconciler.model.plain_text import one_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt adopt web01",
            "gitvirt adopt web01 --accept-differences 3f9a1c04be77",
            "gitvirt adopt --kind pvc db-data -n shop           on a cluster: a disk that was uploaded",
        )
    )(adopt)


def adopt(
    context: typer.Context,
    domain: Annotated[
        str,
        typer.Argument(
            metavar="DOMAIN",
            help="As `virsh list --all` names it; on a cluster the VM's name, or that of what --kind says.",
        ),
    ],
    namespace: Namespace = "",
    kind_name: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="On a cluster: vm, pvc, dv or net, by itself.")
    ] = "vm",
    accept: Annotated[
        str,
        typer.Option(
            "--accept-differences",
            metavar="ID",
            help="Adopt it although it differs; the ID stands below the differences.",
        ),
    ] = "",
    output: Annotated[TextFormat, typer.Option("--output", "-o", help="How to write the result.")] = TextFormat.TEXT,
) -> None:
    """Take an existing VM over, as it is.

    Its manifest has to be in the repository (`gitvirt export`). The guest is not restarted, its disks and NICs stay where
    they are, and what the manifest does not say stays as it was found. A VM that differs from its manifest is adopted
    once the differences were shown and accepted; they then come about like any other change: live, or at a restart that
    is yours to make.

    On a cluster a claim, a DataVolume or a network can be taken over by itself (--kind), such as a disk that was uploaded. Not a byte of it
    is touched; one whose class or modes are others than its manifest says is refused.
    """
    arguments = {"kind": str(read_kind(kind_name)), "domain": domain, "namespace": namespace, "accept": accept}
    given = {name: value for name, value in arguments.items() if value}
    view = wiring_ask.ask(invocation(context).settings, "adopt", given)
    if not write_data(view, output):
        _tell(view)
    if not view["adopted"] or any_failed(view["report"]):
        raise typer.Exit(1)


def _tell(view: Mapping[str, Any]) -> None:
    for text in view["obstacles"]:
        typer.echo(one_line(f"in the way: {text}", 500))
    for entry in view["differences"]:
        typer.echo(
            one_line(
                f"differs: {entry['path']}: {entry['from']} → {entry['to']} [{entry['impact']}] {entry['reason']}", 500
            )
        )
    for text in view["kept"]:
        typer.echo(one_line(f"stays as it is: {text}", 300))
    if view["adopted"]:
        write_report(view["report"], about=view["object"])
        typer.echo(one_line(f"{view['domain']} is now gitvirt's, as {view['object']}."))
    elif view["obstacles"]:
        tell_note(f"{view['domain']} is not adopted and was not touched")
    else:
        if view["accept_mismatch"]:
            tell_note("what differs is not what was accepted; look at it again")
        tell_note(
            f"{view['domain']} is not adopted and was not touched: change its manifest, or accept that it becomes what "
            f"the manifest says with --accept-differences {view['accept']}"
        )
