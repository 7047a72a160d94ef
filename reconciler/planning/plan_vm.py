"""One VirtualMachine: its differences, its power, and the restart that may have to wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconciler.model.instancetype import instancetype_of
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveNetwork, LiveVm, LiveVolume
from reconciler.model.plan import UNWELL, Action, Blocked, Cause, Change, Difference, Hold, Impact, Note, worst
from reconciler.model.power import PowerState, PowerStep
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.hold_id import hold_id
from reconciler.planning.missing_references import missing_references
from reconciler.planning.other_key import UNKNOWN
from reconciler.planning.plan_absent import is_absent, is_leaving
from reconciler.planning.plan_storage import trashed_under
from reconciler.planning.power import PowerDecision, decide_power, platform_power, seconds_to_expiry
from reconciler.planning.proposal import Circumstances, Proposal, access_pending, ownership_obstacle, waits_for_adoption
from reconciler.planning.restart import restarts_by_itself, seconds_to_opening, whose_restart

_OFF = (PowerState.OFF, PowerState.CRASHED)
_WITHOUT_ITS_NEEDS = (PowerStep.STOP, PowerStep.PAUSE, PowerStep.UNPAUSE)
"""What can be done to a guest as it runs, whatever its next boot lacks."""


def plan_vm(wanted: ResolvedVm, around: Circumstances) -> Proposal:
    """What to do about one wanted VM."""
    proposal = _plan(wanted, around)
    missing = tuple(missing_references(wanted.document, around)) if around.policy.on_cluster else ()
    return replace(proposal, notes=(*proposal.notes, *missing)) if missing else proposal


def _plan(wanted: ResolvedVm, around: Circumstances) -> Proposal:
    live = around.live(wanted.key)
    obstacle = ownership_obstacle(wanted.key, live, around.policy)
    if obstacle is not None:
        return Proposal(blocked=obstacle)
    if not isinstance(live, LiveVm):
        return _create(wanted, around)
    return _update(wanted, live, around)


def _create(wanted: ResolvedVm, around: Circumstances) -> Proposal:
    if around.observation.is_unknown(wanted.key):
        return Proposal(blocked=Blocked(key=wanted.key, by=around.observation.why_unknown(wanted.key), waiting=True))
    trash = [item for item in around.observation.trash if item.key == wanted.key and item.owner == around.policy.owner]
    if wanted.adopt and not trash:
        return Proposal(blocked=waits_for_adoption(wanted))
    waits = _unready(wanted, around)
    if waits is not None:
        return Proposal(blocked=waits)
    power = power_of(wanted, None, around)
    keeps_firmware = wanted.domain.bootloader == "efi" and trash
    return Proposal(
        change=Change(
            key=wanted.key,
            action=Action.CREATE,
            cause=around.cause(wanted, None),
            impact=Impact.NONE,
            reason=f"{around.not_there}; {power.reason}{_size_text(wanted)}",
            expected="",
            revision=around.reading(wanted).revision,
            source=around.reading(wanted).source,
            wanted=wanted,
            power=power.step,
            restore=max(trash, key=lambda item: item.trashed_at).item if keeps_firmware else "",
            needs=(*wanted.networks, *wanted.claims),
        )
    )


def _size_text(wanted: ResolvedVm) -> str:
    """What an instancetype makes of a VM, where it can be told: the manifest does not say it."""
    named = instancetype_of(wanted.document.body, wanted.key.namespace)
    if named is None or not wanted.domain.memory_mib:
        return ""
    return (
        f"; {named.kind.partition('.')[0]} {named.name}: {wanted.domain.cpu.count} CPUs, {wanted.domain.memory_mib}Mi"
    )


def power_of(wanted: ResolvedVm, live: LiveVm | None, around: Circumstances) -> PowerDecision:
    """What is to be done to the guest's power, by gitvirt."""
    decide = platform_power if around.policy.on_cluster else decide_power
    return decide(wanted.run_strategy, live, around.now)


