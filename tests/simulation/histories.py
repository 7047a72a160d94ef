"""Seeded histories: what people, guests, hosts and remotes do while gitvirt works."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
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
EXPIRES = "expires"
LENGTHS = (1, 1, 1, 1, 2, 2, 2, 3, 4, 7)
"""Events after the first commit: most bugs need few, some need many."""
CYCLES_AN_EVENT = 2
"""Where nothing says otherwise."""
SIZES = (1, 1, 1, 2, 2, 3, 4)
"""VMs of the first commit."""
SIZES_WITH_FAVOURS = (3, 4)
PACES = (0, 0, 0, 1, 1, 2)
"""Cycles after an event: two that come at once, one look at it, or a second one to what came of the first."""
YEARS_S = 10 * 365 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A story: ``events`` in order, ``fleet`` is what the last commit declares. ``expires``: the settings let trash expire.
    ``pace`` says how many cycles gitvirt gets after each event; without it `CYCLES_AN_EVENT`.
    """

    seed: int
    events: tuple[Event, ...]
    expires: bool = False
    pace: tuple[int, ...] = ()

    def cycles_after(self, place: int) -> int:
        """How many cycles follow the event of that number."""
        return self.pace[place] if self.pace else CYCLES_AN_EVENT

    @property
    def fleet(self) -> Fleet:
        """What the last commit declares."""
        return next(event.fleet for event in reversed(self.events) if isinstance(event, Commit))


def first_fleet(chance: random.Random, sizes: tuple[int, ...] = SIZES) -> Fleet:
    """So many VMs with their disks and networks."""
    fleet = Fleet(nets=("front", "back"))
    for number in range(chance.choice(sizes)):
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


def make_history(seed: int, favours: tuple[str, ...] = ()) -> History:
    """The history of a seed, always the same: a first commit, events after it by one of the `LENGTHS`, and as many cycles after each as its pace
    says. ``favours`` are words (of `commits.CHANGES`, of `HAPPENINGS`, or ``revert``) that two thirds of its events are about; it
    is a long one then, at an even pace. With `EXPIRES` among them its trash expires.
    """
    chance, pace = random.Random(seed), random.Random(f"pace {seed}")
    expires = seed % 4 == 3 or EXPIRES in favours
    favours = tuple(word for word in favours if word != EXPIRES)
    fleet = first_fleet(chance, SIZES_WITH_FAVOURS if favours else SIZES)
    events: list[Event] = [Commit(fleet=fleet, subject="first")]
    fleets = [fleet]
    for number in range(max(LENGTHS) if favours else pace.choice(LENGTHS)):
        word = chance.choice(favours) if favours and chance.random() < 0.67 else ""
        if word in HAPPENINGS or (not word and chance.random() < 0.45):
            events.append(_happening(fleet, chance, word))
            continue
        if word == "revert" or (not word and len(fleets) > 1 and chance.random() < 0.3):
            fleet, subject = chance.choice(fleets), "revert"
        else:
            fleet, subject = changed(fleet, chance, number, word)
        fleets.append(fleet)
        rewrites, approves = chance.random() < 0.06, chance.random() < 0.1
        events.append(Commit(fleet=fleet, subject=subject, rewrites=rewrites, approves=approves))
    paces = () if favours else tuple(_cycles_after(event, pace) for event in events)
    return History(seed=seed, events=tuple(events), expires=expires, pace=paces)


def _cycles_after(event: Event, pace: random.Random) -> int:
    """What lasts until the next event has to be met by one cycle at least."""
    cycles = pace.choice(PACES)
    return max(cycles, 1) if isinstance(event, RemoteTrouble | PoolTrouble) else cycles


def _happening(fleet: Fleet, chance: random.Random, word: str) -> Event:
    """Something that nobody committed: of the word, or else first of which sort, then which."""
    vm = chance.choice(sorted(fleet.vms)) if fleet.vms else "vm0"
    sort = _SORTS[chance.choice((0, 1, 2, 2, 3))]
    return HAPPENINGS[word or chance.choice(sorted(sort))](vm, chance.choice((0.0, 30.0, 900.0)))


Happening = Callable[[str, float], Event]
"""Makes an event about a VM; seconds are how long what is said is to hold."""

