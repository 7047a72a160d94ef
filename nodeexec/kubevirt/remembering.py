"""The register kept as the disks are: those with data are remembered, those that gitvirt put away or let go are forgotten.

What is lost stays in it, until a person says what becomes of that. Only what changed is looked at, and nothing is written where nothing did.
"""

from __future__ import annotations

from nodeexec.kubevirt.errors import ApiError, UnreachableError
from nodeexec.kubevirt.finalizers import kept_by_finalizers
from nodeexec.kubevirt.kinds import CLAIM, CLAIM_KINDS, KINDS
from nodeexec.kubevirt.losses import Loss, is_ours, known_disk, uid_of
from nodeexec.kubevirt.project_volume import is_trash
from nodeexec.kubevirt.register import FullRegisterError
from nodeexec.kubevirt.register_text import KnownDisk, Name
from nodeexec.kubevirt.steps import Steps, Tools
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVolume
from reconciler.model.outcome import Outcome, Result
from reconciler.model.resolved import ResolvedVolume

_AGAIN_S = 10.0


def note_disks(tools: Tools) -> Outcome:
    """Write down what changed since the last time; what cannot be written is tried with the next call."""
    steps = Steps()
    if not tools.register.is_known():
        return steps.outcome(Result.RETRY, tools.register.fault, _AGAIN_S)
    with tools.caches.lock:
        names = tools.caches.take_touched_disks()
        changes = {name: disk for name in names for disk in _change(tools, name)}
    try:
        tools.register.write(changes)
    except (ApiError, UnreachableError) as error:
        tools.caches.touch_disks(changes)
        return error.outcome
    except FullRegisterError as error:
        return steps.outcome(Result.FAILED, f"not every disk that is lost will be known to be: {error}")
    if changes:
        steps.note(f"noted {len(changes)} disks")
    return steps.outcome()


def _change(tools: Tools, name: Name) -> tuple[KnownDisk | None, ...]:
    """What to write of a name: nothing, a disk, or None to forget it."""
    known, claim = tools.register.get(name), tools.caches.get(CLAIM, name)
    for kind in CLAIM_KINDS:
        key, document = ObjectKey(kind, *name), tools.caches.get(kind, name)
        if document is None or not is_ours(document, key, tools.owner):
            if known is not None and known.key == key and document is not None and known.uid == uid_of(document):
                return (None,)  # It was let go.
            continue
        if is_trash(document):
            return (None,) if known is not None else ()
        if known is not None and tools.observer.loss(key) is not None:
            return ()
        disk = known_disk(key, document, claim)
        return (disk,) if disk is not None and disk != known else ()
    return ()


def forget(tools: Tools, key: ObjectKey) -> None:
    """A disk under that name is not looked for any more; one that is there is remembered anew.

    Raises:
        ApiError, UnreachableError: it could not be written down.
    """
    name = (key.namespace, key.name)
    if tools.register.get(name) is not None:
        tools.register.write({name: None})
    tools.caches.touch_disks((name,))


def accepted(tools: Tools, wanted: ResolvedVolume, live: LiveVolume, loss: Loss, steps: Steps) -> Outcome | None:
    """Whether a person has named the loss, which is then over; an outcome where a new disk may not be made, or not yet. Where somebody else's
    has the name it is over once that is ours.

    Raises:
        ApiError, UnreachableError: it could not be written, or what stands in the way not be deleted.
    """
    if wanted.fresh_disk != live.loss:
        return steps.outcome(Result.REFUSED, live.reason)
    if loss.stands is not None:
        document = tools.caches.find(loss.stands)
        if document is not None and not loss.is_going:
            tools.access.delete(KINDS[loss.stands.kind], loss.stands, document, unmoved=True)
            steps.note(f"deleted {loss.stands}, whose volume is gone")
            document = tools.caches.find(loss.stands)
        if document is not None:
            return steps.outcome(*kept_by_finalizers(document, tools.clock.now()))
    other = tools.caches.find(wanted.key)
    if other is None or is_ours(other, wanted.key, tools.owner):
        forget(tools, wanted.key)
        steps.note("forgot the lost disk")
    return None
