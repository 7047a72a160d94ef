"""Wanted against live, as `Engine.compare` answers it for a cluster. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from nodeexec.kubevirt.circumstances import Circumstances
from nodeexec.kubevirt.conditions import condition, is_true
from nodeexec.kubevirt.finalizers import is_held
from nodeexec.kubevirt.impacts import impact_of
from nodeexec.kubevirt.kinds import CLAIM_KINDS, DATA_VOLUME
from nodeexec.kubevirt.leaves import ABSENT, MASK, Unlike, unlike
from nodeexec.kubevirt.manifest import POWER_FIELDS, compared, declared_part
from nodeexec.kubevirt.marks import OVERRIDE, metadata_of
from nodeexec.kubevirt.rollout import Rollout
from nodeexec.kubevirt.vm_references import template_of
from reconciler.model.live import KeptField, LiveObject, LiveVm, LiveVolume
from reconciler.model.plan import Difference, Impact
from reconciler.model.power import Override, OverrideAction, PowerState, RunStrategy
from reconciler.model.quantity import format_bytes
from reconciler.model.resolved import Resolved, ResolvedVm, ResolvedVolume, RestartPolicy
from reconciler.model.secret import SECRET_FIELDS

SECRET = "(secret)"  # noqa: S105 - what is shown in the place of one
_TEMPLATE = "spec.template.spec"
_BY_HAND = "somebody plugged it in by hand (virtctl); declare it, or unplug it by hand"
_POWER_BY_HAND = "somebody changed it (virtctl start or stop); it is kept: engine.kubevirt.correctPower puts it back"
_FRESH = "delete the claim (it goes to the trash), empty that, and declare it anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the cluster, the settings and the clock say: how KubeVirt rolls changes out, whether a run strategy that somebody else
    wrote is put back, and the time, by which an operator's act is over (None: nobody knows it, so all of them hold).
    """

    rollout: Rollout = Rollout()
    correct_power: bool = False
    now: datetime | None = None

    def holding(self, live: LiveObject) -> Override | None:
        """The operator's power action that holds."""
        override = live.marks.override if live.marks is not None else None
        return override if override is not None and (self.now is None or override.holds(self.now)) else None


def compare(wanted: Resolved, live: LiveObject, rules: Rules = Rules()) -> tuple[Difference, ...]:
    """Every field in which ``live`` is not as wanted, sorted by path; empty when nothing needs doing.

    Without a served document (a plan between two revisions) the last applied one stands for it.
    """
    marks = live.marks
    last = declared_part(marks.applied) if marks is not None and marks.applied else {}
    have = live.served.document if live.served is not None else last
    settled = live.served.settled if live.served is not None else ()
    want = compared(wanted, last, have) if live.served is not None else declared_part(wanted.applied)
    around = _circumstances(wanted, want, have, live, rules)
    found: list[Difference] = []
    for one in unlike(want, last, have):
        difference = _difference(one, wanted, live, rules, around)
        if difference is not None and KeptField.of(one.path, difference.before, difference.after) not in settled:
            found.append(difference)
    if isinstance(live, LiveVm) and isinstance(wanted, ResolvedVm):
        found += _waiting_for_restart(want, live, explained=any(d.path.startswith(_TEMPLATE) for d in found))
        found += _going(live)
        found += _over(wanted, live, rules, found)
    if isinstance(live, LiveVolume) and isinstance(wanted, ResolvedVolume):
        found = [*(d for d in found if not d.path.endswith(".requests.storage")), *_size(wanted, live)]
    if not found and marks is not None and marks.applied is not None and marks.applied != wanted.applied:
        found.append(_recorded())
    return tuple(sorted(found, key=lambda difference: difference.path))


def _circumstances(
    wanted: Resolved, want: Mapping[str, Any], have: Mapping[str, Any], live: LiveObject, rules: Rules
) -> Circumstances:
    return Circumstances(
        wanted=want,
        have=have,
        instance=live.served.instance if live.served is not None else None,
        rollout=rules.rollout,
        may_restart=isinstance(wanted, ResolvedVm) and wanted.restart_policy is RestartPolicy.IMMEDIATE,
    )


def _difference(
    one: Unlike, wanted: Resolved, live: LiveObject, rules: Rules, around: Circumstances
) -> Difference | None:
    path, running = one.path, True
    impact, reason, refused = Impact.NONE, "it is not as declared", ""
    if isinstance(live, LiveVm):
        verdict = impact_of(one, around)
        impact, reason, refused, running = verdict.impact, verdict.reason, verdict.refused, not verdict.is_power
        if verdict.is_power and rules.holding(live) is not None:
            return None
        if one.foreign:
            impact, refused = Impact.LIVE, _BY_HAND
        elif verdict.is_power and not rules.correct_power and _is_somebody_s(wanted, live):
            refused = _POWER_BY_HAND
    elif wanted.key.kind in CLAIM_KINDS and path.startswith("spec"):
        reason = "it is settled when the volume is made"
        refused = f"{reason}; {_FRESH}"
    before, after = _redacted(path, one.before, wanted), _redacted(path, one.after, wanted)
    return Difference(
        path=path, before=before, after=after, impact=impact, reason=reason, refused=refused, running=running
    )


