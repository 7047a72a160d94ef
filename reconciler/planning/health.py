"""What is true of every object, in KubeVirt's words: declared, applied, stored, running, held and unknown told apart."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from reconciler.model.declared import reading_of
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveObject, LiveResource, LiveVm, LiveVolume, Observation
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Blocked, Change, Difference, Hold, Note, Plan
from reconciler.model.power import PowerState, PowerStep, StopReason
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm, ResolvedVolume
from reconciler.model.status import Condition, ObjectState, ObjectStatus
from reconciler.planning.plan_absent import ORPHAN
from reconciler.planning.power import current_override, decide_power, is_backing_off, until_text
from reconciler.planning.proposal import access_pending
from reconciler.planning.restart import opening_text
from reconciler.ports import Engine

_WAITING_RESULTS = (Result.PROGRESSING, Result.CONFLICT)
_STATE_OF_HOLDS = {
    "suspended": ObjectState.SUSPENDED,
    "report-mode": ObjectState.REPORTED,
    "sync-wave": ObjectState.BLOCKED,
}


def keys_with_status(desired: DesiredState, observation: Observation, owner: str) -> set[ObjectKey]:
    """Every object that is declared or owned."""
    owned = {key for key, live in observation.objects.items() if live.marks and live.marks.owner == owner}
    return {*desired.objects, *desired.invalid, *desired.blocked, *desired.not_here} | owned


def statuses_of(
    keys: Collection[ObjectKey],
    desired: DesiredState,
    observation: Observation,
    plan: Plan,
    outcomes: Mapping[ObjectKey, Outcome],
    *,
    engine: Engine,
    owner: str,
    now: datetime,
) -> dict[ObjectKey, ObjectStatus]:
    """A status for each of ``keys`` that is declared or owned. ``plan`` is the one made after the last look; ``outcomes``
    are those of the attempts that have not been made good since.
    """
    said = _Said.of(plan)
    result = {}
    for key in keys:
        live = observation.objects.get(key)
        ours = live is not None and live.marks is not None and live.marks.owner == owner
        known = (desired.objects, desired.invalid, desired.blocked, desired.not_here)
        if not ours and not any(key in one for one in known):
            continue
        state, message = _state(key, desired, observation, said, outcomes.get(key), now)
        if isinstance(live, LiveVm) and ours and key not in said.holds:
            by_hand = tuple(_by_hand(live, now))
            is_said = any(said_by_hand.startswith(f"{message};") for said_by_hand in by_hand)
            message = "; ".join(filter(None, ("" if is_said else message, live.under_way, *by_hand)))
        result[key] = ObjectStatus(
            key=key,
            state=state,
            printable_status=_printable(key, live, desired, said.blocked.get(key), said.changes.get(key), now),
            message=message,
            declared=key in desired.present or key in desired.objects,
            revision=live.marks.revision if live and live.marks else "",
            source=_source(desired.objects.get(key), desired),
            observed_at=observation.taken_at,
            conditions=_conditions(key, live, desired, plan, state, message, now),
            show=partial(engine.document_of, live) if live is not None else None,
            facts=_facts(key, live, desired),
        )
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a plan says, by object."""

    changes: Mapping[ObjectKey, Change]
    holds: Mapping[ObjectKey, Hold]
    blocked: Mapping[ObjectKey, Blocked]
    staged: Mapping[ObjectKey, tuple[Difference, ...]]
    notes: Mapping[ObjectKey, tuple[Note, ...]]

    @classmethod
    def of(cls, plan: Plan) -> _Said:
        notes: dict[ObjectKey, tuple[Note, ...]] = {}
        for note in plan.notes:
            notes[note.key] = (*notes.get(note.key, ()), note)
        return cls(
            changes={change.key: change for change in plan.changes},
            holds={change.key: hold for hold in plan.held for change in hold.changes},
            blocked={entry.key: entry for entry in plan.blocked},
            staged=plan.restart_required,
            notes=notes,
        )


def _source(wanted: Resolved | None, desired: DesiredState) -> str:
    """The name of the source that declares an object."""
    document = wanted.document if wanted is not None else None
    return reading_of(desired.readings, document.origin).source if document is not None else ""


