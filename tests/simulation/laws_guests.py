"""No surprise reboot (law 4), power as it is wanted (law 8), identity never rolled anew (law 9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from nodeexec.simulated.host import StepRecord
from nodeexec.simulated.state import HostDomain, HostState, domain_name
from reconciler.model.domain import DomainSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.moment import JUMP_S
from reconciler.model.plan import Action
from reconciler.model.power import OverrideAction, PowerState
from tests.simulation.fleet import GRACE_S, OPEN_HOURS
from tests.simulation.known import Act, Known, changed_domains, vm_of

WINDOW_S = 3600.0
FEW = 3


def no_unasked_stop(known: Known, record: StepRecord) -> Iterator[str]:
    """A guest that runs is ended or pressed only for a deletion, a restart that was begun, ``Halted``, or an operator."""
    for before, after in changed_domains(record):
        if before.running is None or before.power is PowerState.CRASHED or not _is_disturbed(before, after):
            continue
        is_deleted = record.reason.startswith("delete") and known.draft(before) is None
        is_restarted = _restart_of(before) is not None
        is_halted = known.said(before)[0] == "Halted" or known.overrides(before, OverrideAction.STOP, record)
        if not (is_deleted or is_restarted or is_halted):
            yield f"the guest of {before.name} was stopped or pressed and nobody asked for it"


def _is_disturbed(before: HostDomain, after: HostDomain | None) -> bool:
    """Whether a running guest was ended, restarted or asked to shut down."""
    if after is None or after.running is None or after.boots != before.boots:
        return True
    pressed = after.off_at is not None and before.off_at is None
    return pressed or (after.power is not before.power and after.power is PowerState.OFF)


def _restart_of(domain: HostDomain | None) -> datetime | None:
    """When the restart began that is under way."""
    if domain is None or domain.history.stop_asked_by != "restart" or domain.boots != domain.boots_at_stop:
        return None
    return domain.history.stop_requested_at


def no_unasked_pause_or_start(known: Known, record: StepRecord) -> Iterator[str]:
    """Only an operator has guests paused. A VM that is ``Halted``, or stopped by an operator, is not started."""
    for before, after in changed_domains(record):
        if after is None or after.power is before.power:
            continue
        if after.power is PowerState.PAUSED and not known.overrides(before, OverrideAction.PAUSE, record):
            yield f"the guest of {before.name} was paused and nobody asked for it"
        if before.power is not PowerState.OFF or after.power is not PowerState.RUNNING:
            continue
        if known.overrides(before, OverrideAction.START, record):
            continue
        is_stopped = known.overrides(before, OverrideAction.STOP, record, throughout=True)
        if is_stopped or known.said(before)[0] == "Halted":
            yield f"the guest of {before.name} was started and is to be off"


def stop_is_obeyed(act: Act, state: HostState) -> Iterator[str]:
    """A stop that was not refused is carried out, or begun, before the operator has the answer, whatever else is to do to the VM;
    unless it was halted.
    """
    if act.verb != "stop" or act.key is None:
        return
    domain = state.domains.get(domain_name(act.key))
    if domain is None or domain.marks is None or domain.marks.suspended:
        return
    if domain.power in (PowerState.RUNNING, PowerState.PAUSED) and domain.history.stop_requested_at is None:
        yield f"an operator stopped {act.key.name}, and nothing was done about it"


GUEST_LAWS = (no_unasked_stop, no_unasked_pause_or_start)


class Restarts:
    """A restart begins by policy, ``Immediate`` or in an open window, or because an operator asks; many within an hour wait for
    a person.
    """

    def __init__(self) -> None:
        self._begun: list[tuple[Begun, ObjectKey]] = []

    def __call__(self, known: Known, record: StepRecord) -> Iterator[str]:
        """The law."""
        for before, after in changed_domains(record):
            if _restart_of(after) is None or _restart_of(before) is not None:
                continue
            vm = vm_of(before)
            if known.asks("restart", vm):
                continue
            policy = known.said(before)[1]
            is_open = any(at.hour in OPEN_HOURS for at in known.moments(record))
            if not (policy == "Immediate" or (policy == "Window" and is_open)):
                yield f"a restart of {before.name} began and its policy is {policy}"
            self._begun.append((Begun.of(known, record), vm))
            if (vm, Action.RESTART) in known.approved:
                known.approved.discard((vm, Action.RESTART))
                continue
            # One that was deleted meanwhile counts among the deletions.
            owned = {vm_of(domain) for domain in record.before.domains.values() if known.owns(domain.marks)}
            counts = [
                len({one for begun, one in self._begun if one in owned and begun.is_recent(record, now)})
                for now in known.moments(record)
            ]
            if min(counts) > FEW or (min(counts) >= 2 and min(counts) >= len(owned)):
                yield f"{min(counts)} of {len(owned)} VMs were restarted within an hour without approval"


@dataclass(frozen=True, slots=True)
class Begun:
    """When something was begun, by both clocks: the earliest that its mark can say."""

    at: datetime
    monotonic_s: float
    boot_id: str

    @classmethod
    def of(cls, known: Known, record: StepRecord) -> Begun:
        """What a step does."""
        return cls(min(known.moments(record)), known.began_s, record.after.boot_id)

    def is_recent(self, record: StepRecord, now: datetime) -> bool:
        """Within the hour before a step, whatever the time of day was set to. Since before a reboot it is all there is: within the hour
        by it, or later than now, where it was set back.
        """
        if self.boot_id == record.after.boot_id:
            return record.monotonic - self.monotonic_s < WINDOW_S - JUMP_S
        return (now - self.at).total_seconds() < WINDOW_S


class Grace:
    """A guest is forced off only when it had its grace period, by a clock that nobody can set."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[datetime | None, float]] = {}

    def __call__(self, known: Known, record: StepRecord) -> Iterator[str]:
        """The law."""
        for before, after in changed_domains(record):
            if after is not None and after.history.stop_requested_at != before.history.stop_requested_at:
                self._asked[before.name] = (after.history.stop_requested_at, record.monotonic)
            if record.name != "force off" or before.power is PowerState.CRASHED or before.running is None:
                continue
            _, since = self._asked.get(before.name, (None, record.monotonic))
            if record.monotonic - since < GRACE_S:
                yield f"the guest of {before.name} was forced off after {record.monotonic - since:.0f} s"


class Identity:
    """UUIDs and MACs are what they were the first time, for good."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}

    def __call__(self, _known: Known, record: StepRecord) -> Iterator[str]:
        """The law."""
        for name, domain in record.after.domains.items():
            if record.before.domains.get(name) is domain or domain.marks is None:
                continue
            for half in (domain.stored, domain.running):
                yield from self._of(name, half) if half is not None else ()

    def _of(self, name: str, spec: DomainSpec) -> Iterator[str]:
        said = {"UUID": spec.uuid, "serial": spec.serial}
        said |= {f"MAC of {nic.name}": nic.mac for nic in spec.interfaces if not nic.name.startswith("foreign:")}
        for what, value in said.items():
            first = self._first.setdefault((name, what), value)
            if first != value:
                yield f"the {what} of {name} was {first} and is {value}"