def _unready(wanted: ResolvedVm, around: Circumstances) -> Blocked | None:
    """What a VM waits for that no change of this plan will finish at once."""
    for key in (*wanted.claims, *wanted.networks):
        live = around.live(key)
        obstacle = ownership_obstacle(key, live, around.policy)
        if obstacle is not None and trashed_under(key, around):
            return Blocked(key=wanted.key, by=f"waits for {key}", by_keys=(key,), waiting=True)
        if obstacle is not None:
            return Blocked(key=wanted.key, by=obstacle.by, by_keys=(key,))
        if key in around.desired.blocked or key in around.desired.not_here:
            return Blocked(key=wanted.key, by=f"{key} is blocked or not here", by_keys=(key,))
        if key in around.desired.invalid and live is None:
            return Blocked(key=wanted.key, by=f"{key}: {around.desired.invalid[key]}", by_keys=(key,))
        if isinstance(live, LiveVolume) and not live.is_usable:
            done = f" ({live.progress:.0%})" if live.progress is not None else ""
            reason = f": {live.reason}" if live.reason else ""
            said, waiting = f"{key} is {live.phase}{done}{reason}", live.phase != LOST
            return Blocked(key=wanted.key, by=said, by_keys=(key,), waiting=waiting)
        if live is None and around.observation.is_unknown(key):
            said = f"{key} could not be read: {around.observation.why_unknown(key)}"
            return Blocked(key=wanted.key, by=said, by_keys=(key,), waiting=True)
        if isinstance(live, LiveVolume) and (before := _leaving_user(wanted, live, around)) is not None:
            return before
    return None


def _leaving_user(wanted: ResolvedVm, live: LiveVolume, around: Circumstances) -> Blocked | None:
    """A VM that has this one's disk and goes: a rename, as far as anybody can tell. One of the two at a time has it. So it is
    with one that runs and is kept, because not all of the repository can be read or nobody follows its source any more.
    """
    for user in live.used_by:
        if user == wanted.key or user.kind != "VirtualMachine" or not is_absent(user, around):
            continue
        if not is_leaving(user, around):
            other = around.live(user)
            if isinstance(other, LiveVm) and other.running is not None:
                by = f"{live.key} is in use by {user}, which is not in what could be read of the repository and runs"
                return Blocked(key=wanted.key, by=by, by_keys=(user,), waiting=True)
            continue
        disks = (around.live(key) for key in wanted.claims)
        has_all = all(isinstance(disk, LiveVolume) and user in disk.used_by for disk in disks)
        renamed = f"; it looks renamed from {user.namespace}/{user.name} and keeps its disks" if has_all else ""
        by = f"{live.key} is still used by {user}, which leaves the repository{renamed}"
        return Blocked(key=wanted.key, by=by, by_keys=(user,), waiting=True)
    return None


def _update(wanted: ResolvedVm, live: LiveVm, around: Circumstances) -> Proposal:
    differences = around.engine.compare(wanted, live)
    refused = tuple(difference for difference in differences if difference.refused)
    open_ones = tuple(difference for difference in differences if not difference.refused)
    is_off = live.running is None
    if is_off:
        open_ones = tuple(d if d.impact is Impact.NONE else replace(d, impact=Impact.NONE) for d in open_ones)
    staged = tuple(d for d in open_ones if not d.stored and d.impact.rank >= Impact.RESTART.rank)
    to_do = tuple(d for d in open_ones if d not in staged)
    power = power_of(wanted, live, around)
    waits = _unready(wanted, around) if power.step is PowerStep.START else None
    if waits is not None:
        power = PowerDecision(step=None, reason=waits.by)
    holds = (_hold_for_foreign(wanted, live, refused, around),) if refused else ()
    change = _change(wanted, live, to_do, staged, power, around)
    notes = (*_notes(wanted, live, power), *_lost_disks(wanted, around))
    needs_restart = (
        tuple(d for d in open_ones if d.impact.rank >= Impact.RESTART.rank and d.running) if not is_off else ()
    )
    opens_s = seconds_to_opening(wanted, around.now) if needs_restart else None
    due = (power.retry_after_s, seconds_to_expiry(live, around.now), opens_s)
    return Proposal(
        change=change,
        meanwhile=_power_alone(wanted, power, change, around),
        held=holds,
        blocked=waits,
        notes=notes,
        restart_required=needs_restart,
        retry_after_s=min((seconds for seconds in due if seconds is not None), default=None),
    )


