"""Deleting a VM and nothing that has data (law 3).

KubeVirt takes every DataVolume of a VM's dataVolumeTemplates into the VM's ownership, and again at once when it was taken out of it, until
the VM is being deleted. So the VM is asked for deletion first, held by a finalizer of ours; its disks are taken out of its hands, which
is read back; and only then is it let go. What else belongs to it (ended instances, the records of its starts) goes with it.

*Source*: virt-controller adopts DataVolumes by name while the VM has no ``deletionTimestamp``, which it asks the API server for anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.errors import ApiError
from nodeexec.kubevirt.finalizers import DISKS, is_held, kept_by_finalizers
from nodeexec.kubevirt.kinds import KINDS, VM
from nodeexec.kubevirt.marks import metadata_of
from nodeexec.kubevirt.owner_references import detach_disks
from nodeexec.kubevirt.steps import Steps, Tools
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result

_AGAIN_S = 5.0
_TRIES = 5
_CONFLICT = 409


def remove_vm(tools: Tools, key: ObjectKey, document: Mapping[str, Any], steps: Steps) -> Outcome:
    """Delete a VM that does not run, or go on with it after an interruption.

    Raises:
        ApiError, UnreachableError: it cannot be read or written.
    """
    uid = metadata_of(document).get("uid")
    going = _read(tools, key, uid)
    if going is not None and not metadata_of(going).get("deletionTimestamp"):
        going = _asked(tools, key, uid, steps)
    if going is not None and is_held(going):
        still = detach_disks(tools, going, steps)
        if still:
            return steps.outcome(Result.RETRY, f"{still} still belong to the VM; it is not let go before", _AGAIN_S)
        going = _with_finalizers(tools, key, uid, let_go=True)
    if going is None:
        return steps.outcome()
    return steps.outcome(*kept_by_finalizers(going, tools.clock.now()))


def _read(tools: Tools, key: ObjectKey, uid: Any) -> Mapping[str, Any] | None:
    """The VM as it is now; None when it is gone, or another one."""
    found = tools.access.read(KINDS[VM], key)
    return found if found is not None and metadata_of(found).get("uid") == uid else None


def _asked(tools: Tools, key: ObjectKey, uid: Any, steps: Steps) -> Mapping[str, Any] | None:
    """Ask for its deletion; the VM as it goes, None when it is gone already."""
    held = _with_finalizers(tools, key, uid, let_go=False)
    if held is None:
        return None
    gone = tools.access.delete(KINDS[VM], key, held)
    steps.note("asked for deletion")
    return None if gone else _read(tools, key, uid)


def _with_finalizers(tools: Tools, key: ObjectKey, uid: Any, *, let_go: bool) -> Mapping[str, Any] | None:
    """Put our finalizer on, or take it off; None when the VM is gone with that. KubeVirt writes the VM meanwhile: then it is read again."""
    for tries_left in reversed(range(_TRIES)):
        now = _read(tools, key, uid)
        if now is None:
            return None
        kept = [one for one in metadata_of(now).get("finalizers") or () if one != DISKS]
        metadata: dict[str, Any] = {"resourceVersion": metadata_of(now).get("resourceVersion")}
        metadata["finalizers"] = (kept or None) if let_go else [*kept, DISKS]
        try:
            written = tools.access.patch(KINDS[VM], key, {"metadata": metadata})
        except ApiError as error:
            if error.status != _CONFLICT or not tries_left:
                raise
            continue
        if kept or not let_go:
            return written
        tools.caches.forget(KINDS[VM], written)
        return None
    return None