def _by_hand(live: LiveVm, now: datetime) -> Iterator[str]:
    """What an operator did that still holds; a change that waits for the end of a suspension says so itself."""
    marks, override = live.marks, current_override(live, now)
    ends = f"`gitvirt resume {live.key.namespace}/{live.key.name}` ends it"
    if override is not None:
        yield f"{override.action} by operator {override.by}{until_text(override.until)}; {ends}"
    if marks and marks.suspended and (marks.suspended_until is None or marks.suspended_until > now):
        yield f"suspended {marks.suspended}{until_text(marks.suspended_until)}; {ends}"


def _state(
    key: ObjectKey,
    desired: DesiredState,
    observation: Observation,
    said: _Said,
    outcome: Outcome | None,
    now: datetime,
) -> tuple[ObjectState, str]:
    """One word and one sentence; the gravest thing that is true wins."""
    change, hold, blocked = said.changes.get(key), said.holds.get(key), said.blocked.get(key)
    gaps = [gap.reason for gap in observation.unreadable if gap.key == key]
    if key not in observation.objects:
        # What was read is known, whatever else of its kind was not.
        gaps += [gap.reason for gap in observation.unreadable if gap.key is None and key.kind in gap.kinds]
    if gaps:
        return ObjectState.UNKNOWN, "; ".join(dict.fromkeys(gaps))
    if key in desired.not_here:
        return ObjectState.NOT_HERE, desired.not_here[key]
    if key in desired.invalid:
        return ObjectState.INVALID, blocked.by.removeprefix("not valid: ") if blocked else desired.invalid[key]
    if hold is not None:
        state = _STATE_OF_HOLDS.get(hold.rule, ObjectState.HELD)
        release = f"; `gitvirt approve {hold.hold_id}` releases it" if hold.approvable else ""
        return state, f"{hold.reason}{release}"
    if outcome is not None and outcome.is_fault:
        return ObjectState.FAILED, outcome.reason
    if blocked is not None:
        return (ObjectState.PROGRESSING if blocked.waiting else ObjectState.BLOCKED), blocked.by
    if change is not None or (outcome is not None and outcome.result in _WAITING_RESULTS):
        return ObjectState.PROGRESSING, outcome.reason if outcome and outcome.reason else (
            change.reason if change else ""
        )
    if fault := _platform_fault(observation.objects.get(key)):
        return ObjectState.FAILED, fault
    if pending := _platform_pending(observation.objects.get(key)):
        return ObjectState.PROGRESSING, pending
    if key in said.staged:
        paths = ", ".join(difference.path for difference in said.staged[key])
        wanted = desired.objects.get(key)
        opens = opening_text(wanted, now) if isinstance(wanted, ResolvedVm) else ""
        ways = f"`gitvirt restart {key.namespace}/{key.name}` brings {paths} into effect"
        return ObjectState.STAGED, "; ".join(filter(None, (ways, opens)))
    notes = said.notes.get(key, ())
    state = ObjectState.ORPHANED if any(note.code == ORPHAN for note in notes) else ObjectState.READY
    return state, "; ".join(note.message for note in notes) or _waits_for_its_user(observation.objects.get(key))


def _platform_fault(live: LiveObject | None) -> str:
    """What a platform that carries things out itself says it could not do."""
    match live:
        case LiveVm() | LiveVolume():
            return live.fault
    return ""


def _platform_pending(live: LiveObject | None) -> str:
    """What such a platform is still about."""
    return live.pending if isinstance(live, LiveVm | LiveVolume) else ""


def _waits_for_its_user(live: LiveObject | None) -> str:
    """Why a volume is well although nothing is on it yet, as the platform says it."""
    return live.reason if isinstance(live, LiveVolume) and live.fills_itself and not live.is_done else ""


def _printable(
    key: ObjectKey,
    live: LiveObject | None,
    desired: DesiredState,
    blocked: Blocked | None,
    change: Change | None,
    now: datetime,
) -> str:
    """KubeVirt's printableStatus of a VM, CDI's phase of a volume, Active or Inactive of a network."""
    match live:
        case LiveVolume():
            return live.phase
        case LiveNetwork():
            return "Active" if live.active else "Inactive"
        case LiveResource():
            return live.reported or "Present"
        case LiveVm():
            return _vm_status(live, desired, change, now)
    if key.kind == "VirtualMachine":
        if blocked is not None and blocked.waiting:
            return "Provisioning"
        return "Starting" if change is not None and change.power is PowerStep.START else "Stopped"
    return "Pending"


