"""One change of the repository, as people make them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.simulation.fleet import CLAIM, CLONE, HOST_MIB, NETWORK, PRUNE_WORDS, VM, Fleet, VmDraft, key

IMAGE = "http://images.example/base.img"
MISSING_IMAGE = "http://images.example/missing.img"

Change = Callable[[Fleet, VmDraft, random.Random, int], Fleet]
"""Makes the next fleet of a fleet, about one of its VMs; the number makes new names."""


def changed(fleet: Fleet, chance: random.Random, number: int, word: str = "") -> tuple[Fleet, str]:
    """The fleet after one change, any or that of a word, and what it is called."""
    if not fleet.vms:
        return with_new_vm(fleet, number), "add"
    vm = fleet.vms[chance.choice(sorted(fleet.vms))]
    word = word or chance.choice(sorted(CHANGES))
    return CHANGES[word](fleet, vm, chance, number), word


def with_new_vm(fleet: Fleet, number: int) -> Fleet:
    """One VM more, with a disk of its own."""
    name = f"new{number}"
    more = replace(fleet, claims={**fleet.claims, f"{name}-root": 16})
    return more.with_vm(VmDraft(name=name, disks=(f"{name}-root",), nets=fleet.nets[:1]))


def _more_memory(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return fleet.with_vm(replace(vm, memory=vm.memory + 32))


def _other_nics(fleet: Fleet, vm: VmDraft, chance: random.Random, _number: int) -> Fleet:
    nets = tuple(net for net in fleet.nets if (net in vm.nets) != (net == chance.choice(fleet.nets)))
    return fleet.with_vm(replace(vm, nets=nets))


def _one_more_disk(fleet: Fleet, vm: VmDraft, _chance: random.Random, number: int) -> Fleet:
    disk = f"{vm.name}-data{number}"
    more = replace(fleet, claims={**fleet.claims, disk: 8})
    return more.with_vm(replace(vm, disks=(*vm.disks, disk)))


def _one_disk_less(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    """From the VM and from the repository, in one commit."""
    if len(vm.disks) < 2:
        return fleet
    return _without_disks(fleet.with_vm(replace(vm, disks=vm.disks[:-1])), vm.disks[-1:])


def _swap_disks(fleet: Fleet, vm: VmDraft, chance: random.Random, _number: int) -> Fleet:
    """Two VMs exchange their last disks, in one commit."""
    others = [other for name, other in sorted(fleet.vms.items()) if name != vm.name and other.disks]
    if not others or not vm.disks:
        return fleet
    other = chance.choice(others)
    if vm.disks[-1] in other.disks or other.disks[-1] in vm.disks:
        return fleet
    swapped = fleet.with_vm(replace(vm, disks=(*vm.disks[:-1], other.disks[-1])))
    return swapped.with_vm(replace(other, disks=(*other.disks[:-1], vm.disks[-1])))


def _grow(fleet: Fleet, _vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return replace(fleet, claims={name: size + 8 for name, size in fleet.claims.items()})


def _ask_for_less(fleet: Fleet, _vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return replace(fleet, claims=dict.fromkeys(fleet.claims, 4))


def _delete_everything_but_networks(fleet: Fleet, _vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return replace(fleet, vms={}, claims={}, imports={})


def _delete_with_disks(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return _without_disks(fleet.without_vm(vm.name), vm.disks)


def _delete_vm_only(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return fleet.without_vm(vm.name)


def _delete_disk_in_use(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    """The claim goes, and the VM still names it."""
    return _without_disks(fleet, vm.disks[:1])


def _break_or_mend(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return fleet.with_vm(replace(vm, broken=not vm.broken))


def _too_much_memory_or_less(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return fleet.with_vm(replace(vm, memory=64 if vm.is_refused else HOST_MIB + 64))


def _other_strategy(fleet: Fleet, vm: VmDraft, chance: random.Random, _number: int) -> Fleet:
    chosen = chance.choice(("Always", "Halted", "Manual", "RerunOnFailure", "Once"))
    return fleet.with_vm(replace(vm, strategy=chosen))


def _other_restart_policy(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return fleet.with_vm(replace(vm, immediate=not vm.immediate, windowed=False, memory=vm.memory + 32))


def _restart_window(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return fleet.with_vm(replace(vm, immediate=False, windowed=not vm.windowed, memory=vm.memory + 32))


def _rename_vm(fleet: Fleet, vm: VmDraft, _chance: random.Random, number: int) -> Fleet:
    """Another VM with the disks of this one: one goes, one comes."""
    return fleet.without_vm(vm.name).with_vm(replace(vm, name=f"{vm.name}r{number}"))


def _move_folder(fleet: Fleet, _vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return replace(fleet, folder="moved" if fleet.folder == "vms" else "vms")


def _rename_file(fleet: Fleet, vm: VmDraft, _chance: random.Random, number: int) -> Fleet:
    """A manifest gets another file name; its disk's one as well."""
    moved = fleet.at_home(key(VM, vm.name), f"deep/er/{vm.name}-{number}.yaml")
    return moved.at_home(fleet.disk(vm.disks[0]), f"storage/deep/{number}.yaml") if vm.disks else moved


