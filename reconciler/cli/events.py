"""``gitvirt events``: what happens, and what happened lately."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from reconciler.cli.invocation import examples, invocation
from reconciler.cli.options import Output, OutputFormat, read_since
from reconciler.cli.output import Column, local_time, write_objects
from reconciler.model.plain_text import one_line
from reconciler.wiring_events import EventStream

_COLUMNS: tuple[Column, ...] = (
    ("TIME", lambda row: local_time(row["at"])),
    ("TYPE", lambda row: str(row["type"])),
    ("REASON", lambda row: str(row["reason"])),
    ("OBJECT", lambda row: str(row["object"] or "")),
    ("MESSAGE", lambda row: str(row["message"])),
)
_WIDE: tuple[Column, ...] = (("SOURCE", lambda row: str(row.get("source", ""))),)
_WIDTHS = (19, 7, 16, 40)
_LONGEST = 1000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt events",
            "gitvirt events --vm prod/web --since 1d",
            "gitvirt events -w -o json    one object a line, until Ctrl-C",
        )
    )(events)


def events(
    context: typer.Context,
    vm: Annotated[str, typer.Option("--vm", metavar="[NAMESPACE/]VM", help="Only this VM.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="A duration before now (2h) or an ISO time.")
    ] = "1h",
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="At most so many of the past.")] = 100,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with what comes, until Ctrl-C.")] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Tell what happens on this host, and what did lately.

    Changes, drift, problems, holds, guests that start and stop; oldest first. What the daemon has not seen itself comes from the journal. Times are local.
    """
    stream = EventStream(invocation(context).settings, vm)
    past = stream.past(read_since(since), limit)
    if not watch:
        write_objects(
            past, output, columns=_COLUMNS, wide=_WIDE, name=lambda row: str(row["object"] or ""),
            empty=f"nothing happened{f' to {vm}' if vm else ''} since {since}",
        )  # fmt: skip
        return
    as_json = output is OutputFormat.JSON
    try:
        _write(past, as_json)
        _write(stream.coming(), as_json)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _write(events: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    for event in events:
        if as_json:
            typer.echo(json.dumps(event))
            continue
        cells = [one_line(cell(event), _LONGEST) for _, cell in _COLUMNS]
        padded = [f"{text:<{width}}" for text, width in zip(cells, _WIDTHS, strict=False)]
        typer.echo("   ".join((*padded, cells[-1])).rstrip())