_GUESTS: Mapping[str, Happening] = {
    "guest-ends": lambda vm, _: GuestEnds(vm=vm, why=StopReason.GUEST),
    "guest-fails": lambda vm, _: GuestEnds(vm=vm, why=StopReason.FAILED),
    "guest-destroyed": lambda vm, _: GuestEnds(vm=vm, why=StopReason.DESTROYED),
    "panic": lambda vm, _: Meddling(how="panic", name=vm),
    "io-error": lambda vm, _: Meddling(how="io-error", name=vm),
}
_PEOPLE: Mapping[str, Happening] = {
    "edit-memory": lambda vm, _: Meddling(how="memory", name=vm),
    "edit-nic": lambda vm, _: Meddling(how="nic", name=vm),
    "undefine": lambda vm, _: Meddling(how="undefine", name=vm),
    "pause-by-hand": lambda vm, _: Meddling(how="pause", name=vm),
    "unpause-by-hand": lambda vm, _: Meddling(how="unpause", name=vm),
    "power-on": lambda vm, _: Meddling(how="power-on", name=vm),
    "stop-network": lambda _vm, _: Meddling(how="stop-network", name=f"{NAMESPACE}_front"),
}
_OPERATORS: Mapping[str, Happening] = {
    "stop": lambda vm, seconds: Operation(verb="stop", vm=vm, seconds=seconds),
    "start": lambda vm, seconds: Operation(verb="start", vm=vm, seconds=seconds),
    "pause": lambda vm, seconds: Operation(verb="pause", vm=vm, seconds=seconds),
    "resume": lambda vm, _: Operation(verb="resume", vm=vm),
    "restart": lambda vm, _: Operation(verb="restart", vm=vm),
    "suspend": lambda vm, seconds: Operation(verb="suspend", vm=vm, seconds=seconds),
    "suspend-all": lambda _vm, seconds: Operation(verb="suspend-all", seconds=seconds),
    "resume-all": lambda _vm, _: Operation(verb="resume-all"),
    "approve": lambda _vm, _: Operation(verb="approve"),
    "approve-stale": lambda _vm, _: Operation(verb="approve-stale"),
    "trash-restore": lambda _vm, _: Operation(verb="trash-restore"),
    "trash-empty": lambda _vm, _: Operation(verb="trash-empty"),
    "release": lambda vm, _: Operation(verb="release", vm=vm),
    "release-disk": lambda vm, _: Operation(verb="release-disk", vm=vm),
    "reconcile": lambda _vm, _: Operation(verb="reconcile"),
}
_MACHINES: Mapping[str, Happening] = {
    "unreachable": lambda _vm, _: RemoteTrouble(state=SourceState.UNREACHABLE),
    "ref-missing": lambda _vm, _: RemoteTrouble(state=SourceState.REF_MISSING),
    "path-missing": lambda _vm, _: RemoteTrouble(state=SourceState.PATH_MISSING),
    "empty-tree": lambda _vm, _: RemoteTrouble(state=SourceState.EMPTY),
    "pool-full": lambda _vm, _: PoolTrouble(full=True),
    "pool-dark": lambda _vm, _: PoolTrouble(full=False),
    "reboot": lambda _vm, _: HostReboots(),
    "restart-daemon": lambda _vm, _: DaemonRestarts(keeps_state=True),
    "lose-state": lambda _vm, _: DaemonRestarts(keeps_state=False),
    "time": lambda _vm, _: TimePasses(seconds=400.0),
    "an-hour": lambda _vm, _: TimePasses(seconds=4000.0),
    "three-hours": lambda _vm, _: TimePasses(seconds=11000.0),
    "clock-half-hour": lambda _vm, _: ClockJumps(seconds=1800.0),
    "clock-day": lambda _vm, _: ClockJumps(seconds=DAY_S),
    "clock-years": lambda _vm, _: ClockJumps(seconds=YEARS_S),
    "clock-back-half-hour": lambda _vm, _: ClockJumps(seconds=-1800.0),
    "clock-back-day": lambda _vm, _: ClockJumps(seconds=-DAY_S),
    "clock-back-years": lambda _vm, _: ClockJumps(seconds=-YEARS_S),
}
_SORTS = (_GUESTS, _PEOPLE, _OPERATORS, _MACHINES)
HAPPENINGS: Mapping[str, Happening] = {**_GUESTS, **_PEOPLE, **_OPERATORS, **_MACHINES}
"""What happens without a commit, by its words: guests, hands past gitvirt, operators, machines."""