def _merge_or_split_files(fleet: Fleet, _vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    """All VMs in one file, and all claims; or each in its own again."""
    if "vms/all.yaml" in fleet.homes.values():
        return replace(fleet, homes={})
    for name in fleet.vms:
        fleet = fleet.at_home(key(VM, name), "vms/all.yaml")
    for name in fleet.claims:
        fleet = fleet.at_home(key(CLAIM, name), "storage/all.yaml")
    return fleet


def _clone(fleet: Fleet, _vm: VmDraft, chance: random.Random, number: int) -> Fleet:
    if not fleet.claims:
        return fleet
    source = chance.choice(sorted(fleet.claims))
    return replace(fleet, imports={**fleet.imports, f"copy{number}": (f"{CLONE}{source}", 16)})


def _import_from_nowhere(fleet: Fleet, _vm: VmDraft, _chance: random.Random, number: int) -> Fleet:
    return replace(fleet, imports={**fleet.imports, f"lost{number}": (MISSING_IMAGE, 16)})


def _spoil_or_mend_file(fleet: Fleet, vm: VmDraft, chance: random.Random, _number: int) -> Fleet:
    declared = chance.choice((key(VM, vm.name), *(fleet.disk(disk) for disk in vm.disks)))
    return replace(fleet, spoilt="" if fleet.spoilt else fleet.home(declared), garbage=chance.random() < 0.5)


def _cloud_init(fleet: Fleet, vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    return fleet.with_vm(replace(vm, secret=not vm.secret))


def _annotate(fleet: Fleet, vm: VmDraft, chance: random.Random, _number: int) -> Fleet:
    """How a VM may be pruned, or its disk, or a network."""
    things = (key(VM, vm.name), *(fleet.disk(disk) for disk in vm.disks), *(key(NETWORK, net) for net in fleet.nets))
    return fleet.pruned_as(chance.choice(things), chance.choice(("", *sorted(PRUNE_WORDS))))


def _network_comes_or_goes(fleet: Fleet, _vm: VmDraft, _chance: random.Random, _number: int) -> Fleet:
    """One that nobody is plugged into yet; it goes while somebody may be."""
    nets = tuple(net for net in fleet.nets if net != "extra")
    return replace(fleet, nets=nets if "extra" in fleet.nets else (*nets, "extra"))


def _without_disks(fleet: Fleet, disks: tuple[str, ...]) -> Fleet:
    return replace(
        fleet,
        claims={name: size for name, size in fleet.claims.items() if name not in disks},
        imports={name: facts for name, facts in fleet.imports.items() if name not in disks},
    )


CHANGES: Mapping[str, Change] = {
    "add": lambda fleet, _vm, _chance, number: with_new_vm(fleet, number),
    "memory": _more_memory,
    "nic": _other_nics,
    "disk": _one_more_disk,
    "disk-less": _one_disk_less,
    "swap": _swap_disks,
    "grow": _grow,
    "shrink": _ask_for_less,
    "purge": _delete_everything_but_networks,
    "delete": _delete_with_disks,
    "delete-vm-only": _delete_vm_only,
    "delete-disk": _delete_disk_in_use,
    "break": _break_or_mend,
    "too-big": _too_much_memory_or_less,
    "strategy": _other_strategy,
    "policy": _other_restart_policy,
    "window": _restart_window,
    "rename": _rename_vm,
    "move": _move_folder,
    "rename-file": _rename_file,
    "merge": _merge_or_split_files,
    "clone": _clone,
    "lost": _import_from_nowhere,
    "spoil": _spoil_or_mend_file,
    "secret": _cloud_init,
    "prune": _annotate,
    "network": _network_comes_or_goes,
}
"""All changes by their words."""
