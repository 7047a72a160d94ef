"""``gitvirt trash``: what was deleted and can come back."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import Output, OutputFormat
from reconciler.cli.output import Column, age, write_objects
from reconciler.cli.report import write_report
from reconciler.model.plain_text import one_line

_COLUMNS: tuple[Column, ...] = (
    ("ITEM", lambda row: str(row["item"])),
    ("OBJECT", lambda row: str(row["object"])),
    ("AGE", lambda row: age(row["trashed_at"])),
    ("POOL", lambda row: str(row["pool"])),
    ("SIZE", lambda row: str(row["size"])),
)
_WIDE: tuple[Column, ...] = (
    ("SOURCE", lambda row: str(row["source"])),
    ("REVISION", lambda row: str(row["revision"])[:12]),
)


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(rich_markup_mode=None, help="What was deleted and can come back.", no_args_is_help=True)
    group.command("list")(trash_list)
    group.command("restore", epilog=examples("gitvirt trash restore $(gitvirt trash list -o name | head -1)"))(
        trash_restore
    )
    group.command("empty", epilog=examples("gitvirt trash empty --all --yes"))(trash_empty)
    app.add_typer(group, name="trash")


def trash_list(context: typer.Context, output: Output = OutputFormat.TABLE) -> None:
    """List the trash, newest first."""
    items = wiring_ask.ask(invocation(context).settings, "trash-list")["items"]
    write_objects(
        items, output, columns=_COLUMNS, wide=_WIDE, name=lambda row: str(row["item"]), empty="the trash is empty"
    )


def trash_restore(
    context: typer.Context, item: Annotated[str, typer.Argument(metavar="ITEM", help="As `trash list` shows it.")]
) -> None:
    """Put a volume back under its name.

    A claim that comes back to the repository takes its disk by itself; this is for looking at one that did not.
    """
    write_report(wiring_ask.ask(invocation(context).settings, "trash-restore", {"item": item}))


def trash_empty(
    context: typer.Context,
    items: Annotated[list[str] | None, typer.Argument(metavar="[ITEM...]", help="As `trash list` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole trash.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Destroy trash items for good. Nothing brings them back."""
    if everything == bool(items):
        raise typer.BadParameter("name the items, or say --all")
    what = "the whole trash" if everything else f"{len(items or [])} trash item(s)"
    if not yes:
        typer.confirm(f"Destroy {what} for good?", abort=True)
    arguments = {"all": True} if everything else {"items": items}
    view = wiring_ask.ask(invocation(context).settings, "trash-empty", arguments)
    for item in view["emptied"]:
        typer.echo(f"destroyed {one_line(item)}")
    for fault in view["failed"]:
        tell_note(f"{fault['item']}: {fault['reason']}")
    if view["failed"]:
        raise typer.Exit(1)
