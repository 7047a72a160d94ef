"""The simulated host: it outlives gitvirt's process. Every change of it goes through `Host.step`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Condition

from nodeexec.simulated.clock import SimulatedClock
from nodeexec.simulated.faults import Faults
from nodeexec.simulated.state import (
    GuestBehaviour,
    HostDomain,
    HostNetwork,
    HostPool,
    HostState,
    HostTrash,
    HostVolume,
    domain_name,
    places_of,
    vm_key,
)
from reconciler.model.domain import DomainSpec
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.power import PowerState, StopReason

Mutation = Callable[[HostState], None]

GITVIRT = "gitvirt"
OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepRecord:
    """One side effect, equal to itself alone. ``actor`` is ``gitvirt`` or ``outside`` (guests, operators, other tools). ``reason`` is why
    gitvirt did it; both states are whole and must not be written to. ``at`` is the time of day, ``monotonic`` seconds that
    never jump.
    """

    name: str
    actor: str
    reason: str
    key: ObjectKey | None
    before: HostState
    after: HostState
    at: datetime
    monotonic: float


class Host:
    """In-memory domains, volumes, networks, trash and guests.

    ``watchers`` see every step after it happened, before a fault can end the process: this is where laws are checked.
    ``web`` maps an URL to a size in bytes; what is not there answers 404.
    """

    def __init__(self, clock: SimulatedClock, *, faults: Faults | None = None, name: str = "simulated") -> None:
        self.name = name
        self.clock = clock
        self.faults = faults or Faults()
        self.state = HostState(pools={"default": HostPool(name="default")})
        self.watchers: list[Callable[[StepRecord], None]] = []
        self.web: dict[str, int] = {}
        self.behaviour = GuestBehaviour()
        self.has_events = True
        self._events: deque[ObjectKey] = deque()
        self._wake = Condition()
        self._engines_closed: set[int] = set()
        clock.on_advance(self._guests_act)

    def step(self, name: str, mutation: Mutation, *, key: ObjectKey | None = None, reason: str = "") -> None:
        """One side effect of gitvirt: a fault may come before it, within it or after it.

        Raises:
            SimulatedCrash, HostError, AnswerLostError: the planned fault.
        """
        label = f"{name} {key}" if key else name
        kind = self.faults.before(label)
        self._do(name, mutation, actor=GITVIRT, key=key, reason=reason)
        self.faults.after(label, kind)

    def outside(self, name: str, mutation: Mutation, *, key: ObjectKey | None = None) -> None:
        """Something that happens to the host without gitvirt; an event says where to look."""
        self._do(name, mutation, actor=OUTSIDE, key=key, reason="")

    def _do(self, name: str, mutation: Mutation, *, actor: str, key: ObjectKey | None, reason: str) -> None:
        before, after = self.state, self.state.copy()
        mutation(after)
        self.state = after
        record = StepRecord(
            name=name,
            actor=actor,
            reason=reason,
            key=key,
            before=before,
            after=after,
            at=self.clock.now(),
            monotonic=self.clock.monotonic(),
        )
        for watcher in self.watchers:
            watcher(record)
        if key is not None:
            self._emit(key)

    def _emit(self, key: ObjectKey) -> None:
        with self._wake:
            if self.has_events:
                self._events.append(key)
                self._wake.notify_all()

    def drain_events(self) -> tuple[ObjectKey, ...]:
        """The events since the last time, without waiting."""
        with self._wake:
            keys = tuple(self._events)
            self._events.clear()
        return keys

    def next_event(self, engine: int) -> ObjectKey | None:
        """The next event for an engine, waiting for one; None when that engine was closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._events or engine in self._engines_closed)
            return self._events.popleft() if self._events and engine not in self._engines_closed else None

    def close_engine(self, engine: int) -> None:
        """End the waiting of that engine's `next_event`."""
        with self._wake:
            self._engines_closed.add(engine)
            self._wake.notify_all()

    # What guests and other people do. Each is one step of somebody else.

    def put_domain(self, domain: HostDomain) -> None:
        """Define a domain, or write over one, as another tool would."""

        def put(state: HostState) -> None:
            state.domains[domain.name] = domain

        self.outside("define domain", put, key=vm_key(domain.name))

    def edit_domain(self, key: ObjectKey, edit: Callable[[HostDomain], HostDomain]) -> None:
        """Change a domain by hand. Nothing happens when it is not there."""
        if domain_name(key) in self.state.domains:
            self.put_domain(edit(self.state.domains[domain_name(key)]))

    def edit_stored(self, key: ObjectKey, edit: Callable[[DomainSpec], DomainSpec]) -> None:
        """Change the stored half of a domain by hand."""
        self.edit_domain(key, lambda domain: replace(domain, stored=edit(domain.stored)) if domain.stored else domain)

    def undefine_domain(self, key: ObjectKey) -> None:
        """Remove a domain by hand, its guest too; its volumes stay."""

        def undefine(state: HostState) -> None:
            state.domains.pop(domain_name(key), None)

        self.outside("undefine domain", undefine, key=key)

    def end_guest(self, key: ObjectKey, why: StopReason) -> None:
        """A guest ends by itself (GUEST), by a crash (FAILED) or by somebody's ``destroy`` (DESTROYED)."""
        domain = self.state.domains.get(domain_name(key))
        if domain is not None and domain.power is not PowerState.OFF:
            self.put_domain(powered_off(domain, why, self.clock.now()))

    def power_on(self, key: ObjectKey) -> None:
        """Somebody starts a domain by hand."""
        self.edit_domain(
            key, lambda domain: powered_on(domain, self.clock.monotonic()) if domain.power is PowerState.OFF else domain
        )

    def pause_guest(self, key: ObjectKey) -> None:
        """Somebody pauses a guest."""
        self.edit_domain(
            key,
            lambda domain: replace(domain, power=PowerState.PAUSED) if domain.power is PowerState.RUNNING else domain,
        )

    def resume_guest(self, key: ObjectKey) -> None:
        """Somebody lets a paused guest go on."""
        self.edit_domain(
            key,
            lambda domain: replace(domain, power=PowerState.RUNNING) if domain.power is PowerState.PAUSED else domain,
        )

    def panic_guest(self, key: ObjectKey) -> None:
        """A guest's kernel panics, and the hypervisor keeps what is left of it."""
        self.edit_domain(
            key,
            lambda domain: (
                replace(domain, power=PowerState.CRASHED, off_at=None) if domain.power is PowerState.RUNNING else domain
            ),
        )

    def fill_pool(self, name: str, *, full: bool) -> None:
        """Somebody else's files fill a pool, or are gone again."""

        def mutate(state: HostState) -> None:
            state.pools[name] = replace(state.pools[name], full=full)

        self.outside("fill pool" if full else "empty pool", mutate)

    def put_network(self, network: HostNetwork) -> None:
        """Somebody defines a network."""

        def put(state: HostState) -> None:
            state.networks[network.name] = network

        self.outside("define network", put)

    def put_trash(self, entry: HostTrash) -> None:
        """Somebody else's gitvirt puts something into its trash."""

        def put(state: HostState) -> None:
            state.trash[entry.item.item] = entry

        self.outside("trash of another owner", put)

    def stop_network(self, name: str) -> None:
        """Somebody stops a network."""

        def stop(state: HostState) -> None:
            if name in state.networks:
                state.networks[name] = replace(state.networks[name], running=None)

        key = POD_NETWORK if name == "gitvirt-pod" else ObjectKey("NetworkAttachmentDefinition", *name.split("_", 1))
        self.outside("stop network", stop, key=key)

    def put_volume(self, volume: HostVolume) -> None:
        """Somebody makes a volume."""

        def put(state: HostState) -> None:
            state.lost.pop(volume.place, None)
            state.volumes[volume.place] = volume

        self.outside("create volume", put)

    def lose_volume(self, volume: HostVolume) -> None:
        """Somebody removes a volume by hand."""

        def lose(state: HostState) -> None:
            del state.volumes[volume.place]
            state.lost[volume.place] = volume

        self.outside("remove volume", lose)

    def set_unreadable(self, name: str, reason: str) -> None:
        """From now on an object (by its name on the host) or a pool (``pool:NAME``) cannot be read; an empty reason
        makes it readable again.
        """

        def mutate(state: HostState) -> None:
            if name.startswith("pool:"):
                pool = name.removeprefix("pool:")
                state.pools[pool] = replace(state.pools[pool], readable=not reason)
            elif reason:
                state.unreadable[name] = reason
            else:
                state.unreadable.pop(name, None)

        self.outside("make readable" if not reason else "make unreadable", mutate)

    def reboot(self) -> None:
        """The host loses power and comes back: guests are off, and nothing recorded their end; networks with autostart
        run again.
        """

        def mutate(state: HostState) -> None:
            state.boot_id = f"boot-{int(state.boot_id.partition('-')[2]) + 1}"
            for name, domain in state.domains.items():
                if domain.power is not PowerState.OFF:
                    off = replace(domain, running=None, foreign_running=(), power=PowerState.OFF, off_at=None)
                    state.domains[name] = replace(off, last_stop=None, ended_at=None)
            for name, network in state.networks.items():
                state.networks[name] = replace(network, running=network.stored if network.autostart else None)

        self.outside("reboot host", mutate)

    def _guests_act(self) -> None:
        """Time has passed: guests that heard the power button are off when their time has come."""
        for domain in sorted(self.state.domains.values(), key=lambda domain: domain.name):
            if domain.off_at is not None and domain.off_at <= self.clock.monotonic():
                self.put_domain(powered_off(domain, StopReason.GUEST, self.clock.now()))


