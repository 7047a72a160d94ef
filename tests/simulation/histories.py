"""Seeded histories: what people, guests, hosts and remotes do while gitvirt works."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from reconciler.model.power import StopReason
from reconciler.model.revision import SourceState
from tests.simulation.fleet import NAMESPACE, Fleet, VmDraft

IMAGE = "http://images.example/base.img"
MISSING_IMAGE = "http://images.example/missing.img"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Somebody pushes."""

    fleet: Fleet
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestEnds:
    """A guest ends, and why."""

    vm: str
    why: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Meddling:
    """Somebody changes a VM by hand: ``memory``, ``nic``, ``undefine``, ``pause``, or a network: ``stop-network``."""

    how: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operator asks gitvirt: ``stop``, ``start``, ``pause``, ``resume`` or ``restart``."""

    verb: str
    vm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTrouble:
    """Looks at the remote come to this until the next event."""

    state: SourceState


@dataclass(frozen=True, slots=True)
class HostReboots:
    """Power is lost and comes back; gitvirt starts again with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonRestarts:
    """gitvirt is started anew, with its state directory or without."""

    keeps_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePasses:
    """Nobody does anything for a while."""

    seconds: float


Event = Commit | GuestEnds | Meddling | Operation | RemoteTrouble | HostReboots | DaemonRestarts | TimePasses


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A story: ``events`` in order, ``fleet`` is what the last commit declares."""

    seed: int
    events: tuple[Event, ...]

    @property
    def fleet(self) -> Fleet:
        """What the last commit declares."""
        return next(event.fleet for event in reversed(self.events) if isinstance(event, Commit))

    @property
    def immediate_or_asked(self) -> frozenset[str]:
        """VMs that some commit or operator allowed to be restarted."""
        asked = {event.vm for event in self.events if isinstance(event, Operation) and event.verb == "restart"}
        commits = [event for event in self.events if isinstance(event, Commit)]
        return frozenset(asked | {vm.name for commit in commits for vm in commit.fleet.vms.values() if vm.immediate})


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
                fleet, subject = _changed(fleet, chance, number)
            fleets.append(fleet)
            events.append(Commit(fleet=fleet, subject=subject))
        else:
            events.append(_happening(fleet, chance))
    return History(seed=seed, events=tuple(events))


def _changed(fleet: Fleet, chance: random.Random, number: int) -> tuple[Fleet, str]:
    """One change of the repository as people make them."""
    vm = fleet.vms[chance.choice(sorted(fleet.vms))] if fleet.vms else None
    choice = chance.choice(
        ("add", "memory", "nic", "disk", "grow", "delete", "delete-vm-only", "break", "strategy", "move", "clone", "spoil",
         "secret", "missing", "shrink", "purge")
    )  # fmt: skip
    if vm is None or choice == "add":
        return _with_new_vm(fleet, number), "add a VM"
    match choice:
        case "memory":
            return fleet.with_vm(replace(vm, memory=vm.memory + 32)), "more memory"
        case "nic":
            nets = tuple(net for net in fleet.nets if (net in vm.nets) != (net == chance.choice(fleet.nets)))
            return fleet.with_vm(replace(vm, nets=nets)), "other NICs"
        case "disk":
            more = replace(fleet, claims={**fleet.claims, f"{vm.name}-data{number}": 8})
            return more.with_vm(replace(vm, disks=(*vm.disks, f"{vm.name}-data{number}"))), "one more disk"
        case "grow":
            return replace(fleet, claims={name: size + 8 for name, size in fleet.claims.items()}), "grow all claims"
        case "shrink":
            return replace(fleet, claims=dict.fromkeys(fleet.claims, 4)), "ask for less than there is"
        case "purge":
            return replace(fleet, vms={}, claims={}, imports={}), "delete everything but the networks"
        case "delete":
            return _without_vm_and_disks(fleet, vm), "delete a VM with its disks"
        case "delete-vm-only":
            return fleet.without_vm(vm.name), "delete a VM, keep its disks"
        case "break":
            return fleet.with_vm(replace(vm, broken=not vm.broken)), "break or mend a VM"
        case "strategy":
            chosen = chance.choice(("Always", "Halted", "Manual", "RerunOnFailure", "Once"))
            return fleet.with_vm(replace(vm, strategy=chosen)), "another runStrategy"
        case "move":
            return replace(fleet, folder="moved" if fleet.folder == "vms" else "vms"), "move all VM files"
        case "clone" if fleet.claims:
            source = chance.choice(sorted(fleet.claims))
            copies = {**fleet.imports, f"copy{number}": (f"clone:{source}", 16)}
            return replace(fleet, imports=copies), "clone a claim"
        case "spoil":
            return replace(fleet, spoilt="" if fleet.spoilt else f"{fleet.folder}/{vm.name}.yaml"), "half a file"
        case "secret":
            return fleet.with_vm(replace(vm, secret=not vm.secret)), "cloud-init data"
        case "missing":
            return replace(
                fleet, imports={**fleet.imports, f"lost{number}": (MISSING_IMAGE, 16)}
            ), "an import from nowhere"
    return _with_new_vm(fleet, number), "add a VM"


def _without_vm_and_disks(fleet: Fleet, vm: VmDraft) -> Fleet:
    return replace(
        fleet.without_vm(vm.name),
        claims={name: size for name, size in fleet.claims.items() if name not in vm.disks},
        imports={name: facts for name, facts in fleet.imports.items() if name not in vm.disks},
    )


def _with_new_vm(fleet: Fleet, number: int) -> Fleet:
    name = f"new{number}"
    more = replace(fleet, claims={**fleet.claims, f"{name}-root": 16})
    return more.with_vm(VmDraft(name=name, disks=(f"{name}-root",), nets=fleet.nets[:1]))


def _happening(fleet: Fleet, chance: random.Random) -> Event:
    """Something that nobody committed."""
    vm = chance.choice(sorted(fleet.vms)) if fleet.vms else "vm0"
    events: tuple[Event, ...] = (
        GuestEnds(vm=vm, why=StopReason.GUEST),
        GuestEnds(vm=vm, why=StopReason.FAILED),
        GuestEnds(vm=vm, why=StopReason.DESTROYED),
        Meddling(how="memory", name=vm),
        Meddling(how="nic", name=vm),
        Meddling(how="undefine", name=vm),
        Meddling(how="pause", name=vm),
        Meddling(how="stop-network", name=f"{NAMESPACE}_front"),
        Operation(verb="stop", vm=vm),
        Operation(verb="start", vm=vm),
        Operation(verb="pause", vm=vm),
        Operation(verb="resume", vm=vm),
        Operation(verb="restart", vm=vm),
        RemoteTrouble(state=SourceState.UNREACHABLE),
        RemoteTrouble(state=SourceState.REF_MISSING),
        RemoteTrouble(state=SourceState.REWRITTEN),
        RemoteTrouble(state=SourceState.EMPTY),
        HostReboots(),
        DaemonRestarts(keeps_state=True),
        DaemonRestarts(keeps_state=False),
        TimePasses(seconds=400.0),
    )
    return chance.choice(events)
