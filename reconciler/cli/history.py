"""``gitvirt history``: what became of one VM, commit by commit."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import Output, OutputFormat, read_since
from reconciler.cli.output import Column, Row, local_time, short_revision, write_objects
from reconciler.model.plain_text import one_line

_SHOWN = 3
_LONGEST = 1000


def _what(row: Row) -> str:
    """The fields that changed, else the reason."""
    fields = [str(line) for line in row["differences"]]
    shown = "; ".join(fields[:_SHOWN]) + (f"; and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else "")
    return shown or str(row["reason"])


_COLUMNS: tuple[Column, ...] = (
    ("TIME", lambda row: local_time(row["at"])),
    ("ACTION", lambda row: str(row["action"])),
    ("RESULT", lambda row: "" if row["result"] in ("applied", "asked") else str(row["result"])),
    ("CAUSE", lambda row: str(row["cause"])),
    ("BY", lambda row: str(row["author"])),
    (
        "REVISION",
        lambda row: short_revision(row.get("source", ""), row["revision"]) if row["cause"] == "commit" else "",
    ),
    ("SUBJECT", lambda row: str(row["subject"]) if row["cause"] == "commit" else ""),
    ("WHAT", _what),
)
_WIDE: tuple[Column, ...] = (
    ("OBJECT", lambda row: str(row["object"] or "")),
    ("JOURNAL", lambda row: str(row["commit"])[:12]),
)
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt history prod/web",
            "gitvirt history web -p --limit 1    the last change, and what it did to the live VM",
            "gitvirt history PersistentVolumeClaim/prod/web-root",
        )
    )(history)


def history(
    context: typer.Context,
    vm: Annotated[
        str, typer.Argument(metavar="[NAMESPACE/]VM", help="The virtual machine, or KIND/NAMESPACE/NAME of anything.")
    ],
    patch: Annotated[bool, typer.Option("--patch", "-p", help="Show what changed in the live object.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="A duration before now (2h) or an ISO time.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="At most so many changes.")] = 50,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Tell what became of a VM, and because of which commit.

    Newest first, from the journal: what was changed, by whom, for which reason. Times are local.
    """
    from reconciler.wiring_history import history as changes_of

    settings = invocation(context).settings
    rows = list(changes_of(settings, vm, since=read_since(since), limit=limit, patches=patch))
    if patch and rows and output in (OutputFormat.TABLE, OutputFormat.WIDE):
        for row in rows:
            _tell_with_patch(row)
        return
    write_objects(
        rows, output, columns=_COLUMNS, wide=_WIDE, name=lambda row: str(row["commit"]),
        empty=f"the journal tells of no change of {one_line(vm)}{f' since {since}' if since else ''}",
    )  # fmt: skip
    if not rows:
        tell_note("`gitvirt audit` tells everything it has")
        raise typer.Exit(1)


def _tell_with_patch(row: Row) -> None:
    """One change as `git log -p` shows it."""
    console = Console(soft_wrap=True, highlight=False)
    revision = short_revision(row.get("source", ""), row["revision"]) if row["cause"] == "commit" else ""
    head = f"{row['action']} {row['object']}: {row['result']} ({', '.join(filter(None, (row['cause'], revision)))})"
    console.print(Text(one_line(head, _LONGEST), style="bold yellow"))
    for heading, text in (
        ("Time", local_time(row["at"])), ("By", row["author"]), ("Commit", row["subject"] if revision else ""),
        ("Reason", row["reason"]), ("Journal", row["commit"][:12]),
    ):  # fmt: skip
        if text:
            console.print(Text(f"{heading + ':':<9}{one_line(str(text), _LONGEST)}"))
    console.print("")
    for line in str(row["patch"]).splitlines():
        console.print(Text(f"    {_harmless(line)}", style=_STYLES.get(line[:1], "")))
    console.print("")


def _harmless(line: str) -> str:
    """A line that cannot act on a terminal, its blanks kept."""
    return "".join(character if character.isprintable() else "\ufffd" for character in line)