def powered_on(domain: HostDomain, monotonic: float) -> HostDomain:
    """The domain with its stored configuration running."""
    return replace(
        domain,
        running=domain.stored,
        foreign_running=domain.foreign_stored,
        power=PowerState.RUNNING,
        powered_at=monotonic,
        off_at=None if domain.behaviour.lives_s is None else monotonic + domain.behaviour.lives_s,
        last_stop=None,
        ended_at=None,
        boots=domain.boots + 1,
    )


def powered_off(domain: HostDomain, why: StopReason, now: datetime) -> HostDomain:
    """The domain without a guest, and why."""
    return replace(
        domain,
        running=None,
        foreign_running=(),
        power=PowerState.OFF,
        off_at=None,
        last_stop=why,
        ended_at=now,
    )


def power_button(domain: HostDomain, monotonic: float) -> HostDomain:
    """The domain after a press of its power button: lost on a guest that does not listen yet, or is paused."""
    guest = domain.behaviour
    listens = guest.honours_acpi and monotonic - domain.powered_at >= guest.boot_s
    if domain.power is not PowerState.RUNNING or not listens or domain.off_at is not None:
        return domain
    return replace(domain, off_at=monotonic + guest.shutdown_s)


def has_booted(domain: HostDomain, monotonic: float) -> bool:
    """Whether the guest is up: it has an address and its agent answers."""
    return domain.power is PowerState.RUNNING and monotonic - domain.powered_at >= domain.behaviour.boot_s


def running_on(state: HostState, place: tuple[str, str]) -> tuple[str, ...]:
    """Names of the domains whose guests have a volume open, sorted."""
    return tuple(
        sorted(
            domain.name
            for domain in state.domains.values()
            if domain.running is not None and place in places_of(domain.name, domain.running)
        )
    )