def _change(
    wanted: ResolvedVm,
    live: LiveVm,
    to_do: tuple[Difference, ...],
    staged: tuple[Difference, ...],
    power: PowerDecision,
    around: Circumstances,
) -> Change | None:
    step, cause = power.step, around.cause(wanted, live)
    # A platform decides itself what it carries out live, and says afterwards what waits: before that nothing is restarted for it.
    due = staged if around.policy.on_cluster else (*to_do, *staged)
    waiting = tuple(d for d in due if d.impact.rank >= Impact.RESTART.rank and d.running)
    by_policy = bool(waiting) and restarts_by_itself(wanted, live, around.now)
    asked = wanted.key in around.restarts
    restarts = step is PowerStep.RESTART or (step is None and live.power not in _OFF and (asked or by_policy))
    if restarts:
        if by_policy and not to_do and cause is Cause.DRIFT:
            # What is stored is as Git wants it: the restart is the last part of a commit, not a correction.
            cause = Cause.COMMIT
        reason = (
            power.reason
            if step is PowerStep.RESTART
            else ("asked by an operator" if asked else _restart_reason(wanted, waiting))
        )
        return _assembled(
            wanted, live, Action.RESTART, Cause.OPERATOR if asked else cause, Impact.RESTART, reason,
            to_do or staged, PowerStep.RESTART, around,
        )  # fmt: skip
    if not to_do and step is None:
        return None
    power_difference = _power_difference(wanted, live, power)
    if power_difference is not None:
        # Where the commit changed the strategy, it is told in the manifest's words, and once.
        said = next((d for d in to_do if d.path == power_difference.path), power_difference)
        power_difference = replace(power_difference, before=said.before, after=said.after)
        to_do = tuple(d for d in to_do if d.path != power_difference.path)
    shown = (*to_do, *((power_difference,) if power_difference else ()))
    if step is not None and power.by_operator and not to_do:
        cause = Cause.OPERATOR
    return _assembled(
        wanted, live, Action.UPDATE, cause, worst([d.impact for d in shown]), _update_reason(wanted, to_do, power),
        shown, step, around,
    )  # fmt: skip


def _power_alone(
    wanted: ResolvedVm, power: PowerDecision, change: Change | None, around: Circumstances
) -> Change | None:
    """Power is its own plane (law 8): a disk that is still being imported is no reason to let a guest run on. One that is lost is: the
    guest may be the last to have it.
    """
    if (
        change is None
        or change.action is not Action.UPDATE
        or change.power not in _WITHOUT_ITS_NEEDS
        or not change.needs
    ):
        return None
    if any(isinstance(disk := around.live(key), LiveVolume) and disk.phase == LOST for key in wanted.claims):
        return None
    shown = tuple(difference for difference in change.differences if difference.path == wanted.run_strategy_path)
    return replace(
        change,
        cause=Cause.OPERATOR if power.by_operator else change.cause,
        impact=worst([difference.impact for difference in shown]),
        reason=power.reason,
        differences=shown,
        power_alone=True,
        needs=(),
    )


def _assembled(
    wanted: ResolvedVm,
    live: LiveVm,
    action: Action,
    cause: Cause,
    impact: Impact,
    reason: str,
    differences: tuple[Difference, ...],
    step: PowerStep | None,
    around: Circumstances,
) -> Change:
    return Change(
        key=wanted.key,
        action=action,
        cause=cause,
        impact=impact,
        reason=reason,
        expected=live.fingerprint,
        revision=around.reading(wanted).revision,
        source=around.reading(wanted).source,
        wanted=wanted,
        differences=differences,
        power=step,
        needs=_needs(wanted, around),
    )


def _needs(wanted: ResolvedVm, around: Circumstances) -> tuple[ObjectKey, ...]:
    """Networks and claims that are not ready yet; a VM that has them all waits for nobody."""
    needed: list[ObjectKey] = []
    for key in (*wanted.networks, *wanted.claims):
        live = around.live(key)
        ready = (isinstance(live, LiveNetwork) and live.active) or (isinstance(live, LiveVolume) and live.is_usable)
        if not ready:
            needed.append(key)
    return tuple(needed)


