"""What the laws know besides the host: what people declared, and what they asked for. Nothing here comes from gitvirt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from nodeexec.simulated.host import StepRecord
from nodeexec.simulated.names import volume_key
from nodeexec.simulated.state import HostDomain, HostIncoming, HostNetwork, HostState, HostVolume
from reconciler.daemon.suspension import Suspended
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.plan import Action
from reconciler.model.power import OverrideAction
from tests.simulation.fleet import NETWORK, VM, Fleet, VmDraft, key

FOR_GOOD = float("inf")
ROUNDED_UP_S = 60.0
_REMEMBERED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an operator is asking gitvirt for right now. ``items`` are trash items named."""

    verb: str
    key: ObjectKey | None = None
    items: frozenset[str] = frozenset()

    @property
    def word(self) -> str:
        """What of a VM's marks it is about."""
        return "suspended" if self.verb == "suspend" else "override"


@dataclass(slots=True, kw_only=True)
class Known:
    """``accepted`` answers what the last good look at the source of an object declared; ``began_at`` is when the cycle
    began that acts now, which decided at that time, ``began_s`` the same by the clock that nobody sets; ``approved`` is what people
    released and is not done yet; ``suspended_all`` is the halt of everything, whether its time is over or not; ``ends`` are when
    what operators said ends. ``expire_after_s`` is how long trash is kept, None for ever.
    """

    owner: str
    host: str
    accepted: Callable[[ObjectKey], Fleet | None]
    suspended_all: Callable[[], Suspended | None]
    began_at: datetime
    began_s: float = 0.0
    expire_after_s: float | None = None
    act: Act | None = None
    approved: set[tuple[ObjectKey, Action]] = field(default_factory=set)
    ends: dict[tuple[str, ObjectKey | None], float] = field(default_factory=dict)
    owned: dict[int, tuple[HostState, frozenset[ObjectKey]]] = field(default_factory=dict)

    def owns(self, marks: Marks | None) -> bool:
        """Whether marks are of this owner, made on this host."""
        return marks is not None and marks.owner == self.owner and marks.host == self.host

    def asks(self, verb: str, about: ObjectKey | None = None) -> bool:
        """Whether an operator is asking for that now."""
        return self.act is not None and self.act.verb == verb and (about is None or self.act.key == about)

    def moments(self, record: StepRecord) -> tuple[datetime, datetime]:
        """When it was decided and when it was done: what may end by itself need not have ended at both."""
        return self.began_at, record.at

    def note_end(self, seconds: float, now_s: float) -> None:
        """What an operator is asking for is to hold so long; 0 for good."""
        if self.act is not None:
            self.ends[self.act.word, self.act.key] = now_s + seconds if seconds else FOR_GOOD

    def _is_held(
        self, word: str, about: ObjectKey | None, until: datetime | None, record: StepRecord, *, throughout: bool
    ) -> bool:
        """Whether what an operator said for a time holds: when it was decided or when it was done, by the time of day or by
        the clock that nobody sets; ``throughout``: at both by both. gitvirt may round the end up to a full minute.
        """
        by_day = [until is None or until > at for at in self.moments(record)]
        end_s = self.ends.get((word, about), FOR_GOOD)
        by_clock = [end_s + (0.0 if throughout else ROUNDED_UP_S) > at_s for at_s in (self.began_s, record.monotonic)]
        held = [*by_day, *by_clock]
        return all(held) if throughout else any(held)

    def is_suspended(self, domain: HostDomain, record: StepRecord) -> bool:
        """Whether reconciliation of a VM was halted by its marks, when it was decided as well as when it was done."""
        marks = domain.marks
        if marks is None or not marks.suspended:
            return False
        return self._is_held("suspended", vm_of(domain), marks.suspended_until, record, throughout=True)

    def is_everything_suspended(self, record: StepRecord) -> bool:
        """The same of everything."""
        held = self.suspended_all()
        return held is not None and self._is_held("suspended", None, held.until, record, throughout=True)

    def overrides(
        self, domain: HostDomain, action: OverrideAction, record: StepRecord, *, throughout: bool = False
    ) -> bool:
        """Whether an operator's action held when it was decided or when it was done; ``throughout``: at both."""
        override = domain.marks.override if domain.marks is not None else None
        if override is None or override.action is not action:
            return False
        return self._is_held("override", vm_of(domain), override.until, record, throughout=throughout)

    def draft(self, domain: HostDomain) -> VmDraft | None:
        """The VM as it is declared, None when it is not."""
        vm = vm_of(domain)
        fleet = self.accepted(vm)
        return fleet.vms.get(vm.name) if fleet is not None else None

    def said(self, domain: HostDomain) -> tuple[str, str]:
        """(run strategy, restart policy) that count: what is declared, and where that cannot be read or lacks something, what was applied last."""
        vm, draft = vm_of(domain), self.draft(domain)
        fleet = self.accepted(vm)
        if draft is not None and fleet is not None and fleet.can_be_read(vm):
            return draft.strategy, "Immediate" if draft.immediate else "Window" if draft.windowed else "Manual"
        applied = (domain.marks.applied if domain.marks is not None else None) or {}
        annotations = applied.get("metadata", {}).get("annotations") or {}
        policy = str(annotations.get("gitvirt.io/restart-policy", "Manual"))
        return str(applied.get("spec", {}).get("runStrategy", "")), policy


def vm_of(domain: HostDomain) -> ObjectKey:
    """The VM that a domain stands for by its name."""
    namespace, _, name = domain.name.partition("_")
    return ObjectKey(VM, namespace, name)


@lru_cache(maxsize=_REMEMBERED)
def changed_domains(record: StepRecord) -> tuple[tuple[HostDomain, HostDomain | None], ...]:
    """The domains that are others after a step, or gone, as (before, after)."""
    after = record.after.domains
    return tuple((was, after.get(name)) for name, was in record.before.domains.items() if after.get(name) is not was)


Thing = HostDomain | HostVolume | HostIncoming | HostNetwork


@lru_cache(maxsize=_REMEMBERED)
def changed_things(record: StepRecord) -> tuple[tuple[str, Thing | None, Thing | None], ...]:
    """What somebody can own and is another after a step, new or gone: (name, before, after)."""
    had, has = record.before, record.after
    kinds: tuple[tuple[str, Mapping[Any, Thing], Mapping[Any, Thing]], ...] = (
        ("domain", had.domains, has.domains),
        ("volume", had.volumes, has.volumes),
        ("copy", had.incoming, has.incoming),
        ("network", had.networks, has.networks),
    )
    return tuple(
        (f"{noun} {name if isinstance(name, str) else '/'.join(name)}", before.get(name), after.get(name))
        for noun, before, after in kinds
        if before != after
        for name in {**before, **after}
        if before.get(name) is not after.get(name)
    )


def marks_of(thing: Thing) -> Marks | None:
    """The marks on a thing; those of a copy are on the volume that it will be."""
    return thing.volume.marks if isinstance(thing, HostIncoming) else thing.marks


def owned_keys(state: HostState, known: Known) -> frozenset[ObjectKey]:
    """Keys of what is gitvirt's, volumes in the making among them. Of the last states they are remembered: the state after a step is
    that before the next, and several laws ask.
    """
    entry = known.owned.get(id(state))
    if entry is None or entry[0] is not state:
        if len(known.owned) > _REMEMBERED:
            known.owned.clear()
        known.owned[id(state)] = entry = (state, _owned_keys(state, known))
    return entry[1]


def _owned_keys(state: HostState, known: Known) -> frozenset[ObjectKey]:
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
