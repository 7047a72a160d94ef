"""``gitvirt trash``: what was deleted and can come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import Output, OutputFormat, TextFormat, read_duration
from reconciler.cli.output import Column, Row, age, time_left, write_data, write_objects
from reconciler.cli.report import any_failed, write_report
from reconciler.model.plain_text import one_line


def _expires(row: Row) -> str:
    if row["kept"]:
        return "kept"
    return "never" if row["expires_in_s"] is None else time_left(row["expires_in_s"])


_COLUMNS: tuple[Column, ...] = (
    ("ITEM", lambda row: str(row["item"])),
    ("OBJECT", lambda row: str(row["object"])),
    ("AGE", lambda row: age(row["trashed_at"])),
    ("POOL", lambda row: str(row["pool"])),
    ("SIZE", lambda row: str(row["size"])),
    ("EXPIRES", _expires),
)
_WIDE: tuple[Column, ...] = (
    ("SOURCE", lambda row: str(row["source"])),
    ("REVISION", lambda row: str(row["revision"])[:12]),
    ("KEPT", lambda row: str(row["kept"])),
)
_SHOWN = 20
_AT_ONCE = 200
"""Items named in one request, which may have 64 KiB."""


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(rich_markup_mode=None, help="What was deleted and can come back.", no_args_is_help=True)
    group.command("list")(trash_list)
    group.command("restore", epilog=examples("gitvirt trash restore $(gitvirt trash list -o name | head -1)"))(
        trash_restore
    )
    group.command(
        "empty", epilog=examples("gitvirt trash empty --older-than 30d", "gitvirt trash empty --all --yes -o json")
    )(trash_empty)
    app.add_typer(group, name="trash")


def trash_list(context: typer.Context, output: Output = OutputFormat.TABLE) -> None:
    """List the trash, newest first.

    EXPIRES counts the time that this host runs (`trash.expireAfter`); without that setting nothing expires.
    """
    view = _asked(context)
    empty = "nothing in what can be seen of it" if view["messages"] else "the trash is empty"
    write_objects(view["items"], output, columns=_COLUMNS, wide=_WIDE, name=lambda row: str(row["item"]), empty=empty)


def trash_restore(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="As `trash list` shows it.")],
    output: Annotated[TextFormat, typer.Option("--output", "-o", help="How to write what was done.")] = TextFormat.TEXT,
) -> None:
    """Put a volume back under its name.

    A claim that comes back to the repository takes its disk by itself; this is for looking at one that did not.
    """
    view = wiring_ask.ask(invocation(context).settings, "trash-restore", {"item": item})
    if not write_data(view, output):
        write_report(view)
    if code := any_failed(view):
        raise typer.Exit(code)


def trash_empty(
    context: typer.Context,
    items: Annotated[list[str] | None, typer.Argument(metavar="[ITEM...]", help="As `trash list` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole trash.")] = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="DURATION", help="What was deleted longer ago, such as 30d.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Annotated[TextFormat, typer.Option("--output", "-o", help="How to write what was done.")] = TextFormat.TEXT,
) -> None:
    """Destroy trash items for good. Nothing brings them back.

    What is about to be destroyed is shown first, and exactly that is destroyed.
    """
    if [everything, bool(items), older_than is not None].count(True) != 1:
        raise typer.BadParameter("name the items, or say --all, or --older-than")
    least_s = read_duration(older_than, "--older-than")
    rows: list[Row] = _asked(context)["items"]
    named = list(dict.fromkeys(items or [])) or [
        row["item"] for row in rows if least_s is None or _is_older(row, least_s)
    ]
    if named and not yes:
        _tell_chosen(rows, named)
        typer.confirm(f"Destroy {len(named)} trash item(s) for good?", abort=True, err=True)
    view: dict[str, list[Any]] = {"emptied": [], "failed": []}
    for start in range(0, len(named), _AT_ONCE):
        chunk = {"items": named[start : start + _AT_ONCE]}
        answer = wiring_ask.ask(invocation(context).settings, "trash-empty", chunk)
        view = {name: [*told, *answer[name]] for name, told in view.items()}
    if not write_data(view, output):
        _tell_emptied(view)
    if view["failed"]:
        raise typer.Exit(1)


def _asked(context: typer.Context) -> Mapping[str, Any]:
    """The trash, and what could not be seen of it, which is told at once."""
    view: Mapping[str, Any] = wiring_ask.ask(invocation(context).settings, "trash-list")
    for message in view["messages"]:
        tell_note(message)
    return view


def _is_older(row: Row, least_s: float) -> bool:
    """By the time of day, as a person reads it in the list."""
    at = datetime.fromisoformat(str(row["trashed_at"]).replace("Z", "+00:00"))
    return (datetime.now(UTC) - at).total_seconds() > least_s


def _tell_chosen(rows: Sequence[Row], named: Sequence[str]) -> None:
    known = {row["item"]: row for row in rows}
    for item in named[:_SHOWN]:
        row = known.get(item)
        told = f", {row['size'] or 'no disk'}, deleted {age(row['trashed_at'])} ago" if row else ""
        typer.echo(one_line(f"  {item}{told}"), err=True)
    if len(named) > _SHOWN:
        typer.echo(f"  and {len(named) - _SHOWN} more", err=True)


def _tell_emptied(view: Mapping[str, Any]) -> None:
    for item in view["emptied"]:
        typer.echo(f"destroyed {one_line(item)}")
    for fault in view["failed"]:
        tell_note(f"{fault['item']}: {fault['reason']}")
    if not view["emptied"] and not view["failed"]:
        tell_note("nothing to destroy")