def _vm_status(live: LiveVm, desired: DesiredState, change: Change | None, now: datetime) -> str:
    if live.reported:
        return live.reported
    if live.pending:
        return "Pending"
    if live.power is PowerState.UNKNOWN:
        return "Unknown"
    if live.power is PowerState.PAUSED:
        return "Paused"
    if live.history.stop_requested_at is not None and live.running is not None:
        return "Terminating" if live.history.stop_asked_by == "delete" else "Stopping"
    if live.running is not None:
        return "Running" if live.power is not PowerState.STOPPING else "Stopping"
    wanted = desired.objects.get(live.key)
    if isinstance(wanted, ResolvedVm) and is_backing_off(decide_power(wanted.run_strategy, live, now)):
        return "CrashLoopBackOff"
    if change is not None and change.power is PowerStep.START:
        return "Starting"
    return "Stopped"


def _access(wanted: Resolved | None, live: LiveVm) -> Iterator[Condition]:
    """KubeVirt's word on accessCredentials, of a running guest that has some."""
    if not isinstance(wanted, ResolvedVm) or wanted.guest_access is None or live.running is None:
        return
    pending = access_pending(wanted, live)
    reason = "" if not pending else "Setting" if live.guest_agent else "AgentNotConnected"
    yield Condition(type="AccessCredentialsSynchronized", status=not pending, reason=reason)


def _conditions(
    key: ObjectKey,
    live: LiveObject | None,
    desired: DesiredState,
    plan: Plan,
    state: ObjectState,
    message: str,
    now: datetime,
) -> tuple[Condition, ...]:
    ready = (
        None
        if state in (ObjectState.UNKNOWN, ObjectState.ORPHANED)
        else state in (ObjectState.READY, ObjectState.STAGED)
    )
    conditions = [Condition(type="Ready", status=ready, reason=str(state), message=message)]
    if isinstance(live, LiveVm):
        conditions.append(Condition(type="AgentConnected", status=live.guest_agent))
        conditions += _access(desired.objects.get(key), live)
        conditions.append(Condition(type="Paused", status=live.power is PowerState.PAUSED))
        override = current_override(live, now)
        if override is not None:
            conditions.append(
                Condition(type="Overridden", status=True, reason=str(override.action), message=f"by {override.by}")
            )
    if key in plan.restart_required:
        fields = ", ".join(difference.path for difference in plan.restart_required[key])
        conditions.append(Condition(type="RestartRequired", status=True, reason="SpecChanged", message=fields))
    return tuple(conditions)


def _addresses(live: LiveVm) -> list[str]:
    """The guest's addresses that others can reach it at: none of the link only, IPv4 first."""
    everything = [ip for interface in live.interfaces for ip in interface.ips]
    reachable = [ip for ip in everything if not ipaddress.ip_address(ip).is_link_local]
    return sorted(reachable, key=lambda ip: ":" in ip)


def _facts(key: ObjectKey, live: LiveObject | None, desired: DesiredState) -> dict[str, str]:
    """Short facts for tables."""
    wanted = desired.objects.get(key)
    match live:
        case LiveVm():
            spec = live.running or live.stored
            ips = _addresses(live)
            facts = {"ip": ips[0] if ips else "", "ips": ",".join(ips), "accelerator": live.accelerator}
            if spec is not None:
                facts |= {"cpus": str(spec.cpu.count), "memory_mib": str(spec.memory_mib)}
            if live.stop_reason is not StopReason.UNKNOWN and live.running is None:
                facts["stopped_because"] = str(live.stop_reason)
            if live.history.started_at is not None:
                facts["started_at"] = live.history.started_at.isoformat()
            return facts
        case LiveVolume():
            facts = {"size_bytes": str(live.size_bytes), "pool": live.pool, "format": live.format}
            facts |= {"allocated_bytes": str(live.allocated_bytes), "class": live.storage_class, "volume": live.volume}
            if live.progress is not None:
                facts["progress"] = f"{live.progress:.0%}"
            facts["source"] = str(live.source or "")
            return facts
        case LiveNetwork():
            network = live.network
            return {"bridge": network.bridge if network else "", "address": network.address if network else ""}
    if isinstance(wanted, ResolvedVm):
        return {"cpus": str(wanted.domain.cpu.count), "memory_mib": str(wanted.domain.memory_mib)}
    if isinstance(wanted, ResolvedVolume):
        return {"size_bytes": str(wanted.size_bytes), "pool": wanted.pool, "source": str(wanted.source)}
    return {}
