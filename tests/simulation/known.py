"""What the laws know besides the host: what people declared, and what they asked for. Nothing here comes from gitvirt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from nodeexec.simulated.host import StepRecord
from nodeexec.simulated.reading import volume_key
from nodeexec.simulated.state import HostDomain, HostState
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.plan import Action
from reconciler.model.power import OverrideAction
from tests.simulation.fleet import NETWORK, VM, Fleet, VmDraft, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an operator is asking gitvirt for right now. ``items`` are trash items named."""

    verb: str
    key: ObjectKey | None = None
    items: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Known:
    """``accepted`` answers what the last good look at the source of an object declared; ``began_at`` is when the cycle
    began that acts now, which decided at that time; ``approved`` is what people released and is not done yet; ``everything_suspended``
    answers for a time. ``expire_after_s`` is how long trash is kept, None for ever.
    """

    owner: str
    host: str
    accepted: Callable[[ObjectKey], Fleet | None]
    everything_suspended: Callable[[datetime], bool]
    began_at: datetime
    expire_after_s: float | None = None
    act: Act | None = None
    approved: set[tuple[ObjectKey, Action]] = field(default_factory=set)

    def owns(self, marks: Marks | None) -> bool:
        """Whether marks are of this owner, made on this host."""
        return marks is not None and marks.owner == self.owner and marks.host == self.host

    def asks(self, verb: str, about: ObjectKey | None = None) -> bool:
        """Whether an operator is asking for that now."""
        return self.act is not None and self.act.verb == verb and (about is None or self.act.key == about)

    def moments(self, record: StepRecord) -> tuple[datetime, datetime]:
        """When it was decided and when it was done: what may end by itself need not have ended at both."""
        return self.began_at, record.at

    def is_suspended(self, marks: Marks | None, record: StepRecord) -> bool:
        """Whether reconciliation of an object was halted by its marks, when it was decided as well as when it was done."""
        if marks is None or not marks.suspended:
            return False
        until = marks.suspended_until
        return until is None or all(until > at for at in self.moments(record))

    def overrides(
        self, domain: HostDomain, action: OverrideAction, record: StepRecord, *, throughout: bool = False
    ) -> bool:
        """Whether an operator's action held when it was decided or when it was done; ``throughout``: at both."""
        override = domain.marks.override if domain.marks is not None else None
        if override is None or override.action is not action:
            return False
        held = [override.until is None or override.until > at for at in self.moments(record)]
        return all(held) if throughout else any(held)

    def draft(self, domain: HostDomain) -> VmDraft | None:
        """The VM as it is declared, None when it is not."""
        vm = vm_of(domain)
        fleet = self.accepted(vm)
        return fleet.vms.get(vm.name) if fleet is not None else None

    def said(self, domain: HostDomain) -> tuple[str, str]:
        """(run strategy, restart policy) that count: what is declared, and where that cannot be read, what was applied last."""
        vm, draft = vm_of(domain), self.draft(domain)
        fleet = self.accepted(vm)
        if draft is not None and fleet is not None and not draft.broken and not fleet.is_spoilt(vm):
            return draft.strategy, "Immediate" if draft.immediate else "Window" if draft.windowed else "Manual"
        applied = (domain.marks.applied if domain.marks is not None else None) or {}
        annotations = applied.get("metadata", {}).get("annotations") or {}
        policy = str(annotations.get("gitvirt.io/restart-policy", "Manual"))
        return str(applied.get("spec", {}).get("runStrategy", "")), policy


def vm_of(domain: HostDomain) -> ObjectKey:
    """The VM that a domain stands for by its name."""
    namespace, _, name = domain.name.partition("_")
    return ObjectKey(VM, namespace, name)


def changed_domains(record: StepRecord) -> Iterable[tuple[HostDomain, HostDomain | None]]:
    """The domains that are others after a step, or gone, as (before, after)."""
    for name, before in record.before.domains.items():
        after = record.after.domains.get(name)
        if after is not before:
            yield before, after


def things(state: HostState) -> dict[str, tuple[object, Marks | None]]:
    """Everything that somebody can own, with its marks."""
    return {
        **{f"domain {d.name}": (d, d.marks) for d in state.domains.values()},
        **{f"volume {v.pool}/{v.name}": (v, v.marks) for v in state.volumes.values()},
        **{f"copy {i.volume.pool}/{i.volume.name}": (i, i.volume.marks) for i in state.incoming.values()},
        **{f"network {n.name}": (n, n.marks) for n in state.networks.values()},
    }


def owned_keys(state: HostState, known: Known) -> frozenset[ObjectKey]:
    """Keys of what is gitvirt's, volumes in the making among them."""
    volumes = (*state.volumes.values(), *(entry.volume for entry in state.incoming.values()))
    return frozenset(
        (
            *(vm_of(domain) for domain in state.domains.values() if known.owns(domain.marks)),
            *(volume_key(volume) for volume in volumes if volume.kind and known.owns(volume.marks)),
            *(
                key(NETWORK, network.name.partition("_")[2])
                for network in state.networks.values()
                if known.owns(network.marks)
            ),
        )
    )


def contents(state: HostState) -> list[str]:
    """Every content there is, in place or in the trash."""
    kept = (entry.volume for entry in state.trash.values())
    return [volume.content for volume in (*state.volumes.values(), *kept) if volume is not None and volume.content]