def _is_somebody_s(wanted: Resolved, live: LiveVm) -> bool:
    """Whether neither Git nor gitvirt moved the run strategy: Git asks for the same as when the VM was last applied, and no act
    of an operator at gitvirt is over that left it so, nor a deletion that was begun before the VM was declared again.
    """
    if (live.marks is not None and live.marks.override is not None) or live.history.stop_asked_by == "delete":
        return False
    applied = (live.marks.applied if live.marks else None) or {}
    spec, was = wanted.applied.get("spec") or {}, applied.get("spec") or {}
    return all(spec.get(name) == was.get(name) for name in POWER_FIELDS)


def _size(wanted: ResolvedVolume, live: LiveVolume) -> Iterator[Difference]:
    """A request below what there is is satisfied."""
    if wanted.size_bytes > live.size_bytes:
        where = "the claim of the DataVolume grows" if wanted.key.kind == DATA_VOLUME else "the claim grows"
        yield Difference(
            path=wanted.size_path,
            before=format_bytes(live.size_bytes),
            after=format_bytes(wanted.size_bytes),
            impact=Impact.LIVE,
            reason=f"{where}; its storage class has to allow it",
        )


def _waiting_for_restart(want: Mapping[str, Any], live: LiveVm, *, explained: bool) -> Iterator[Difference]:
    """What KubeVirt says waits for a restart: of the template, what the instance does not have. That there is nothing is
    ``explained`` where the template itself is not as declared: what waits is what somebody wrote there.
    """
    served = live.served
    if served is None or served.instance is None:
        return
    if not is_true(served.document, "RestartRequired"):
        return
    asked = condition(served.document, "RestartRequired") or {}
    reason = str(asked.get("message") or "KubeVirt says that it takes effect at a restart")
    found = [
        one
        for one in unlike(template_of(want), ABSENT, served.instance.get("spec") or {}, _TEMPLATE)
        if not one.foreign and not one.path.endswith((".dataVolume", ".persistentVolumeClaim"))
    ]
    for one in found:
        yield Difference(
            path=one.path, before=shown(one.path, one.before), after=shown(one.path, one.after),
            impact=Impact.RESTART, reason=reason, stored=False,
        )  # fmt: skip
    if not found and not explained:
        yield Difference(
            path="spec.template", before=None, after=None, impact=Impact.RESTART, reason=reason, stored=False
        )


def _going(live: LiveVm) -> Iterator[Difference]:
    """A deletion that was begun and is declared again meanwhile: it cannot be taken back, so it is ended and the VM made anew."""
    if live.served is not None and is_held(live.served.document):
        yield Difference(
            path="metadata.deletionTimestamp", before=metadata_of(live.served.document)["deletionTimestamp"], after=None,
            impact=Impact.NONE, reason="it is being deleted; it is made anew on its disks once it is gone", running=False,
        )  # fmt: skip


def _over(wanted: ResolvedVm, live: LiveVm, rules: Rules, found: Collection[Difference]) -> Iterator[Difference]:
    """An operator's act that is over and has left nothing to undo is taken off the VM: what somebody does later is not it."""
    act = live.marks.override if live.marks is not None else None
    if act is None or rules.holding(live) is not None:
        return
    is_felt = any(one.path.removeprefix("spec.") in POWER_FIELDS for one in found) or (act.action, live.power) in (
        (OverrideAction.PAUSE, PowerState.PAUSED),
        *(((OverrideAction.STOP, PowerState.OFF),) if wanted.run_strategy is RunStrategy.RERUN_ON_FAILURE else ()),
    )
    if not is_felt:
        yield Difference(
            path=f"metadata.annotations[{OVERRIDE}]", before=str(act.action), after=None, impact=Impact.NONE,
            reason=f"the {act.action} by operator {act.by} is over", stored=False, running=False,
        )  # fmt: skip


def _recorded() -> Difference:
    """The manifest changed in nothing that shows on the object (its order, a comment's field, its source)."""
    reason = "recorded only: nothing on the cluster depends on it"
    return Difference(
        path="metadata.annotations[gitvirt.io/applied]", before=None, after=None, impact=Impact.NONE, reason=reason,
        running=False,
    )  # fmt: skip


def _redacted(path: str, value: Any, wanted: Resolved) -> Any:
    return (
        SECRET
        if wanted.key.kind == "Secret" and path.startswith("data") and value is not ABSENT
        else shown(path, value)
    )


def shown(path: str, value: Any) -> Any:
    """A value as it may be shown."""
    if value is ABSENT:
        return None
    name = path.rpartition(".")[2].partition("[")[0]
    if name in SECRET_FIELDS:
        return value if isinstance(value, str) and value.startswith(MASK) else SECRET
    if isinstance(value, Mapping):
        return {inner: shown(f"{path}.{inner}", one) for inner, one in value.items()}
    if isinstance(value, list):
        return [shown(path, one) for one in value]
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
    return value
