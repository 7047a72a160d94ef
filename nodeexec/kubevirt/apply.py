"""One change of a plan, carried out: looked at again, then as few requests as it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nodeexec.kubevirt import trash
from nodeexec.kubevirt.access import BEFORE_FIRST_APPLY, FIELD_MANAGER
from nodeexec.kubevirt.compare import SECRET, Rules, compare
from nodeexec.kubevirt.errors import MISSING_RETRY_S, ApiError
from nodeexec.kubevirt.finalizers import is_held, kept_by_finalizers
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, KINDS, UNDERSTOOD, Kind, not_served
from nodeexec.kubevirt.losses import is_ours
from nodeexec.kubevirt.manifest import POWER_FIELDS, needs_plain, sent
from nodeexec.kubevirt.marks import OVERRIDE, STOPPING, metadata_of
from nodeexec.kubevirt.normal_form import renamed
from nodeexec.kubevirt.power import Power
from nodeexec.kubevirt.refusals import refusal
from nodeexec.kubevirt.remembering import accepted, forget
from nodeexec.kubevirt.steps import Steps, Tools
from nodeexec.kubevirt.vm_removal import remove_vm
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, KeptField, LiveNetwork, LiveObject, LiveVm, LiveVolume
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change
from reconciler.model.power import PowerState, PowerStep
from reconciler.model.resolved import Resolved, ResolvedVm, ResolvedVolume

UNREAD_RETRY_S = 5.0
_CONFLICT = 409
_OURS = frozenset({FIELD_MANAGER, BEFORE_FIRST_APPLY})
"""Who holds fields without being anybody else."""


class Applier:
    """Carries out changes; the same one a second time does nothing."""

    def __init__(self, tools: Tools, rules: Callable[[], Rules]) -> None:
        """``rules`` are known once the cluster was asked."""
        self._tools, self._rules = tools, rules
        self._power = Power(tools)

    def apply(self, change: Change) -> Outcome:
        """Do it.

        Raises:
            ApiError, UnreachableError: the server refused, or did not answer.
        """
        tools, key = self._tools, change.key
        kind = self._kind(change)
        if kind is None:
            said = change.wanted.document.api_version if change.wanted and change.wanted.document else ""
            return _missing(not_served(key.kind, said, ""))
        unread = tools.caches.why_unread(kind)
        if tools.caches.is_missing(kind):
            return _missing(not_served(kind.name, kind.api_version, kind.needs))
        if unread:
            return Outcome(result=Result.RETRY, reason=unread, retry_after_s=UNREAD_RETRY_S)
        if change.action is Action.CREATE and kind not in UNDERSTOOD:
            tools.access.read(kind, key)
        live = tools.observer.live(key)
        if live is not None and (live.marks is None or live.marks.owner != tools.owner):
            return Outcome(result=Result.REFUSED, reason=f"{key} exists and is not owned by {tools.owner}")
        if live is None and change.action is Action.DELETE:
            return Outcome(result=Result.UNCHANGED, reason="it is gone already")
        if change.expected != (live.fingerprint if live else ""):
            if live is not None and self._is_done(change, live):
                return Outcome(result=Result.UNCHANGED, reason="it is as wanted already")
            return Outcome(result=Result.CONFLICT, reason=f"{key} changed since it was planned; planned again")
        if change.wanted is None:
            return self._remove(change, live, kind)
        try:
            return self._put(change, change.wanted, live, kind)
        except ApiError as error:
            if change.wanted.document is None or not error.refuses_document:
                raise
            return refusal(error, change.wanted.document)

    def _kind(self, change: Change) -> Kind | None:
        """Where the object is served; a manifest of another kind is sent in the version that it is written in."""
        known = self._tools.discovery.of(change.key)
        document = change.wanted.document if change.wanted is not None else None
        if known is None or document is None or known.name in KINDS:
            return known
        return replace(known, version=document.api_version.rpartition("/")[2])

    def _is_done(self, change: Change, live: LiveObject) -> bool:
        """Whether somebody, perhaps an earlier life of this process, has done it already."""
        if change.wanted is None or change.action is Action.RESTART:
            return False
        if any(not entry.refused for entry in compare(change.wanted, live, self._rules())):
            return False
        return not isinstance(live, LiveVm) or _has_power(live, change.power)

    def _put(self, change: Change, wanted: Resolved, live: LiveObject | None, kind: Kind) -> Outcome:
        steps = Steps()
        if live is not None and live.served is not None and is_held(live.served.document):
            return remove_vm(self._tools, change.key, live.served.document, steps)
        if change.power_alone and isinstance(live, LiveVm):
            return self._powered(live, change.power, steps)
        if (missing := self._without_disk(wanted, live, steps)) is not None:
            return missing
        if isinstance(live, LiveVolume) and live.phase == LOST:
            live = self._in_its_place(live)
        if change.restore:
            if not trash.take_back(self._tools, change.key, change.restore, steps):
                return steps.outcome(Result.CONFLICT, f"trash item {change.restore} is gone; the next plan looks again")
            live = self._tools.observer.live(change.key)
        elif live is None and (said := trash.in_the_way(self._tools, change.key)):
            return steps.outcome(Result.FAILED, said)
        if (
            live is None
            or live.marks is None
            or any(not d.refused and d.stored for d in compare(wanted, live, self._rules()))
        ):
            moved = self._write(change, wanted, live, kind, steps)
            if moved is not None:
                return moved
            live = self._tools.observer.live(change.key)
        if isinstance(live, LiveVm):
            return self._powered(live, change.power, steps)
        return steps.outcome()

    def _without_disk(self, wanted: Resolved, live: LiveObject | None, steps: Steps) -> Outcome | None:
        """Why nothing may be done for want of a disk: nothing takes the place of one that is lost, unless a person named that loss, and a VM
        gets none that was lost since this was planned. While nobody knows what was there, no disk is made.
        """
        tools, key = self._tools, wanted.key
        if isinstance(wanted, ResolvedVm):
            lost = next((claim for claim in wanted.claims if tools.observer.loss(claim) is not None), None)
            said = f"its disk {lost} was lost since this was planned; planned again"
            return steps.outcome(Result.CONFLICT, said, 1.0) if lost is not None else None
        if not isinstance(wanted, ResolvedVolume):
            return None
        if live is None and not tools.register.is_known():
            return steps.outcome(Result.RETRY, tools.register.fault, UNREAD_RETRY_S)
        loss = tools.observer.loss(key)
        return accepted(tools, wanted, live, loss, steps) if loss is not None and isinstance(live, LiveVolume) else None

    def _in_its_place(self, lost: LiveVolume) -> LiveObject | None:
        """What is there instead of a disk whose loss was named. Somebody else's is taken as it is: it has no marks yet."""
        now = self._tools.observer.live(lost.key)
        return replace(now, marks=None) if isinstance(now, LiveVolume) and now.phase == LOST else now

    def _powered(self, live: LiveVm, step: PowerStep | None, steps: Steps) -> Outcome:
        """The power step, if there is one; an operator's act that is over is then forgotten."""
        outcome = self._power.carry_out(live, step, steps) if step is not None else steps.outcome()
        is_over = live.marks is not None and live.marks.override is not None and self._rules().holding(live) is None
        if is_over and step is not PowerStep.UNPAUSE and outcome.result in (Result.APPLIED, Result.UNCHANGED):
            self._tools.access.patch(KINDS[live.key.kind], live.key, {"metadata": {"annotations": {OVERRIDE: None}}})
            steps.note("took the operator's act off, which is over")
            return steps.outcome()
        return outcome

    def _write(
        self, change: Change, wanted: Resolved, live: LiveObject | None, kind: Kind, steps: Steps
    ) -> Outcome | None:
        """Server-side apply; an outcome when the object moved meanwhile."""
        tools, key = self._tools, change.key
        first = _version(live)
        for last_try in (False, True):
            try:
                live = self._with_shared_fields(wanted, live)
                self._send(change, wanted, live, kind)
                break
            except ApiError as error:
                if error.status != _CONFLICT or last_try or live is None:
                    raise
                tools.access.read(kind, key)
                again = tools.observer.live(key)
                if again is None or again.fingerprint != live.fingerprint:
                    return steps.outcome(Result.CONFLICT, f"{key} changed since it was planned; planned again")
                if error.managers:
                    raise
                live = again
        after = tools.observer.live(key)
        if _version(after) != first:
            steps.note("applied the manifest")
        if isinstance(wanted, ResolvedVolume) and isinstance(after, LiveVolume):
            self._grow(wanted, after, steps)
        self._learn(wanted, tools.observer.live(key))
        return None

    def _send(self, change: Change, wanted: Resolved, live: LiveObject | None, kind: Kind) -> None:
        tools = self._tools
        keep_power = live is not None and self._keeps_power(wanted, live)
        plain = tools.access.read(kind, change.key) if live is not None and needs_plain(wanted) else None
        # What somebody else made in the place of a lost disk, and a person took as it is, is written over where it says something else.
        force = tools.settings.force_conflicts or (live is not None and live.marks is None)
        body = sent(wanted, live, kind, owner=tools.owner, revision=change.revision, keep_power=keep_power, plain=plain)
        try:
            tools.access.apply(kind, change.key, body, version=_version(live), force=force)
        except ApiError as error:
            if not error.managers or not {manager for manager, _ in error.managers} <= _OURS:
                raise
            # Marks that were patched are held by ourselves in another role, and by nobody else as of that version.
            tools.access.apply(kind, change.key, body, version=_version(live), force=True)

    def _keeps_power(self, wanted: Resolved, live: LiveObject) -> bool:
        """Whether an operator's act, or one past gitvirt that is kept, holds the run strategy: then it is not written with the rest."""
        rules = self._rules()
        found = compare(wanted, live, rules) if isinstance(live, LiveVm) else ()
        by_hand = any(one.refused and one.path.removeprefix("spec.") in POWER_FIELDS for one in found)
        return by_hand or rules.holding(live) is not None

    def _with_shared_fields(self, wanted: Resolved, live: LiveObject | None) -> LiveObject | None:
        """Fields that KubeVirt writes too are written by themselves: whoever last started or stopped the VM holds the run strategy (KubeVirt's
        API, for `virtctl` and for gitvirt alike), and an apply would be refused because of them.
        """
        if not isinstance(live, LiveVm):
            return live
        differs = any(
            not one.refused and one.path.removeprefix("spec.") in POWER_FIELDS
            for one in compare(wanted, live, self._rules())
        )
        declared = (wanted.document.body.get("spec") or {}) if wanted.document is not None else {}
        served = (live.served.document.get("spec") or {}) if live.served is not None else {}
        spec = {**({name: declared.get(name) for name in POWER_FIELDS} if differs else {}), **renamed(declared, served)}
        if not spec:
            return live
        begun = {"annotations": {STOPPING: None}} if live.history.stop_asked_by == "delete" else {}
        change = {"metadata": {"resourceVersion": _version(live), **begun}, "spec": spec}
        self._tools.access.patch(KINDS[live.key.kind], live.key, change)
        return self._tools.observer.live(live.key)

    def _grow(self, wanted: ResolvedVolume, live: LiveVolume, steps: Steps) -> None:
        """The claim of a DataVolume, whose own spec is read once."""
        name = (wanted.key.namespace, wanted.key.name)
        claim = self._tools.caches.get(CLAIM, name)
        if wanted.key.kind != DATA_VOLUME or wanted.size_bytes <= live.size_bytes or claim is None:
            return
        change = {"spec": {"resources": {"requests": {"storage": str(wanted.size_bytes)}}}}
        self._tools.access.patch(KINDS[CLAIM], ObjectKey(CLAIM, *name), change)
        steps.note("asked for a larger claim")

    def _learn(self, wanted: Resolved, live: LiveObject | None) -> None:
        """What differs right after it was applied is what the server keeps in another form."""
        if live is None:
            return
        left = compare(wanted, live, self._rules())
        self._tools.caches.settle(
            wanted.key,
            (
                *(live.served.settled if live.served is not None else ()),
                *(
                    KeptField.of(d.path, d.before, d.after)
                    for d in left
                    if not d.refused
                    and d.stored
                    and SECRET not in (d.before, d.after)
                    and not d.path.endswith(".storage")
                ),
            ),
        )

    def _remove(self, change: Change, live: LiveObject | None, kind: Kind) -> Outcome:
        steps = Steps()
        if isinstance(live, LiveVolume) and live.phase == LOST and not self._is_there(live):
            forget(self._tools, change.key)
            steps.note("forgot the lost disk")
            return steps.outcome()
        if live is None or live.served is None:
            return Outcome(result=Result.UNCHANGED, reason="it is gone already")
        document = live.served.document
        if isinstance(live, LiveVolume):
            return trash.throw_away(self._tools, change.key, document, change.revision, steps)
        if isinstance(live, LiveVm):
            stopped = self._power.stop(live, steps, purpose="delete")
            if stopped.result is Result.PROGRESSING:
                return stopped
            noted = None if metadata_of(document).get("deletionTimestamp") else self._tools.deletions.note(change.key)
            if noted is not None:
                return replace(noted, steps=tuple(steps.done))
            return remove_vm(self._tools, change.key, document, steps)
        if isinstance(live, LiveNetwork):
            users = self._tools.caches.plugged_into((change.key.namespace, change.key.name))
            if users:
                named = ", ".join("/".join(user) for user in users)
                return steps.outcome(Result.RETRY, f"{change.key} is used by {named}; it goes after them", 5.0)
        if metadata_of(document).get("deletionTimestamp"):
            return steps.outcome(*kept_by_finalizers(document, self._tools.clock.now()))
        gone = self._tools.access.delete(kind, change.key, document)
        steps.note("deleted" if gone else "asked for deletion")
        if gone:
            return steps.outcome()
        going = self._tools.caches.find(change.key) or document
        return steps.outcome(*kept_by_finalizers(going, self._tools.clock.now()))

    def _is_there(self, live: LiveVolume) -> bool:
        """Whether there is an object of ours under the name of a lost disk."""
        return live.served is not None and is_ours(live.served.document, live.key, self._tools.owner)


def _version(live: LiveObject | None) -> str:
    document: Mapping[str, Any] = live.served.document if live is not None and live.served is not None else {}
    return str(metadata_of(document).get("resourceVersion", ""))


def _has_power(live: LiveVm, step: PowerStep | None) -> bool:
    match step:
        case PowerStep.START:
            return live.power not in (PowerState.OFF, PowerState.CRASHED)
        case PowerStep.STOP:
            return live.power is PowerState.OFF
        case PowerStep.PAUSE:
            return live.power is PowerState.PAUSED
        case PowerStep.UNPAUSE:
            return live.power is PowerState.RUNNING
        case PowerStep.RESTART:
            return False
    return True


def _missing(why: str) -> Outcome:
    return Outcome(result=Result.RETRY, reason=why, retry_after_s=MISSING_RETRY_S)
