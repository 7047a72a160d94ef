"""What gitvirt writes on objects of a cluster: labels and annotations, and how they are read again.

Labels and annotations are copied to children by many controllers (a DataVolume's to its claim), so an object is gitvirt's
only if its tracking annotation names the object itself.
"""

from __future__ import annotations

import binascii
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from nodeexec.trash_age import TrashAge, age_data, age_from
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.packed import packed
from reconciler.model.power import Override, OverrideAction, RunHistory

OWNER = "gitvirt.io/owner"
TRASH = "gitvirt.io/trash"
TRASH_AGE = "gitvirt.io/trash-age"
TRACKING = "gitvirt.io/tracking"
ADOPTED = "gitvirt.io/adopted"
"""When a VM that somebody else made was taken over: its identity is as it was found."""

APPLIED = "gitvirt.io/applied"
REVISION = "gitvirt.io/revision"
OVERRIDE = "gitvirt.io/override"
SUSPENDED = "gitvirt.io/suspended"
STOPPING = "gitvirt.io/stopping"
RESTARTED = "gitvirt.io/restarted-at"
OWN = frozenset(
    {OWNER, TRASH, TRASH_AGE, TRACKING, ADOPTED, APPLIED, REVISION, OVERRIDE, SUSPENDED, STOPPING, RESTARTED}
)
_LONG_BYTES = 32 << 10
_LONGEST = 8 << 20
_PACKED = "zlib:"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_STAMP = "%Y%m%dT%H%M%SZ"


def metadata_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """``metadata``, or an empty mapping."""
    found: Mapping[str, Any] = document.get("metadata") or {}
    return found


def annotations_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    """``metadata.annotations``, or an empty mapping."""
    return metadata_of(document).get("annotations") or {}


def labels_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    """``metadata.labels``, or an empty mapping."""
    return metadata_of(document).get("labels") or {}


def is_tracked(document: Mapping[str, Any], key: ObjectKey) -> bool:
    """Whether an object is some gitvirt's."""
    return bool(labels_of(document).get(OWNER)) and annotations_of(document).get(TRACKING) == str(key)


def read_marks(document: Mapping[str, Any], key: ObjectKey, host: str) -> Marks | None:
    """The marks on an object; None for a foreign one. ``host`` is the cluster's name as marks carry it."""
    if not is_tracked(document, key):
        return None
    said = annotations_of(document)
    suspended = _json(said.get(SUSPENDED))
    applied = _json(said.get(APPLIED))
    return Marks(
        owner=labels_of(document)[OWNER],
        host=host,
        revision=said.get(REVISION, ""),
        applied=packed(applied) if applied else None,
        created_at=read_time(metadata_of(document).get("creationTimestamp")),
        override=_override(_json(said.get(OVERRIDE))),
        suspended=str(suspended.get("by", "")),
        suspended_until=read_time(suspended.get("until")),
    )


def read_history(
    document: Mapping[str, Any], started_at: datetime | None, ended_at: datetime | None, *, instance: str | None
) -> RunHistory:
    """What the marks on a VM, and its instance (by its uid), remember of its runs. A stop that was asked of another instance is none of this one;
    instances are told apart by uid and not by time, because the cluster's clock is not ours.
    """
    said = annotations_of(document)
    stopping = _json(said.get(STOPPING))
    if instance is not None and stopping.get("of") != instance:
        stopping = {}
    going = metadata_of(document).get("deletionTimestamp")
    if instance is None and going:
        # Nothing is left to stop, and the deletion has begun: it needs no approval any more.
        stopping = {"at": going, "for": "delete"}
    return RunHistory(
        runs=1 if instance is not None else 0,
        started_at=started_at,
        ended_at=ended_at,
        stop_requested_at=read_time(stopping.get("at")),
        stop_asked_by=str(stopping.get("for", "")),
        last_restart_at=read_time(said.get(RESTARTED)),
    )


def applied_marks(
    key: ObjectKey, owner: str, revision: str, applied: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, str]]:
    """(labels, annotations) that make an object gitvirt's; part of the call that makes it."""
    annotations = {TRACKING: str(key), APPLIED: _short(_compact(dict(applied))), REVISION: revision}
    return {OWNER: owner}, annotations


def operator_facts(
    override: Override | None, suspended: str, suspended_until: datetime | None
) -> dict[str, str | None]:
    """Annotations as a merge patch sets them; None takes one away."""
    said: dict[str, Any] | None = None
    if override is not None:
        said = {"action": str(override.action), "by": override.by, "at": time_text(override.at)}
        said |= {"until": time_text(override.until)} if override.until else {}
    held = (
        {"by": suspended, **({"until": time_text(suspended_until)} if suspended_until else {})} if suspended else None
    )
    return {OVERRIDE: _text(said), SUSPENDED: _text(held)}


def stopping(at: datetime, purpose: str, instance: str) -> str:
    """The annotation of a graceful stop that was begun (``stop``, ``restart`` or ``delete``) of the instance with that uid."""
    return _compact({"at": time_text(at), "for": purpose, "of": instance})


def time_text(at: datetime) -> str:
    """As Kubernetes writes times."""
    return at.astimezone(UTC).strftime(_TIME)


def read_time(text: Any) -> datetime | None:
    """A time as Kubernetes writes it; None for anything else."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except ValueError:
        return None


def trash_stamp(at: datetime) -> str:
    """A time as a label's value."""
    return at.astimezone(UTC).strftime(_STAMP)


def read_stamp(text: str) -> datetime | None:
    """What `trash_stamp` wrote; None for anything else."""
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def trash_age(document: Mapping[str, Any]) -> TrashAge | None:
    """How long a volume was seen to lie in the trash. What was noted of another object (a restored backup), or of an earlier time in
    the trash, says nothing of this one.
    """
    said = _json(annotations_of(document).get(TRASH_AGE))
    is_of_this = said.get("uid") == metadata_of(document).get("uid") and said.get("trash") == labels_of(document).get(
        TRASH
    )
    return age_from(said) if is_of_this else None


def trash_age_note(document: Mapping[str, Any], age: TrashAge) -> str:
    """The annotation that `trash_age` reads again."""
    of_this = {"uid": metadata_of(document).get("uid"), "trash": labels_of(document).get(TRASH)}
    return _compact({**age_data(age), **of_this})


def _override(said: Mapping[str, Any]) -> Override | None:
    at = read_time(said.get("at"))
    action = said.get("action")
    if at is None or action not in list(OverrideAction):
        return None
    return Override(
        action=OverrideAction(action), by=str(said.get("by", "")), at=at, until=read_time(said.get("until"))
    )


def _json(text: str | None) -> Mapping[str, Any]:
    """An annotation's content; somebody may have written anything there."""
    try:
        found = orjson.loads(_long(text)) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _short(text: str) -> str:
    """What is long, compressed: all annotations of an object have 256 KiB together. The same text always becomes the same."""
    if len(text) < _LONG_BYTES:
        return text
    return _PACKED + b64encode(zlib.compress(text.encode(), 9)).decode()


def _long(text: str) -> str | bytes:
    """What `_short` was given; nothing where it is none of that, or would be larger than any object can be."""
    if not text.startswith(_PACKED):
        return text
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(b64decode(text.removeprefix(_PACKED)), _LONGEST)
    except (zlib.error, binascii.Error, ValueError):
        return ""
    return found if unpacking.eof else ""


def _text(said: Mapping[str, Any] | None) -> str | None:
    return _compact(said) if said is not None else None


def _compact(said: Mapping[str, Any]) -> str:
    """JSON; unlike elsewhere also of numbers that have more than 64 bits, which the server may refuse but a mark may hold."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
