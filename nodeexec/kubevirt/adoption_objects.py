"""Claims, DataVolumes and networks that are there already become gitvirt's by themselves, without a VM: marks are written, and no byte moves.

A claim that somebody filled may be what a DataVolume is to stand on. Then the claim is told whom it is for, and CDI gives it to the DataVolume
as it is when that is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodeexec.kubevirt.adoption import mark
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, KINDS, VM
from nodeexec.kubevirt.marks import OWNER, is_tracked, labels_of, metadata_of
from nodeexec.kubevirt.other_managers import other_manager
from nodeexec.kubevirt.project_volume import POPULATED_FOR, live_volume
from nodeexec.kubevirt.remembering import forget
from nodeexec.kubevirt.steps import Steps, Tools
from reconciler.model.adoption import FoundObject
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveVolume
from reconciler.model.outcome import Outcome, Result
from reconciler.model.resolved import Resolved


def survey_object(tools: Tools, key: ObjectKey) -> FoundObject | None:
    """See `Engine.survey_object`.

    Raises:
        ApiError, UnreachableError: it cannot be read.
    """
    found = _read(tools, key)
    if found is None and key.kind == DATA_VOLUME:
        found = _read(tools, key._replace(kind=CLAIM))
    if found is None:
        return None
    there, document = found
    live = tools.observer.live(there)
    kept = tools.caches.find(there)
    if isinstance(live, LiveVolume) and live.phase == LOST and kept is not None:
        # What is there now is looked at, whatever gitvirt had under that name before.
        bound = tools.caches.get(CLAIM, (there.namespace, there.name))
        live = live_volume(there, kept, bound, live.used_by, host=tools.observer.host)
    if live is None:
        return FoundObject(
            key=there, live=None, obstacles=("it is in the trash: `gitvirt trash restore` takes it back",)
        )
    obstacles = list(_obstacles(tools, there, document))
    filled_for = live.filled_for if isinstance(live, LiveVolume) else None
    if filled_for is not None and filled_for != key:
        obstacles.append(f"it is the disk of {filled_for}: declare and adopt that")
    return FoundObject(key=there, live=live, obstacles=tuple(obstacles))


def _read(tools: Tools, key: ObjectKey) -> tuple[ObjectKey, Mapping[str, Any]] | None:
    document = tools.access.read(KINDS[key.kind], key)
    return (key, document) if document is not None else None


def _obstacles(tools: Tools, key: ObjectKey, document: Mapping[str, Any]) -> Iterator[str]:
    if metadata_of(document).get("deletionTimestamp"):
        yield "it is being deleted"
    owner = labels_of(document).get(OWNER, "")
    if owner and is_tracked(document, key):
        yield "it is gitvirt's already" if owner == tools.owner else f"it is owned by {owner!r}"
    managed = other_manager(document)
    if managed:
        yield managed
    for one in metadata_of(document).get("ownerReferences") or ():
        if one.get("controller") and one.get("kind") == VM:
            yield f"it belongs to VM {key.namespace}/{one.get('name')} and is deleted with it: `gitvirt adopt {key.namespace}/{one.get('name')}` takes both over"


def adopt_object(tools: Tools, wanted: Resolved, revision: str, expected: str) -> Outcome:
    """See `Engine.adopt_object`.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    steps, found = Steps(), survey_object(tools, wanted.key)
    if found is None or found.live is None:
        return steps.outcome(Result.CONFLICT, f"{wanted.key} is gone")
    if found.obstacles:
        return steps.outcome(Result.REFUSED, "; ".join(found.obstacles))
    raw = tools.access.read(KINDS[found.key.kind], found.key)
    if found.live.fingerprint != expected or raw is None or _version(raw) != _version(tools.caches.find(found.key)):
        return steps.outcome(Result.CONFLICT, f"{found.key} changed meanwhile; look at it again and repeat")
    if found.key == wanted.key:
        mark(tools, wanted, raw, wanted.applied, revision, steps)
        return steps.outcome()
    # A DataVolume of that name that was lost is one no more; until the claim is told whom it is for, it is in the way of another.
    forget(tools, wanted.key)
    told = {
        "annotations": {POPULATED_FOR: wanted.key.name},
        "resourceVersion": _version(raw),
    }
    tools.access.patch(KINDS[CLAIM], found.key, {"metadata": told})
    steps.note(f"told {found.key} that it is for {wanted.key}")
    return steps.outcome()


def _version(document: Mapping[str, Any] | None) -> Any:
    return metadata_of(document or {}).get("resourceVersion")
