"""What is true at the end: everything declared is there as declared, and everything there is somebody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from nodeexec.simulated.names import network_name
from nodeexec.simulated.state import HostDomain, HostVolume, domain_name, vm_key
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Plan
from reconciler.model.power import OverrideAction, PowerState
from tests.simulation.commits import MISSING_IMAGE
from tests.simulation.fleet import CLAIM, DATA_VOLUME, NETWORK, PRUNE_WORDS, VM, VmDraft, key
from tests.simulation.known import ROUNDED_UP_S, owned_keys, vm_of
from tests.simulation.outside import is_foreign_network

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

MIB = 1 << 20


class Accounts:
    """Compares the host with the accepted commit of every source. ``plan`` is what gitvirt says is left."""

    def __init__(self, simulation: Simulation, plan: Plan) -> None:
        self._known = simulation.known
        self._state = simulation.host.state
        self._clock = simulation.clock
        self._accepted = simulation.remotes.accepted_for
        self._fleet = simulation.remotes.accepted_fleet()
        self._kept = {c.key for hold in plan.held if hold.rule == "prune-disabled" for c in hold.changes}
        self._held = {change.key for hold in plan.held for change in hold.changes}
        self._told = self._held | {entry.key for entry in plan.blocked} | {change.key for change in plan.changes}

    def wrong(self) -> Iterator[str]:
        """All that is not as it must be."""
        for declared in sorted(self._fleet.present()):
            unlike = self._unlike(declared)
            if not self._may_wait(declared, ()):
                yield from (f"{declared} {what}" for what in unlike)
            elif not self._is_spoilt(declared) and declared not in self._told and self._is_short(declared, unlike):
                yield f"{declared} waits and nobody says why"
        yield from self._left_over()
        yield from self._kept_twice()

    def fails_for_good(self, one: ObjectKey, above: tuple[ObjectKey, ...] = ()) -> bool:
        """Whether an object is tried again for ever, and that is no progress: an import from nowhere, or a VM whose disk is
        open in a stranger's guest, or in one that may wait itself, or is suspended.
        """
        if one.kind == VM and one.name in self._fleet.vms:
            disks = (self._fleet.disk(disk) for disk in self._fleet.vms[one.name].disks)
            users = {user for disk in disks for user in self._users(disk)} - {domain_name(one)}
            others = (self._state.domains[user] for user in users)
            return any(other.running is not None and not self._lets_go(other, (*above, one)) for other in others)
        return self._fleet.imports.get(one.name, ("", 0))[0] == MISSING_IMAGE and one.kind == DATA_VOLUME

    def _lets_go(self, user: HostDomain, above: tuple[ObjectKey, ...]) -> bool:
        """Whether gitvirt can take a disk away from a guest now."""
        if not self._known.owns(user.marks) or user.marks is None or user.marks.suspended:
            return False
        vm = vm_of(user)
        return vm not in self._held and not self._may_wait(vm, above)

    def may_wait(self, one: ObjectKey) -> bool:
        """Whether something really stands in the way of an object."""
        return self._may_wait(one, ())

    def _is_short(self, one: ObjectKey, unlike: Iterator[str]) -> bool:
        """Whether it is not as it is declared, or is a VM that names what is not; a clone that is whole needs its source no more."""
        lacks = one.kind == VM and any(need not in self._fleet.present() for need in self._fleet.needs(one))
        return lacks or any(unlike)

    def _may_wait(self, one: ObjectKey, above: tuple[ObjectKey, ...]) -> bool:
        if one in above:
            return False
        if one not in self._fleet.present():
            return self._is_partly_read(one) or bool(self._users(one)) or self._is_perhaps_used(one)
        if self._is_spoilt(one) or self.fails_for_good(one, above) or self._is_foreign(one):
            return True
        if one.kind == VM and self._fleet.vms[one.name].is_refused:
            return True
        return any(
            need not in self._fleet.present()
            or need in self._held
            or self._is_taken(need, one)
            or self._may_wait(need, (*above, one))
            for need in self._fleet.needs(one)
        )

    def _is_taken(self, need: ObjectKey, one: ObjectKey) -> bool:
        """Whether a VM that left the repository, and has to stay or is in what nobody can read, stands on what one needs."""
        if need.kind == NETWORK:
            return False
        others = (vm_key(user) for user in self._users(need) if user != domain_name(one))
        gone = [other for other in others if other not in self._fleet.present()]
        return any(other in self._held or self._is_partly_read(other) for other in gone)

    def _is_partly_read(self, one: ObjectKey) -> bool:
        """Whether the source of an object has a file that nobody can read: then nothing of it is deleted."""
        fleet = self._accepted(one)
        return fleet is None or fleet.has_spoilt_file

    def _is_spoilt(self, one: ObjectKey) -> bool:
        fleet = self._accepted(one)
        return fleet is not None and fleet.is_spoilt(one)

    def _is_perhaps_used(self, one: ObjectKey) -> bool:
        """Whether a VM is declared that is not there, and whose manifest nobody can make use of: it may name any claim."""
        vms = [key(VM, name) for name in self._fleet.vms]
        absent = [vm for vm in vms if not self._is_ours(vm)]
        return one.kind in (CLAIM, DATA_VOLUME) and any(self._may_wait(vm, ()) for vm in absent)

    def _is_ours(self, vm: ObjectKey) -> bool:
        domain = self._state.domains.get(domain_name(vm))
        return domain is not None and self._known.owns(domain.marks)

    def _users(self, one: ObjectKey) -> tuple[str, ...]:
        """Domains that use a volume or network."""
        if one.kind == NETWORK:
            halves = ((d.name, half) for d in self._state.domains.values() for half in (d.stored, d.running) if half)
            reference = f"{one.namespace}/{one.name}"
            return tuple(name for name, half in halves if reference in {nic.network for nic in half.interfaces})
        return tuple(user for volume in self._volumes(one) for user in self._state.users_of(volume.place))

    def _volumes(self, one: ObjectKey) -> tuple[HostVolume, ...]:
        names = (f"{domain_name(one)}.qcow2", f"{domain_name(one)}.raw")
        return tuple(volume for volume in self._state.volumes.values() if volume.name in names)

    def _is_foreign(self, one: ObjectKey) -> bool:
        """Whether something of somebody else's has its name."""
        if one.kind == VM:
            domain = self._state.domains.get(domain_name(one))
            return domain is not None and not self._known.owns(domain.marks)
        if one.kind == NETWORK:
            network = self._state.networks.get(network_name(one))
            return network is not None and not self._known.owns(network.marks)
        return any(not self._known.owns(volume.marks) or volume.kind != one.kind for volume in self._volumes(one))

    def _unlike(self, one: ObjectKey) -> Iterator[str]:
        if one.kind == VM:
            yield from self._unlike_vm(one, self._fleet.vms[one.name])
        elif one.kind == NETWORK:
            network = self._state.networks.get(network_name(one))
            if network is None or network.running is None:
                yield "does not run"
        else:
            yield from self._unlike_claim(one)

    def _unlike_claim(self, one: ObjectKey) -> Iterator[str]:
        volumes = self._volumes(one)
        size = self._fleet.claims[one.name] if one.kind == CLAIM else self._fleet.imports[one.name][1]
        if len(volumes) != 1:
            yield f"has {len(volumes)} volumes"
        elif volumes[0].size_bytes < size * MIB:
            yield f"has {volumes[0].size_bytes} bytes, not {size} MiB"
        elif not self._is_annotated(one, volumes[0]):
            yield "does not remember its prune annotation"

    def _is_annotated(self, one: ObjectKey, thing: HostVolume | HostDomain) -> bool:
        applied = (thing.marks.applied if thing.marks is not None else None) or {}
        said = applied.get("metadata", {}).get("annotations") or {}
        word = PRUNE_WORDS.get(self._fleet.prune_word(one), "")
        name, _, value = word.replace('"', "").partition(": ")
        return not word or str(said.get(name)) == value

    def _unlike_vm(self, one: ObjectKey, vm: VmDraft) -> Iterator[str]:
        domain = self._state.domains.get(domain_name(one))
        if domain is None or domain.stored is None:
            yield "is not there"
            return
        stored = domain.stored
        if stored.memory_mib != vm.memory:
            yield f"is stored with {stored.memory_mib} MiB, not {vm.memory}"
        disks = {disk.name for disk in stored.disks}
        if disks != {*vm.disks, *(("seed",) if vm.secret else ())}:
            yield f"is stored with the disks {sorted(disks)}"
        nics = {nic.name for nic in stored.interfaces if not is_foreign_network(nic.name)}
        if nics != set(vm.nets):
            yield f"is stored with the NICs {sorted(nics)}"
        is_old = vm.immediate and domain.running is not None and domain.running.memory_mib != vm.memory
        if is_old and domain.power is not PowerState.CRASHED and one not in self._held:
            yield "runs with the memory it had before, and its policy is Immediate"
        if not self._is_annotated(one, domain):
            yield "does not remember its prune annotation"
        yield from self._unlike_power(domain, vm)

    def _unlike_power(self, domain: HostDomain, vm: VmDraft) -> Iterator[str]:
        override = domain.marks.override if domain.marks is not None else None
        action = override.action if override is not None and override.until is None else None
        if override is not None and action is None and not self._is_over(domain, override.until):
            return
        if domain.power is PowerState.CRASHED and vm.strategy == "Always" and action is None:
            yield "is left as it crashed"
        was_restarted = domain.history.stop_asked_by == "restart" and domain.boots == domain.boots_at_stop
        if was_restarted and domain.power is PowerState.OFF and action is None and vm.strategy != "Halted":
            yield "was restarted and left off"
        must_run = action is OverrideAction.START or (action is None and vm.strategy == "Always")
        must_be_off = action is OverrideAction.STOP or (action is None and vm.strategy == "Halted")
        if must_run and action is None and domain.power is PowerState.OFF:
            yield "is off"
        if must_be_off and domain.power is not PowerState.OFF:
            yield "runs"
        if action is OverrideAction.PAUSE and domain.power is PowerState.RUNNING:
            yield "runs and an operator paused it"

    def _is_over(self, domain: HostDomain, until: datetime | None) -> bool:
        """Whether a time that an operator gave is over by both clocks; otherwise either may count, after a reboot."""
        end_s = self._known.ends.get(("override", vm_of(domain)), 0.0)
        return until is not None and until <= self._clock.now() and end_s + ROUNDED_UP_S <= self._clock.monotonic()

    def _left_over(self) -> Iterator[str]:
        for one in sorted(owned_keys(self._state, self._known) - self._fleet.present()):
            if one not in self._kept and not self.may_wait(one):
                yield f"{one} is left over"
        for volume in self._state.volumes.values():
            vm = volume.attached_to
            if vm is None or not self._known.owns(volume.marks) or self._state.users_of(volume.place):
                continue
            if not (self._is_partly_read(vm) or (vm in self._fleet.present() and self.may_wait(vm))):
                yield f"ISO {volume.name} is left over"
        for place, entry in self._state.incoming.items():
            one = key(entry.volume.kind, entry.volume.name.rpartition(".")[0].partition("_")[2])
            is_declared = one in self._fleet.present()
            if is_declared and not (self.fails_for_good(one) or self.may_wait(one)):
                yield f"a copy for {place[1]} is left over"

    def _kept_twice(self) -> Iterator[str]:
        """What is in the trash is there once."""
        definitions = Counter(repr(entry.domain) for entry in self._state.trash.values() if entry.domain is not None)
        if any(count > 1 for count in definitions.values()):
            yield "the same definition is in the trash twice"
