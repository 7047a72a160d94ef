"""Changes of simulated VMs: create, update (stored half and, where it can be done live, the running one), delete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TypeVar

from nodeexec.simulated.faults import HostError
from nodeexec.simulated.host import Mutation
from nodeexec.simulated.power import PowerControl, changed, grace_of, refuse_impossible_disks, refuse_missing_network
from nodeexec.simulated.state import (
    HostDomain,
    HostState,
    HostTrash,
    HostVolume,
    VolumePlace,
    domain_name,
    places_of,
    seed_place,
)
from nodeexec.simulated.steps import Executor, Steps
from nodeexec.simulated.trash import trash_name
from nodeexec.simulated.volume_changes import new_volume
from nodeexec.spec_difference import compare
from reconciler.model.domain import DiskSpec, DomainSpec, InterfaceSpec
from reconciler.model.live import LiveVm, TrashItem
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change, Difference, Impact
from reconciler.model.resolved import ResolvedVm

T = TypeVar("T", DiskSpec, InterfaceSpec)

SEED_POOL = "default"
SEED_SIZE = 1 << 20


class VmChanges:
    """Applies one change of one VM. Every call may be the first after a crash at any step of an earlier one."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.power = PowerControl(executor)

    def create(self, change: Change, wanted: ResolvedVm) -> Outcome:
        """Define with its marks in the same step, then what belongs to it (so that nothing is left without an owner),
        then power.
        """
        steps = Steps.of(self._executor, change)
        domain = HostDomain(
            name=domain_name(change.key),
            stored=wanted.domain,
            marks=self._executor.new_marks(wanted, change.revision, None),
            behaviour=self._executor.host.behaviour,
        )

        def define(state: HostState) -> None:
            if domain.name in state.domains:
                raise HostError(f"domain {domain.name} exists already", transient=True)
            state.domains[domain.name] = domain
            state.trash.pop(change.restore, None)

        steps.do("define domain", define)
        self._make_seeds(wanted, steps)
        return self.power.carry_out(change, steps, change.power) if change.power else steps.outcome()

    def update(self, change: Change, wanted: ResolvedVm) -> Outcome:
        """Stored half, then power or a restart, and last what the running half can be given live, so that no device keeps
        anybody from stopping the guest (law 8).
        """
        steps = Steps.of(self._executor, change)
        if change.power_alone and change.power is not None:
            return self.power.carry_out(change, steps, change.power)
        self._store(change, wanted, steps)
        self._make_seeds(wanted, steps)
        self._set_credentials(wanted, steps)
        if change.action is Action.RESTART:
            outcome = self.power.restart(change, steps)
        elif change.power is not None:
            outcome = self.power.carry_out(change, steps, change.power)
        else:
            outcome = steps.outcome()
        if not change.takes_guest_down:
            self._change_running(wanted, steps)
        self._drop_seeds(steps)
        result = Result.APPLIED if outcome.result is Result.UNCHANGED and steps.done else outcome.result
        return replace(outcome, result=result, steps=tuple(steps.done))

    def delete(self, change: Change) -> Outcome:
        """Graceful stop, definition to the trash, the domain away, and its ISOs last: one that stays is found by itself."""
        steps = Steps.of(self._executor, change)
        name = domain_name(change.key)
        waiting = self.power.stop(change.key, steps, "delete", grace_of(change, self._executor.state.domains[name]))
        if waiting is not None:
            return waiting
        self._to_trash(change, self._executor.state.domains[name], steps)
        steps.do("undefine domain", lambda state: _discard(state, name))
        self._drop_seeds(steps)
        return steps.outcome()

    def _to_trash(self, change: Change, domain: HostDomain, steps: Steps) -> None:
        state = self._executor.state
        if any(entry.domain is not None and entry.domain == domain for entry in state.trash.values()):
            return
        now = self._executor.clock.now()
        item = TrashItem(
            item=trash_name(state, change.key, now),
            key=change.key,
            owner=self._executor.owner,
            trashed_at=now,
            pool=SEED_POOL,
            revision=change.revision,
            applied=domain.marks.applied if domain.marks else None,
            host=domain.marks.host if domain.marks else "",
        )
        entry = HostTrash(item=item, domain=domain, trashed=self._executor.reading().moment().kernel_time)

        def put(after: HostState) -> None:
            after.trash[item.item] = entry

        steps.do("trash definition", put)

    def _store(self, change: Change, wanted: ResolvedVm, steps: Steps) -> None:
        """Write the stored half and the marks, keeping what must not be touched."""
        domain = self._executor.state.domains[domain_name(change.key)]
        live = self._executor.reading().live(change.key)
        target = stored_target(wanted, live, domain) if isinstance(live, LiveVm) else wanted.domain
        marks = self._executor.new_marks(wanted, change.revision, domain.marks)
        if domain.marks is not None and domain.marks.applied == marks.applied:
            marks = replace(marks, revision=domain.marks.revision)
        if domain.stored == target and domain.marks == marks and not domain.foreign_stored:
            return
        steps.do("redefine domain", changed(domain.name, stored=target, marks=marks, foreign_stored=()))

    def _change_running(self, wanted: ResolvedVm, steps: Steps) -> None:
        """One unit (a device, a field) after another, each only when all it changes can be changed live."""
        name = domain_name(wanted.key)
        for _ in range(100):
            live = self._executor.reading().live(wanted.key)
            if not isinstance(live, LiveVm) or live.running is None:
                return
            unit = next(live_units(wanted, live), None)
            if unit is None:
                return
            label, candidate = unit
            steps.do(label, _run_as(name, candidate))

    def _set_credentials(self, wanted: ResolvedVm, steps: Steps) -> None:
        live, access = self._executor.reading().live(wanted.key), wanted.guest_access
        if access is None or not isinstance(live, LiveVm) or not live.guest_agent or live.guest_access == access.digest:
            return
        name = domain_name(wanted.key)

        def put(state: HostState) -> None:
            domain = state.domains[name]
            state.domains[name] = replace(domain, guest_access=(access.digest, domain.boots))

        steps.do("set credentials in guest", put)

    def _make_seeds(self, wanted: ResolvedVm, steps: Steps) -> None:
        marks = self._executor.new_marks(wanted, "", None)
        for disk in wanted.domain.disks:
            place = seed_place(wanted.domain.name, disk, SEED_POOL)
            if place is None or place in self._executor.state.volumes:
                continue
            seed = HostVolume(
                pool=place[0],
                name=place[1],
                kind="",
                format="raw",
                size_bytes=SEED_SIZE,
                content="",
                marks=marks,
                attached_to=wanted.key,
            )
            steps.do(f"create seed {disk.name}", new_volume(seed))

    def _drop_seeds(self, steps: Steps) -> None:
        """Remove this VM's ISOs that neither half of its domain names any more."""
        name, state = domain_name(steps.key), self._executor.state
        domain = state.domains.get(name)
        halves = (domain.stored, domain.running) if domain else ()
        named = {place for half in halves if half is not None for place in places_of(name, half, SEED_POOL)}
        for place, volume in sorted(state.volumes.items()):
            is_seed = not volume.kind and place[0] == SEED_POOL and place[1].startswith(f"{name}.")
            if is_seed and place not in named and self._executor.reading().owns(volume.marks):
                steps.do("remove seed", _remove_volume(place))


