"""Marks as text: what gitvirt writes on what it owns, for domain and network metadata and for volumes' xattrs.

The element is ``<marks owner="…" version="1">JSON</marks>`` in the namespace `MARKS_URI`. Damaged JSON never looks like a
foreign object: the owner stands in an attribute of its own, and reading says `UnreadableMarks`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from nodeexec.libvirt.safe_xml import parse_xml
from reconciler.model.live import Marks
from reconciler.model.packed import packed
from reconciler.model.power import Override, OverrideAction, RunHistory, StopReason

MARKS_URI = "https://gitvirt.io/xmlns/1"
MARKS_PREFIX = "gitvirt"
"""``uri`` and ``key`` of libvirt's metadata calls."""

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainMarks:
    """All that gitvirt remembers on one object. ``boot_id`` is the host's at the last start, ``end_reason`` how the last
    run ended (None while it runs or when nobody saw). ``extra`` is free JSON of the engine (a volume's source and phase).
    """

    marks: Marks
    history: RunHistory = RunHistory()
    boot_id: str = ""
    end_reason: StopReason | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableMarks:
    """Marks are there and cannot be understood: the object is owned (by ``owner``, when that is readable) and unknown."""

    owner: str
    reason: str


def to_json(marks: DomainMarks) -> str:
    """The JSON text, one line, ASCII, keys sorted: equal marks give equal bytes."""
    own = marks.marks
    content: dict[str, Any] = {
        "version": VERSION,
        "owner": own.owner,
        "host": own.host,
        "revision": own.revision,
        "applied": dict(own.applied) if own.applied is not None else None,
        "createdAt": _time(own.created_at),
        "suspended": own.suspended,
        "suspendedUntil": _time(own.suspended_until),
        "override": _override_data(own.override),
        "history": _history_data(marks.history),
        "bootId": marks.boot_id,
        "endReason": str(marks.end_reason) if marks.end_reason else "",
        "extra": dict(marks.extra),
    }
    said = {
        name: value for name, value in content.items() if value not in ("", None, {}) or name in ("owner", "applied")
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> DomainMarks | UnreadableMarks:
    """Read what `to_json` wrote, of this version or an earlier one."""
    try:
        content = json.loads(text)
        version = content["version"]
        if version != VERSION:
            return UnreadableMarks(
                owner=_owner(content), reason=f"the marks have version {version!r}, this gitvirt reads {VERSION}"
            )
        return _marks_of(content)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        return UnreadableMarks(owner="", reason=f"the marks are damaged: {type(fault).__name__}")


def to_metadata(marks: DomainMarks) -> str:
    """The element without prefix, as libvirt's setMetadata takes it and as `domain_xml.build` puts it in."""
    element = etree.Element("marks", {"owner": marks.marks.owner, "version": str(VERSION)})
    element.text = to_json(marks)
    return str(etree.tostring(element, encoding="unicode"))


def from_metadata(xml: str) -> DomainMarks | UnreadableMarks | None:
    """Marks in the text of a metadata element, of a whole domain or of a whole network; None when there are none."""
    try:
        root = parse_xml(xml)
    except ValueError as fault:
        return UnreadableMarks(owner="", reason=f"the XML cannot be read: {fault}")
    bare = root.tag == "marks"
    element = root if bare else next(root.iter(f"{{{MARKS_URI}}}marks"), None)
    if element is None:
        return None
    owner = element.get("owner", "")
    read = from_json(element.text or "")
    if isinstance(read, UnreadableMarks):
        return UnreadableMarks(owner=owner or read.owner, reason=read.reason)
    if owner and owner != read.marks.owner:
        return UnreadableMarks(owner=owner, reason="the marks name two owners")
    return read


def _marks_of(content: Mapping[str, Any]) -> DomainMarks:
    override, history = content.get("override"), content.get("history") or {}
    end_reason, applied = content.get("endReason"), _mapping(content.get("applied"))
    return DomainMarks(
        marks=Marks(
            owner=_owner(content),
            host=str(content.get("host", "")),
            revision=str(content.get("revision", "")),
            applied=packed(applied) if applied is not None else None,
            created_at=_moment(content.get("createdAt")),
            override=_override(override) if override else None,
            suspended=str(content.get("suspended", "")),
            suspended_until=_moment(content.get("suspendedUntil")),
        ),
        history=RunHistory(
            runs=int(history.get("runs", 0)),
            failures=int(history.get("failures", 0)),
            started_at=_moment(history.get("startedAt")),
            ended_at=_moment(history.get("endedAt")),
            stop_requested_at=_moment(history.get("stopRequestedAt")),
            stop_asked_by=str(history.get("stopAskedBy", "")),
            stop_since_s=_seconds(history.get("stopSinceSeconds")),
            last_restart_at=_moment(history.get("lastRestartAt")),
        ),
        boot_id=str(content.get("bootId", "")),
        end_reason=StopReason(end_reason) if end_reason else None,
        extra=_mapping(content.get("extra")) or {},
    )


def _owner(content: Mapping[str, Any]) -> str:
    owner = content["owner"]
    if not isinstance(owner, str):
        raise TypeError("owner is not text")
    return owner


def _mapping(value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise TypeError("not a mapping")
    return value


def _history_data(history: RunHistory) -> dict[str, Any]:
    data = {
        "runs": history.runs,
        "failures": history.failures,
        "startedAt": _time(history.started_at),
        "endedAt": _time(history.ended_at),
        "stopRequestedAt": _time(history.stop_requested_at),
        "stopAskedBy": history.stop_asked_by,
        "stopSinceSeconds": history.stop_since_s,
        "lastRestartAt": _time(history.last_restart_at),
    }
    return {name: value for name, value in data.items() if value}


def _override_data(override: Override | None) -> dict[str, Any] | None:
    if override is None:
        return None
    return {"action": str(override.action), "by": override.by, "at": _time(override.at), "until": _time(override.until)}


def _override(data: Mapping[str, Any]) -> Override:
    at = _moment(data["at"])
    if at is None:
        raise ValueError("an override without a time")
    return Override(action=OverrideAction(data["action"]), by=str(data["by"]), at=at, until=_moment(data.get("until")))


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    return float(value)


def _moment(text: Any) -> datetime | None:
    """Raises ValueError for a time without its zone, which could be any time."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without time zone")
    return moment.astimezone(UTC)