def _restart_reason(wanted: ResolvedVm, waiting: tuple[Difference, ...]) -> str:
    return f"restart policy {wanted.restart_policy}: {', '.join(d.path for d in waiting)} take effect at a restart"


def _update_reason(wanted: ResolvedVm, to_do: tuple[Difference, ...], power: PowerDecision) -> str:
    parts = []
    at_restart = [d for d in to_do if d.impact.rank >= Impact.RESTART.rank and d.running]
    if at_restart:
        parts.append(f"takes effect at the next restart, {whose_restart(wanted.restart_policy)}")
    elif to_do:
        parts.append(to_do[0].reason if len(to_do) == 1 else f"{len(to_do)} fields differ")
    if power.step is not None:
        parts.append(power.reason)
    return "; ".join(parts)


def _power_difference(wanted: ResolvedVm, live: LiveVm, power: PowerDecision) -> Difference | None:
    """Power as one more field of the plan, under the manifest path that asks for it. Where the manifest changed, the
    values are the manifest's.
    """
    step = power.step
    after: Any = {
        PowerStep.START: "Running",
        PowerStep.STOP: "Stopped",
        PowerStep.PAUSE: "Paused",
        PowerStep.UNPAUSE: "Running",
    }.get(step) if step else None  # fmt: skip
    if after is None:
        return None
    before: Any = {PowerState.OFF: "Stopped", PowerState.CRASHED: "Crashed", PowerState.PAUSED: "Paused"}.get(
        live.power, "Running"
    )
    impact = Impact.RESTART if step is PowerStep.STOP else Impact.LIVE
    ended = f"; it is off because: {live.stop_reason}" if before == "Stopped" else ""
    said, says = _said(live.marks.applied if live.marks else None, wanted), _said(wanted.applied, wanted)
    if says is not None and said not in (None, says):
        before, after = said, says
    return Difference(
        path=wanted.run_strategy_path,
        before=before,
        after=after,
        impact=impact,
        reason=power.reason if power.by_operator else f"runStrategy {wanted.run_strategy}{ended}",
        stored=False,
    )


def _said(document: Mapping[str, Any] | None, wanted: ResolvedVm) -> Any:
    """What an applied document says of power, None for nothing."""
    return ((document or {}).get("spec") or {}).get(wanted.run_strategy_path.rpartition(".")[2])


def _hold_for_foreign(wanted: ResolvedVm, live: LiveVm, refused: tuple[Difference, ...], around: Circumstances) -> Hold:
    """What gitvirt sees and will not change by itself, as a hold that says what a person can do."""
    change = Change(
        key=wanted.key,
        action=Action.UPDATE,
        cause=Cause.DRIFT,
        impact=worst([d.impact for d in refused]),
        reason="; ".join(dict.fromkeys(d.refused for d in refused)),
        expected=live.fingerprint,
        revision=around.reading(wanted).revision,
        source=around.reading(wanted).source,
        differences=refused,
    )
    return Hold(
        hold_id=hold_id((change,)), rule="not-by-itself", reason=change.reason, changes=(change,), approvable=False
    )


def _lost_disks(wanted: ResolvedVm, around: Circumstances) -> Iterator[Note]:
    """Said of the VM too: it may run on, or a platform may start it on something else."""
    for key in wanted.claims:
        volume = around.live(key)
        if isinstance(volume, LiveVolume) and volume.phase == LOST:
            yield Note(key=wanted.key, code="disk-lost", message=f"{key} is lost: {volume.reason}")


def _notes(wanted: ResolvedVm, live: LiveVm, power: PowerDecision) -> Iterator[Note]:
    key = wanted.key
    if live.fault:
        yield Note(key=key, code=UNWELL, message=live.fault)
    if live.power is PowerState.PAUSED and not live.fault and not power.by_operator:
        said = "the guest is paused, not by gitvirt; `gitvirt start` resumes it"
        yield Note(key=key, code="vm-paused", message=said)
    if wanted.of_another_key:
        yield Note(key=key, code="secrets-unknown", message=UNKNOWN)
    if access_pending(wanted, live) and not live.guest_agent:
        said = "accessCredentials are not set: the guest agent does not answer (is qemu-guest-agent installed and up?)"
        yield Note(key=key, code="access-credentials-waiting", message=said)