def stored_target(wanted: ResolvedVm, live: LiveVm, domain: HostDomain) -> DomainSpec:
    """What the stored half is to be: as wanted, except disks whose difference is refused, which stay as they are."""
    refused = {item_of(entry, "disks") for entry in compare(wanted, live) if entry.refused and entry.stored} - {""}
    if not refused or domain.stored is None:
        return wanted.domain
    kept = {disk.name: disk for disk in domain.stored.disks if disk.name in refused}
    disks = tuple(kept.pop(disk.name, disk) for disk in wanted.domain.disks)
    return replace(wanted.domain, disks=(*disks, *kept.values()))


def live_units(wanted: ResolvedVm, live: LiveVm) -> Iterator[tuple[str, DomainSpec]]:
    """(step, running half after it) of every unit of the running half that can be made as wanted right now."""
    running = live.running
    if running is None:
        return
    before = _running_differences(wanted, live, running)
    if not any(entry.impact is Impact.LIVE and not entry.refused for entry in before):
        return
    for label, candidate in _candidates(wanted.domain, running):
        left = _running_differences(wanted, live, candidate)
        gone = [entry for entry in before if entry not in left]
        if gone and all(entry.impact is Impact.LIVE and not entry.refused for entry in gone):
            yield label, candidate


def _running_differences(wanted: ResolvedVm, live: LiveVm, running: DomainSpec) -> tuple[Difference, ...]:
    """Differences of the running half alone."""
    alone = replace(live, stored=wanted.domain, running=running, foreign_stored=(), foreign_running=())
    return tuple(entry for entry in compare(wanted, alone) if entry.running)


