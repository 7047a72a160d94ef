"""Existing domains of a simulated host, and taking them over. Only one with the usual name of its VM can be adopted here:
everything on this host is found by that name.
"""

from __future__ import annotations

from dataclasses import replace

from nodeexec.simulated.host import Mutation
from nodeexec.simulated.reading import Reading
from nodeexec.simulated.state import HostDomain, HostState, VolumePlace, claim_place, domain_name, seed_place, vm_key
from nodeexec.simulated.vm_changes import SEED_POOL
from reconciler.model.adoption import Adoption, FoundDisk, FoundInterface, FoundVm
from reconciler.model.domain import ClaimSource, DiskSpec, ScratchSource
from reconciler.model.live import LiveVm, Marks


def found_vm(reading: Reading, name: str) -> FoundVm | None:
    """`Engine.survey`."""
    domain = reading.state.domains.get(name)
    live = reading.live(vm_key(name)) if domain is not None else None
    if domain is None or not isinstance(live, LiveVm):
        return None
    spec = domain.stored or domain.running
    return FoundVm(
        name=name,
        uuid=spec.uuid if spec else "",
        live=live,
        owner=domain.marks.owner if domain.marks else "",
        disks=tuple(_disk(reading, name, disk) for disk in spec.disks) if spec else (),
        interfaces=tuple(FoundInterface(spec=nic, place=nic.network) for nic in spec.interfaces) if spec else (),
        obstacles=() if domain.stored else (f"{name} has no stored configuration",),
    )


def as_adopted(reading: Reading, adoption: Adoption) -> LiveVm | None:
    """`Engine.as_adopted`; None for a domain without the usual name too."""
    live = reading.live(adoption.key) if adoption.domain == domain_name(adoption.key) else None
    return replace(live, kept=adoption.kept) if isinstance(live, LiveVm) else None


def adopting(adoption: Adoption, marks: Marks) -> Mutation:
    """The step that writes the marks."""

    def put(state: HostState) -> None:
        domain: HostDomain = state.domains[adoption.domain]
        history = replace(domain.history, runs=max(1, domain.history.runs))
        state.domains[adoption.domain] = replace(domain, marks=marks, kept=adoption.kept, history=history)

    return put


def _disk(reading: Reading, domain: str, disk: DiskSpec) -> FoundDisk:
    seed = seed_place(domain, disk, SEED_POOL)
    if seed is not None:
        return _seed(reading, disk, seed)
    if isinstance(disk.source, ScratchSource):
        # It is no volume of its own on this host: it comes and goes with the domain.
        return FoundDisk(target=disk.name, spec=disk, text=f"scratch of {domain}", generated_for=vm_key(domain))
    if not isinstance(disk.source, ClaimSource):
        return FoundDisk(target=disk.name, spec=disk)
    pool, volume = claim_place(disk.source)
    text = f"volume {pool}/{volume}"
    return FoundDisk(target=disk.name, spec=disk, text=text, pool=pool, volume=volume, format=disk.source.format)


def _seed(reading: Reading, disk: DiskSpec, place: VolumePlace) -> FoundDisk:
    pool, name = place
    volume = reading.state.volumes.get(place)
    ours = volume is not None and reading.owns(volume.marks)
    return FoundDisk(
        target=disk.name,
        spec=disk,
        text=f"volume {pool}/{name}",
        pool=pool,
        volume=name,
        format="raw",
        generated_for=volume.attached_to if volume is not None and ours else None,
    )
