"""``gitvirt audit``: who did what, when, because of which commit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import examples, invocation
from reconciler.cli.options import Output, OutputFormat, read_since
from reconciler.cli.output import Column, local_time, short_revision, write_objects
from reconciler.model.record import AuditEntry

_COLUMNS: tuple[Column, ...] = (
    ("TIME", lambda row: local_time(row["at"])),
    ("CAUSE", lambda row: str(row["cause"])),
    ("ACTION", lambda row: str(row["action"])),
    ("OBJECT", lambda row: str(row["object"] or "")),
    ("RESULT", lambda row: str(row["result"])),
    ("BY", lambda row: str(row["author"])),
    ("REVISION", lambda row: short_revision(row.get("source", ""), row["revision"])),
    ("REASON", lambda row: str(row["reason"])),
)
_WIDE: tuple[Column, ...] = (
    ("IMPACT", lambda row: str(row["impact"] or "")),
    ("FIELDS", lambda row: ", ".join(row["differences"])),
    ("JOURNAL", lambda row: str(row["commit"])[:12]),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples("gitvirt audit --vm prod/web --since 7d", "gitvirt audit --since 2026-01-31T12:00 -o json")
    )(audit)


def audit(
    context: typer.Context,
    vm: Annotated[str, typer.Option("--vm", metavar="[NAMESPACE/]VM", help="Only this VM.")] = "",
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="A duration before now (2h) or an ISO time.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="At most so many entries.")] = 100,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Tell who did what, when, because of which commit.

    Newest first, from the journal in the state directory; `git log` in it tells the same, and more. Times are local.
    """
    entries = wiring_ask.audit(invocation(context).settings, vm=vm or None, since=read_since(since), limit=limit)
    write_objects(
        [_view(entry) for entry in entries],
        output,
        columns=_COLUMNS,
        wide=_WIDE,
        name=lambda row: str(row["commit"]),
        empty=f"the journal has nothing to tell{f' of {vm}' if vm else ''}{f' since {since}' if since else ''}",
    )


def _view(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cause": str(entry.cause),
        "action": str(entry.action),
        "object": str(entry.key) if entry.key else None,
        "impact": str(entry.impact) if entry.impact else None,
        "result": entry.result,
        "revision": entry.revision,
        **({"source": entry.source} if entry.source else {}),
        "author": entry.author,
        "reason": entry.reason,
        "differences": list(entry.differences),
        "commit": entry.commit,
    }