def _candidates(wanted: DomainSpec, running: DomainSpec) -> Iterator[tuple[str, DomainSpec]]:
    """The running half with one unit made as wanted."""
    for name in dict.fromkeys(nic.name for nic in (*running.interfaces, *wanted.interfaces)):
        nics, verb = _with_item(running.interfaces, wanted.interfaces, name)
        if verb:
            yield f"{verb} interface {name}", replace(running, interfaces=nics)
    for name in dict.fromkeys(disk.name for disk in (*running.disks, *wanted.disks)):
        disks, verb = _with_item(running.disks, wanted.disks, name)
        if verb:
            yield f"{verb} disk {name}", replace(running, disks=disks)
    for entry in fields(DomainSpec):
        value = getattr(wanted, entry.name)
        if entry.compare and entry.name not in ("disks", "interfaces") and getattr(running, entry.name) != value:
            values = {entry.name: value}
            yield f"set {entry.name}", replace(running, **values)


def _with_item(have: tuple[T, ...], want: tuple[T, ...], name: str) -> tuple[tuple[T, ...], str]:
    """``have`` with the item ``name`` as in ``want``, and what that is called; an empty word when they agree."""
    old = next((item for item in have if item.name == name), None)
    new = next((item for item in want if item.name == name), None)
    if old == new:
        return have, ""
    if new is None:
        return tuple(item for item in have if item.name != name), "detach"
    if old is None:
        order = {item.name: place for place, item in enumerate(want)}
        with_new = list(have)
        with_new.append(new)
        return tuple(sorted(with_new, key=lambda item: order.get(item.name, len(order)))), "attach"
    return tuple(new if item.name == name else item for item in have), "change"


def item_of(difference: Difference, list_name: str) -> str:
    """The name of the list item that a difference is about, empty for another path."""
    match = re.search(rf"\.{list_name}\[([^\]]+)\]", difference.path)
    return match[1] if match else ""


def _run_as(name: str, candidate: DomainSpec) -> Mutation:
    """The running half becomes ``candidate``; a device that the host cannot give is refused, as a hypervisor would."""

    def run(state: HostState) -> None:
        domain = state.domains[name]
        if domain.running is None:
            raise HostError(f"domain {name} is not running", transient=True)
        had = {nic.network for nic in domain.running.interfaces}
        refuse_impossible_disks(state, name, candidate)
        for nic in candidate.interfaces:
            if nic.network not in had:
                refuse_missing_network(state, nic.network)
        state.domains[name] = replace(domain, running=candidate)

    return run


def _discard(state: HostState, name: str) -> None:
    if name in state.domains and state.domains[name].running is not None:
        raise HostError(f"domain {name} is running", transient=True)
    state.domains.pop(name, None)


def _remove_volume(place: VolumePlace) -> Mutation:
    def remove(state: HostState) -> None:
        state.volumes.pop(place, None)

    return remove
