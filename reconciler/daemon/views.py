"""Model values as the plain data that goes over the control socket and into ``-o json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.daemon.cycle import CycleReport
from reconciler.model.event import Event
from reconciler.model.live import HostFacts, Outdated, TrashItem
from reconciler.model.plan import Hold, Plan
from reconciler.model.quantity import format_bytes
from reconciler.model.record import AppliedChange
from reconciler.model.revision import Revision, SourceStatus
from reconciler.model.status import ObjectStatus
from reconciler.settings import format_duration

REWRITTEN_HISTORY = "rewritten-history"


def time_text(at: datetime | None) -> str | None:
    """RFC 3339 with seconds, as Kubernetes writes times."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def status_view(status: ObjectStatus, *, with_document: bool) -> dict[str, Any]:
    """One object. The live document is the larger part, so it comes when asked for."""
    view: dict[str, Any] = {
        "object": str(status.key),
        "kind": status.key.kind,
        "namespace": status.key.namespace,
        "name": status.key.name,
        "state": str(status.state),
        "status": status.printable_status,
        "message": status.message,
        "declared": status.declared,
        "revision": status.revision,
        "source": status.source,
        "observed_at": time_text(status.observed_at),
        "conditions": [
            {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message} for c in status.conditions
        ],
        "facts": dict(status.facts),
    }
    if with_document:
        view["live"] = status.live
    return view


def source_view(source: SourceStatus) -> dict[str, Any]:
    """The last look at the remote."""
    return {
        "state": str(source.state),
        "message": source.message,
        "head": source.head,
        "ref": source.ref,
        "checked_at": time_text(source.checked_at),
    }


def revision_view(revision: Revision | None) -> dict[str, Any] | None:
    """The accepted revision."""
    if revision is None:
        return None
    return {
        "commit": revision.commit,
        "author": revision.author,
        "subject": revision.subject,
        "committed_at": time_text(revision.committed_at),
    }


def followed_view(statuses: Mapping[str, SourceStatus], revisions: Mapping[str, Revision]) -> dict[str, Any]:
    """What is followed, by name; the only source also without one, as ``source`` and ``revision``."""
    sources = [
        {"name": name, **source_view(status), "revision": revision_view(revisions.get(name))}
        for name, status in sorted(statuses.items())
    ]
    only = {"revision": sources[0]["revision"], "source": source_view(statuses[""])} if list(statuses) == [""] else {}
    return {**only, "sources": sources}


def host_view(host: HostFacts) -> dict[str, Any]:
    """The host, as the engine sees it."""
    return {
        "hostname": host.hostname,
        "hypervisor": host.hypervisor,
        "accelerator": host.accelerator,
        "cpus": host.cpus,
        "memory_mib": host.memory_mib,
        "pools": [
            {"name": pool.name, "active": pool.active, "capacity_bytes": pool.capacity_bytes,
             "available_bytes": pool.available_bytes}
            for pool in host.pools
        ],
        "bridges": list(host.bridges),
    }  # fmt: skip


def applied_view(applied: AppliedChange) -> dict[str, Any]:
    """A change and how it ended."""
    change, outcome = applied.change, applied.outcome
    return {
        "object": str(change.key),
        "action": str(change.action),
        "impact": str(change.impact),
        "cause": str(change.cause),
        "why": change.reason,
        "result": str(outcome.result),
        "reason": outcome.reason,
        "steps": list(outcome.steps),
        "took_s": round((applied.ended_at - applied.started_at).total_seconds(), 3),
    }


def source_holds(sources: Mapping[str, SourceStatus]) -> tuple[Hold, ...]:
    """The holds under which rewritten histories wait for a person."""
    return tuple(
        Hold(
            hold_id=status.approval,
            rule=REWRITTEN_HISTORY,
            reason=": ".join(filter(None, (name, status.approval_reason))),
            changes=(),
        )
        for name, status in sorted(sources.items())
        if status.approval
    )


def plan_summary(plan: Plan | None, sources: Mapping[str, SourceStatus]) -> dict[str, Any] | None:
    """What is still to do, in numbers, with the holds and what is blocked."""
    if plan is None:
        return None
    return {
        "plan_id": plan.plan_id,
        "changes": len(plan.changes),
        "held": [
            {"hold_id": hold.hold_id, "rule": hold.rule, "reason": hold.reason, "approvable": hold.approvable,
             "objects": [str(change.key) for change in hold.changes]}
            for hold in (*source_holds(sources), *plan.held)
        ],
        "blocked": [entry.to_dict() for entry in plan.blocked],
        "restart_required": [str(key) for key in sorted(plan.restart_required)],
    }  # fmt: skip


def report_view(report: CycleReport) -> dict[str, Any]:
    """What one cycle came to."""
    errors = sum(1 for problem in report.problems if problem.severity == "error")
    return {
        **followed_view(report.sources, report.record.revisions),
        "applied": [applied_view(applied) for applied in report.record.applied],
        "plan": plan_summary(report.plan, report.sources),
        "errors": errors,
        "warnings": len(report.problems) - errors,
        "messages": list(report.record.messages),
        "retry_after_s": report.retry_after_s,
        "finished_at": time_text(report.finished_at),
        "journal_commit": report.journal_commit,
        "outdated": outdated_view(report.outdated),
    }


def with_outdated(view: Mapping[str, Any], outdated: Outdated | None) -> dict[str, Any]:
    """What a cycle came to, with what was amiss when it was asked for."""
    return {**view, "outdated": view["outdated"] or outdated_view(outdated)}


def outdated_view(outdated: Outdated | None) -> dict[str, Any] | None:
    """Why what is told is older than now."""
    return {"reason": outdated.reason, "since": time_text(outdated.since)} if outdated else None


def event_view(event: Event) -> dict[str, Any]:
    """One event."""
    return {
        "at": event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "type": str(event.type),
        "reason": event.reason,
        "object": str(event.object) if event.object else None,
        "message": event.message,
        **({"source": event.source} if event.source else {}),
    }


def trash_view(item: TrashItem, expire_after_s: float | None, kept: str) -> dict[str, Any]:
    """One trash item. ``expires_in_s`` is the time of the running host until it is destroyed, None for never; ``kept`` says
    what holds it beyond that.
    """
    left_s = None if expire_after_s is None or kept else max(0.0, round(expire_after_s - item.aged_s, 1))
    return {
        "item": item.item,
        "object": str(item.key),
        "trashed_at": time_text(item.trashed_at),
        "pool": item.pool,
        "size": format_bytes(item.size_bytes) if item.size_bytes else "",
        "size_bytes": item.size_bytes,
        "source": str(item.source) if item.source else "",
        "revision": item.revision,
        "owner": item.owner,
        "seen_for_s": round(item.aged_s, 1),
        "expires_in_s": left_s,
        "kept": kept,
    }


def trash_summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The trash at a glance; ``expires_in_s`` is that of the item that goes first, None when none does."""
    ends = [row["expires_in_s"] for row in rows if row["expires_in_s"] is not None]
    return {
        "items": len(rows),
        "size_bytes": sum(row["size_bytes"] for row in rows),
        "expires_in_s": min(ends, default=None),
    }


def settled_mapping(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments as the journal keeps them: text, and only what was given; seconds as a duration."""
    given = {name: value for name, value in arguments.items() if value not in (None, "", False, [])}
    return {
        name.removesuffix("_s"): format_duration(value)
        if name.endswith("_s")
        else "yes"
        if value is True
        else str(value)
        for name, value in given.items()
    }
