"""The sources of a run: one repository, or two that divide the fleet between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.origin import Origin
from reconciler.model.revision import SourceState
from reconciler.ports import Clock
from tests.simulation.events import Commit
from tests.simulation.fleet import NETWORK, VM, Fleet
from tests.simulation.repository import MemorySource, Remote

ONE = (Origin(),)
TWO = (Origin(name="machines", identity="machines@main"), Origin(name="infra", identity="infra@main"))
"""VMs, and what they stand on."""
NOTE = {"note.yaml": "# a repository is never empty\n"}


class Remotes:
    """What people push to, and what gitvirt accepted of it. ``accepted`` maps a source's name to the number of a commit."""

    def __init__(self, seed: int) -> None:
        """Every third history has two sources."""
        self._seed = seed
        self.origins = TWO if seed % 3 == 2 else ONE
        self._remotes = {origin.name: Remote(origin.name) for origin in self.origins}
        self.fleets: list[Fleet] = []
        self.sources: dict[str, MemorySource] = {}

    @property
    def accepted(self) -> Mapping[str, int | None]:
        """What a state directory remembers."""
        return {name: source.accepted_index for name, source in self.sources.items()}

    def open(self, clock: Clock, accepted: Mapping[str, int | None]) -> Mapping[str, MemorySource]:
        """The sources of a new process."""
        self.sources = {name: MemorySource(remote, clock, accepted.get(name)) for name, remote in self._remotes.items()}
        return self.sources

    def commit(self, event: Commit, approvals: tuple[str, ...]) -> None:
        """A push to each."""
        self.fleets.append(event.fleet)
        for name, remote in self._remotes.items():
            files = {path: text for path, text in event.fleet.files().items() if self._belongs(path, name)}
            remote.commit(files | (NOTE if name else {}), event.subject, approvals=approvals, rewrites=event.rewrites)

    def fall(self, state: SourceState) -> None:
        """Looks come to this from now on: at all remotes, or by turns at one of two."""
        for number, remote in enumerate(self._remotes.values()):
            is_spared = len(self._remotes) > 1 and (self._seed + len(self.fleets)) % 3 == number
            remote.trouble = SourceState.READY if is_spared else state

    def accepted_for(self, key: ObjectKey) -> Fleet | None:
        """The fleet that the source of an object declared at its accepted commit, without what is another's."""
        name = self.source_of(key)
        index = self.sources[name].accepted_index
        if index is None:
            return None
        return self._without_others(self.fleets[index], name)

    def source_of(self, key: ObjectKey) -> str:
        """The name of the source that an object belongs to."""
        return self.origins[0 if key.kind == VM else -1].name

    def _without_others(self, fleet: Fleet, name: str) -> Fleet:
        return fleet if self._belongs(fleet.spoilt, name) else replace(fleet, spoilt="")

    def accepted_fleet(self) -> Fleet:
        """What all sources declare together at their accepted commits."""
        machines, infra = (self.accepted_for(ObjectKey(kind, "", "")) or Fleet() for kind in (VM, NETWORK))
        return replace(
            infra,
            vms=machines.vms,
            folder=machines.folder,
            homes=_of_each(machines.homes, infra.homes),
            prune=_of_each(machines.prune, infra.prune),
        )

    @property
    def is_followed(self) -> bool:
        """Whether every source is at its last commit."""
        return all(index == len(self.fleets) - 1 for index in self.accepted.values())

    @staticmethod
    def _belongs(path: str, name: str) -> bool:
        return not name or path.startswith(("networks/", "storage/")) == (name == "infra")


def _of_each(machines: Mapping[str, str], infra: Mapping[str, str]) -> dict[str, str]:
    """Facts about VMs of the one, about all else of the other."""
    return {
        name: fact
        for facts, is_vm in ((machines, True), (infra, False))
        for name, fact in facts.items()
        if name.startswith(VM) is is_vm
    }
