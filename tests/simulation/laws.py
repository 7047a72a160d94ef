"""The safety laws, checked after every step of the host."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nodeexec.simulated.host import GITVIRT, StepRecord
from nodeexec.simulated.reading import POD_NETWORK_NAME, VM, network_name, volume_key
from nodeexec.simulated.state import HostDomain, HostState, claim_place, domain_name
from reconciler.model.domain import ClaimSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.power import PowerState
from tests.simulation.fleet import DATA_VOLUME, Fleet, key

Report = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Laws:
    """Watches one host. ``accepted`` answers what the last good look at the source of an object declared; ``restartable`` are the
    VMs that may be restarted, ``stoppable`` answers whether an operator asked for a VM to be off now, and ``approved``
    is set when a person approved a hold.
    """

    owner: str
    report: Report
    accepted: Callable[[ObjectKey], Fleet | None]
    restartable: Collection[str]
    stoppable: Callable[[str], bool]
    approved: bool = False
    deletions: list[tuple[datetime, str]] = field(default_factory=list)
    undefined_by_hand: set[str] = field(default_factory=set)

    def watch(self, record: StepRecord) -> None:
        """One step."""
        self._no_content_lost(record)
        self._no_disk_shrunk(record)
        self._no_disk_shared(record)
        if record.actor != GITVIRT:
            self.undefined_by_hand |= set(record.before.domains) - set(record.after.domains)
            return
        self._foreign_untouched(record)
        self._nothing_pruned_that_is_declared(record)
        self._no_unasked_stop(record)
        self._blast_radius(record)

    def _say(self, record: StepRecord, what: str) -> None:
        self.report(f"{record.name} {record.key or ''} ({record.reason}): {what}")

    def _no_content_lost(self, record: StepRecord) -> None:
        lost = contents(record.before) - contents(record.after)
        if lost and record.reason != "empty-trash" and record.actor == GITVIRT:
            self._say(record, f"content was destroyed: {sorted(lost)}")

    def _no_disk_shrunk(self, record: StepRecord) -> None:
        sizes = {v.content: v.size_bytes for v in record.before.volumes.values() if v.content}
        for volume in record.after.volumes.values():
            if volume.content and volume.size_bytes < sizes.get(volume.content, 0):
                self._say(record, f"{volume.name} shrank")

    def _no_disk_shared(self, record: StepRecord) -> None:
        seen: dict[tuple[str, str], str] = {}
        for domain in record.after.domains.values():
            for disk in domain.running.disks if domain.running else ():
                if isinstance(disk.source, ClaimSource) and not disk.shareable:
                    place = claim_place(disk.source)
                    if place in seen:
                        self._say(record, f"{place[1]} is open in {seen[place]} and {domain.name}")
                    seen[place] = domain.name

    def _foreign_untouched(self, record: StepRecord) -> None:
        for name, (before, marks) in things(record.before).items():
            if marks is not None and marks.owner == self.owner:
                continue
            if things(record.after).get(name, (None, None))[0] != before:
                self._say(record, f"{name} is foreign and was touched")

    def _nothing_pruned_that_is_declared(self, record: StepRecord) -> None:
        gone = owned_keys(record.before, self.owner) - owned_keys(record.after, self.owner)
        for gone_key in sorted(gone):
            fleet = self.accepted(gone_key)
            if fleet is None:
                self._say(record, f"{gone_key} was removed before any revision was accepted")
            elif gone_key in fleet.present():
                self._say(record, f"{gone_key} was removed and is declared")
            elif fleet.spoilt in fleet.files():
                self._say(record, f"{gone_key} was removed on an incomplete reading")

    def _no_unasked_stop(self, record: StepRecord) -> None:
        for name, before in record.before.domains.items():
            after = record.after.domains.get(name)
            if before.running is None or not _is_disturbed(before, after):
                continue
            vm = name.split("_", 1)[-1]
            if not self._may_stop(vm, record.reason):
                self._say(record, f"the guest of {vm} was stopped or pressed and nobody asked for it")

    def _may_stop(self, vm: str, reason: str) -> bool:
        fleet = self.accepted(key(VM, vm))
        draft = fleet.vms.get(vm) if fleet else None
        if reason.startswith("delete"):
            return fleet is not None and draft is None
        if reason.startswith("restart") or reason.endswith("/restart"):
            return vm in self.restartable
        halted = draft is not None and draft.strategy == "Halted"
        return halted or self.stoppable(vm) or (draft is not None and draft.broken)

    def _blast_radius(self, record: StepRecord) -> None:
        gone = [
            name
            for name, domain in record.before.domains.items()
            if domain.marks is not None and name not in record.after.domains
        ]
        self.deletions += [(record.at, name) for name in gone]
        if not gone or self.approved:
            return
        since = record.at - timedelta(hours=1)
        recent = {name for at, name in self.deletions if at > since}
        # One that somebody undefined is gone by another hand than gitvirt's.
        left = sum(1 for domain in record.after.domains.values() if domain.marks is not None)
        left += len(self.undefined_by_hand - recent)
        if len(recent) >= 2 and left == 0:
            self._say(record, "all VMs were deleted within an hour without approval")
        if len(recent) > 3:
            self._say(record, f"{len(recent)} VMs were deleted within an hour without approval")


def _is_disturbed(before: HostDomain, after: HostDomain | None) -> bool:
    """Whether a running guest was ended, restarted, paused or asked to shut down."""
    if after is None or after.running is None or after.boots != before.boots:
        return True
    pressed = after.off_at is not None and before.off_at is None
    return pressed or (after.power is not before.power and after.power is PowerState.OFF)


def contents(state: HostState) -> set[str]:
    """Every content there is, in place or in the trash."""
    kept = (entry.volume for entry in state.trash.values())
    return {volume.content for volume in (*state.volumes.values(), *kept) if volume is not None and volume.content}


def things(state: HostState) -> dict[str, tuple[object, Marks | None]]:
    """Every domain, volume and network with its marks."""
    return {
        **{f"domain {d.name}": (d, d.marks) for d in state.domains.values()},
        **{f"volume {v.pool}/{v.name}": (v, v.marks) for v in state.volumes.values()},
        **{f"network {n.name}": (n, n.marks) for n in state.networks.values()},
    }


def owned_keys(state: HostState, owner: str) -> frozenset[ObjectKey]:
    """Keys of what an owner has, volumes in the making among them."""
    volumes = (*state.volumes.values(), *(entry.volume for entry in state.incoming.values()))
    return frozenset(
        (
            *(key(VM, d.name.split("_", 1)[-1]) for d in state.domains.values() if d.marks and d.marks.owner == owner),
            *(volume_key(v) for v in volumes if v.kind and v.marks and v.marks.owner == owner),
            *(
                key("NetworkAttachmentDefinition", n.name.split("_", 1)[-1])
                for n in state.networks.values()
                if n.marks and n.marks.owner == owner and n.name != POD_NETWORK_NAME
            ),
        )
    )


def not_reached(state: HostState, fleet: Fleet, is_off_by_hand: Callable[[str], bool]) -> list[str]:
    """What of a fleet is not true on the host."""
    wrong: list[str] = []
    for name, vm in sorted(fleet.vms.items()):
        if vm.broken or fleet.spoilt.endswith(f"/{name}.yaml"):
            continue
        domain = state.domains.get(domain_name(key(VM, name)))
        if domain is None or domain.stored is None or domain.marks is None:
            wrong.append(f"VM {name} is not there")
            continue
        if domain.stored.memory_mib != vm.memory:
            wrong.append(f"VM {name} is stored with {domain.stored.memory_mib} MiB, not {vm.memory}")
        if vm.strategy == "Always" and domain.power is PowerState.OFF and not is_off_by_hand(name):
            wrong.append(f"VM {name} is off")
        if vm.strategy == "Halted" and domain.power is not PowerState.OFF and not is_off_by_hand(name):
            wrong.append(f"VM {name} runs")
    for declared in sorted(fleet.present()):
        if declared.kind in ("PersistentVolumeClaim", DATA_VOLUME) and not declared.name.startswith(("lost", "copy")):
            stem = domain_name(declared)
            if not any(volume.name.startswith(f"{stem}.") for volume in state.volumes.values()):
                wrong.append(f"{declared} is not there")
        if declared.kind == "NetworkAttachmentDefinition":
            network = state.networks.get(network_name(declared))
            if network is None or network.running is None:
                wrong.append(f"{declared} does not run")
    return wrong


def leaks(state: HostState, fleet: Fleet, owner: str, undefined_by_hand: Collection[str]) -> list[str]:
    """What is left over and belongs to nothing. The ISO of a domain that somebody undefined is not counted: with the
    domain its name is gone, and when its manifest goes before gitvirt looks again, nobody asks for it any more.
    """
    wrong = [f"{left} is left over" for left in sorted(owned_keys(state, owner) - fleet.present()) if not fleet.spoilt]
    for volume in state.volumes.values():
        domain = volume.name.split(".", 1)[0]
        if not volume.kind and volume.marks is not None and domain not in {*state.domains, *undefined_by_hand}:
            wrong.append(f"seed {volume.name} is left over")
    return wrong
