"""What a cycle did, as several commands show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer

from reconciler.cli.invocation import tell_note
from reconciler.cli.output import short_revision, write_table
from reconciler.model.errors import EngineError, SourceError
from reconciler.model.live import Outdated
from reconciler.model.plain_text import one_line

_DONE, _UNDER_WAY = ("applied", "unchanged"), ("progressing",)
_FAILED = ("failed", "refused", "unknown")


def exit_code_of(view: Mapping[str, Any]) -> int:
    """0 when a cycle did what was asked; 1 when a change failed or a manifest has an error; `EngineError`'s code when it stood on an
    older look at the host or cluster, `SourceError`'s on an older revision, because what is now could not be read.
    """
    if view["errors"] or any_failed(view):
        return 1
    if view["outdated"]:
        return EngineError.exit_code
    return 0 if all(source["state"] == "ready" for source in view["sources"]) else SourceError.exit_code


def any_failed(view: Mapping[str, Any]) -> bool:
    """Whether a change did not end well."""
    return any(change["result"] in _FAILED for change in view["applied"])


def write_report(view: Mapping[str, Any], *, about: str | None = None) -> None:
    """What a cycle did, and what is left, for people. ``about`` names the only object of which it is told what is left;
    empty for none.
    """
    if view["applied"]:
        rows = [
            [c["object"], c["action"], c["result"], c["impact"], c["cause"], c["reason"] or c["why"]]
            for c in view["applied"]
        ]
        write_table(["OBJECT", "ACTION", "RESULT", "IMPACT", "CAUSE", "REASON"], rows)
    for source in view["sources"]:
        if source["state"] != "ready" and source["message"]:
            tell_note(f"{' '.join(filter(None, ('source', source['name'], source['state'])))}: {source['message']}")
    outdated = view["outdated"]
    for message in view["messages"]:
        if not outdated or message != outdated["reason"]:
            tell_note(message)
    if outdated:
        tell_note(outdated_text(outdated))
    if view["errors"] and about is None:
        count = view["errors"]
        tell_note(f"{count} error{'s' * (count != 1)} in the manifests: `gitvirt status` tells more")
    plan_left = view["plan"] or {"held": (), "blocked": (), "changes": 0}
    held = [hold for hold in plan_left["held"] if about is None or about in hold["objects"]]
    blocked = [entry for entry in plan_left["blocked"] if about in (None, entry["object"])]
    for hold in held:
        how = f"; `gitvirt approve {hold['hold_id']}` releases it" if hold["approvable"] else ""
        typer.echo(one_line(f"held {hold['hold_id']}: {hold['reason']}{how}", 1000))
    for entry in blocked:
        word = "waiting" if entry["waiting"] else "blocked"
        typer.echo(one_line(f"{word} {entry['object']}: {entry['by']}", 1000))
    waiting = {"held": sum(len(hold["objects"]) or 1 for hold in held), "blocked or waiting": len(blocked)}
    commits = [
        short_revision(source["name"], source["revision"]["commit"]) for source in view["sources"] if source["revision"]
    ]
    done = _summary(view["applied"], plan_left["changes"], waiting)
    then = ", as far as is known" if outdated else ""
    typer.echo(f"{', '.join(commits) or 'no revision'}: {done}{then}.")


def outdated_text(outdated: Mapping[str, Any]) -> str:
    """Why what is told is older than now."""
    since = outdated["since"]
    return str(Outdated(reason=outdated["reason"], since=datetime.fromisoformat(since) if since else None))


def _summary(applied: Sequence[Mapping[str, Any]], left: int, waiting: Mapping[str, int]) -> str:
    """``2 done, 1 under way, 3 held``, or that there was nothing to do."""
    results = [change["result"] for change in applied]
    under_way = sum(1 for result in results if result in _UNDER_WAY)
    failed = sum(1 for result in results if result in _FAILED)
    counts = {
        "done": sum(1 for result in results if result in _DONE),
        "under way": under_way,
        "failed": failed,
        "still to do": max(0, left - under_way - failed),
        **waiting,
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to do"
