"""What is wrong with a DataVolume or a claim: failed, stuck, or only slow. Pure.

Slow is what moves: a phase, a percentage, a restart. Stuck is what says an error, was restarted again and again, or stands still. A volume that
waits for its first consumer is neither.

*Source*: CDI's phases, conditions and annotations of claims; Kubernetes' phases of a claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.conditions import condition
from nodeexec.kubevirt.findings import Finding, Subject, message_of, subject_of
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME
from nodeexec.kubevirt.marks import annotations_of, metadata_of
from reconciler.model.keys import ObjectKey

STILL_S = 900.0
"""How long a volume that should be filling may stand still."""
SLOW_S = 120.0
"""How long it may before anybody's warnings are looked for."""
SOON_S = 60.0
"""How long a claim may wait to be bound before anybody's warnings are looked for."""
MANY_RESTARTS = 3
_ERRORS = frozenset(
    {
        "Error", "CrashLoopBackOff", "OOMKilled", "ErrImagePull", "ImagePullBackOff", "ImagePullFailed", "InvalidImageName",
        "CreateContainerConfigError", "CreateContainerError", "TransferFailed",
    }
)  # fmt: skip
_WAITS_FOR_OTHERS = frozenset({"WaitForFirstConsumer", "PendingPopulation", "UploadScheduled", "UploadReady"})
_DONE = "Succeeded"
MOVING = ("Scheduled", "InProgress")
"""How the phases end in which a volume is being filled."""
_POD_ANNOTATIONS = (
    "cdi.kubevirt.io/storage.import.importPodName",
    "cdi.kubevirt.io/storage.uploadPodName",
    "cdi.kubevirt.io/storage.clonePodName",
)


def volume_finding(
    document: Mapping[str, Any], claim: Mapping[str, Any] | None, *, still_s: float, has_consumer: bool
) -> Finding | None:
    """What is wrong with a DataVolume. ``claim`` is its own; ``still_s`` is for how long nothing of it moved; ``has_consumer`` says
    that a guest is there that wants it.
    """
    status = document.get("status") or {}
    phase, about = str(status.get("phase", "")), _about(document, claim)
    if phase == _DONE or metadata_of(document).get("deletionTimestamp"):
        return None
    said = message_of(document, "Running", "Bound", "Ready")
    running, bound = condition(document, "Running") or {}, condition(document, "Bound") or {}
    if phase in ("Failed", "Unknown"):
        return Finding(word=phase, text=said, about=about)
    if (claim or {}).get("status", {}).get("phase") == "Lost":
        return Finding(word="Lost", text="the volume of its claim is gone", about=about)
    if running.get("status") == "False" and running.get("reason") in _ERRORS:
        return Finding(word=str(running["reason"]), text=said, about=about)
    if bound.get("status") == "False" and str(bound.get("reason", "")).startswith("Err"):
        return Finding(word=str(bound["reason"]), text=message_of(document, "Bound"), about=about)
    restarts = status.get("restartCount") or 0
    if restarts >= MANY_RESTARTS:
        text = "; ".join(filter(None, (f"{phase} was begun again {MANY_RESTARTS} times and more", said)))
        return Finding(word="Restarting", text=text, about=about)
    if not phase:
        text = f"CDI has not taken it up, for {STILL_S / 60:.0f} min and more: does cdi-deployment run?"
        return Finding(word="Pending", text=text, about=about) if still_s >= STILL_S else None
    if (phase in _WAITS_FOR_OTHERS and not has_consumer) or phase.startswith("Upload"):
        return None
    if still_s < SLOW_S:
        return None
    is_stuck = still_s >= STILL_S
    text = f"{phase} does not move ({STILL_S / 60:.0f} min and more)" if is_stuck else said
    return Finding(word="Stuck" if is_stuck else phase, text=text, about=about, certain=is_stuck)


def claim_finding(document: Mapping[str, Any], *, still_s: float, has_consumer: bool) -> Finding | None:
    """What is wrong with a claim that no DataVolume fills."""
    phase, about = str((document.get("status") or {}).get("phase", "")), _about(None, document)
    if phase == "Lost":
        return Finding(word="Lost", text="the volume that it was bound to is gone", about=about)
    if phase != "Pending" or still_s < SOON_S or metadata_of(document).get("deletionTimestamp"):
        return None
    if has_consumer and still_s >= STILL_S:
        return Finding(
            word="Stuck",
            text=f"not bound for {STILL_S / 60:.0f} min and more, though a guest waits for it",
            about=about,
        )
    return Finding(word="Pending", text="it is not bound", about=about, certain=False)


def not_done(key: ObjectKey, document: Mapping[str, Any], *, has_consumer: bool) -> str:
    """What a volume that nobody is filling lacks; empty where nothing is missing, or a guest is all that it waits for."""
    phase = str((document.get("status") or {}).get("phase", ""))
    if key.kind == CLAIM:
        return "not bound yet, and a guest waits for it" if phase in ("", "Pending") and has_consumer else ""
    if not phase:
        return "CDI has not taken it up yet"
    if phase == "UploadReady":
        return f"it waits for its content: `virtctl image-upload dv {key.name} -n {key.namespace} --no-create --image-path FILE`"
    said = message_of(document, "Running", "Bound", "Ready")
    return ": ".join(filter(None, (phase, said))) if phase in ("Pending", "PVCBound", "Paused") else ""


def _about(document: Mapping[str, Any] | None, claim: Mapping[str, Any] | None) -> tuple[Subject, ...]:
    """A DataVolume, its claim, the claim that it is filled through, and the pod that fills it."""
    found = [subject_of(DATA_VOLUME, document)] if document is not None else []
    if claim is None:
        return tuple(found)
    namespace, uid = str(metadata_of(claim).get("namespace", "")), metadata_of(claim).get("uid")
    found.append(subject_of(CLAIM, claim))
    said = annotations_of(claim)
    if document is not None and uid:
        found.append(Subject(CLAIM, namespace, f"prime-{uid}"))
    found += [Subject("Pod", namespace, said[name]) for name in _POD_ANNOTATIONS if said.get(name)]
    return tuple(found)
