"""Seeded histories: what people, guests, hosts and remotes do while gitvirt works."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from reconciler.model.power import StopReason
from reconciler.model.revision import SourceState
from tests.simulation.commits import IMAGE, changed
from tests.simulation.events import (
    ClockJumps,
    Commit,
    DaemonRestarts,
    Event,
    GuestEnds,
    HostReboots,
    Meddling,
    Operation,
    PoolTrouble,
    RemoteTrouble,
    TimePasses,
)
from tests.simulation.fleet import NAMESPACE, Fleet, VmDraft

DAY_S = 86400.0
YEARS_S = 10 * 365 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A story: ``events`` in order, ``fleet`` is what the last commit declares."""

    seed: int
    events: tuple[Event, ...]

    @property
    def fleet(self) -> Fleet:
        """What the last commit declares."""
        return next(event.fleet for event in reversed(self.events) if isinstance(event, Commit))


def first_fleet(chance: random.Random) -> Fleet:
    """Three or four VMs with their disks and networks."""
    fleet = Fleet(nets=("front", "back"))
    for number in range(chance.choice((3, 4))):
        name = f"vm{number}"
        imported = number == 0 or chance.random() < 0.2
        disk = f"{name}-root"
        fleet = replace(
            fleet,
            claims=fleet.claims if imported else {**fleet.claims, disk: 16},
            imports={**fleet.imports, disk: (IMAGE, 16)} if imported else fleet.imports,
        )
        vm = VmDraft(
            name=name,
            disks=(disk,),
            nets=("front",) if chance.random() < 0.8 else (),
            strategy=chance.choice(("Always", "Always", "Always", "RerunOnFailure", "Manual", "Halted", "Once")),
            immediate=chance.random() < 0.25,
            secret=chance.random() < 0.4,
        )
        fleet = fleet.with_vm(vm)
    return fleet


def make_history(seed: int, length: int = 7) -> History:
    """The history of a seed: always the same."""
    chance = random.Random(seed)
    fleet = first_fleet(chance)
    events: list[Event] = [Commit(fleet=fleet, subject="first")]
    fleets = [fleet]
    for number in range(length):
        if chance.random() < 0.55:
            if len(fleets) > 1 and chance.random() < 0.3:
                fleet, subject = chance.choice(fleets), "revert"
            else:
                fleet, subject = changed(fleet, chance, number)
            fleets.append(fleet)
            rewrites, approves = chance.random() < 0.06, chance.random() < 0.1
            events.append(Commit(fleet=fleet, subject=subject, rewrites=rewrites, approves=approves))
        else:
            events.append(_happening(fleet, chance))
    return History(seed=seed, events=tuple(events))


def _happening(fleet: Fleet, chance: random.Random) -> Event:
    """Something that nobody committed: first of which sort, then which."""
    vm = chance.choice(sorted(fleet.vms)) if fleet.vms else "vm0"
    sorts = (_of_guests(vm), _of_people(vm), _of_operators(vm, chance), _of_operators(vm, chance), _of_machines())
    return chance.choice(chance.choice(sorts))


def _of_guests(vm: str) -> tuple[Event, ...]:
    return (
        GuestEnds(vm=vm, why=StopReason.GUEST),
        GuestEnds(vm=vm, why=StopReason.FAILED),
        GuestEnds(vm=vm, why=StopReason.DESTROYED),
        Meddling(how="panic", name=vm),
        Meddling(how="io-error", name=vm),
    )


def _of_people(vm: str) -> tuple[Event, ...]:
    """By hand, past gitvirt."""
    return (
        Meddling(how="memory", name=vm),
        Meddling(how="nic", name=vm),
        Meddling(how="undefine", name=vm),
        Meddling(how="pause", name=vm),
        Meddling(how="unpause", name=vm),
        Meddling(how="power-on", name=vm),
        Meddling(how="stop-network", name=f"{NAMESPACE}_front"),
    )


def _of_operators(vm: str, chance: random.Random) -> tuple[Event, ...]:
    lasting = chance.choice((0.0, 30.0, 900.0))
    return (
        Operation(verb="stop", vm=vm, seconds=lasting),
        Operation(verb="start", vm=vm, seconds=lasting),
        Operation(verb="pause", vm=vm, seconds=lasting),
        Operation(verb="resume", vm=vm),
        Operation(verb="restart", vm=vm),
        Operation(verb="suspend", vm=vm, seconds=lasting),
        Operation(verb="suspend", vm=vm),
        Operation(verb="suspend-all", seconds=lasting),
        Operation(verb="resume-all"),
        Operation(verb="approve"),
        Operation(verb="approve"),
        Operation(verb="approve-stale"),
        Operation(verb="trash-restore"),
        Operation(verb="trash-empty"),
        Operation(verb="release", vm=vm),
        Operation(verb="release-disk", vm=vm),
        Operation(verb="reconcile"),
    )


def _of_machines() -> tuple[Event, ...]:
    return (
        RemoteTrouble(state=SourceState.UNREACHABLE),
        RemoteTrouble(state=SourceState.REF_MISSING),
        RemoteTrouble(state=SourceState.PATH_MISSING),
        RemoteTrouble(state=SourceState.EMPTY),
        PoolTrouble(full=True),
        PoolTrouble(full=False),
        HostReboots(),
        DaemonRestarts(keeps_state=True),
        DaemonRestarts(keeps_state=False),
        TimePasses(seconds=400.0),
        TimePasses(seconds=4000.0),
        ClockJumps(seconds=1800.0),
        ClockJumps(seconds=DAY_S),
        ClockJumps(seconds=YEARS_S),
        ClockJumps(seconds=-1800.0),
        ClockJumps(seconds=-DAY_S),
        ClockJumps(seconds=-YEARS_S),
    )
