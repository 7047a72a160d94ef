"""What a cycle did, as several commands show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from reconciler.cli.invocation import tell_note
from reconciler.cli.output import write_table
from reconciler.model.plain_text import one_line


def write_report(view: Mapping[str, Any]) -> None:
    """What a cycle did, and what is left, for people."""
    if view["applied"]:
        rows = [
            [c["object"], c["action"], c["result"], c["impact"], c["cause"], c["reason"] or c["why"]]
            for c in view["applied"]
        ]
        write_table(["OBJECT", "ACTION", "RESULT", "IMPACT", "CAUSE", "REASON"], rows)
    if view["source"]["state"] != "ready" and view["source"]["message"]:
        tell_note(f"source {view['source']['state']}: {view['source']['message']}")
    for message in view["messages"]:
        tell_note(message)
    plan_left = view["plan"]
    for hold in plan_left["held"] if plan_left else ():
        how = f"; `gitvirt approve {hold['hold_id']}` releases it" if hold["approvable"] else ""
        typer.echo(one_line(f"held {hold['hold_id']}: {hold['reason']}{how}", 1000))
    for entry in plan_left["blocked"] if plan_left else ():
        typer.echo(one_line(f"{'waiting' if entry['waiting'] else 'blocked'} {entry['object']}: {entry['by']}", 1000))
    left = plan_left["changes"] if plan_left else 0
    commit = (view["revision"] or {}).get("commit", "")[:12]
    typer.echo(f"{commit or 'no revision'}: {len(view['applied'])} done, {left} still to do.")
