"""The power of a simulated guest: start, graceful stop that never waits, restart, pause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from nodeexec.simulated.faults import HostError
from nodeexec.simulated.host import Mutation, power_button, powered_off, powered_on, running_on
from nodeexec.simulated.names import POD_NETWORK_NAME
from nodeexec.simulated.reading_vms import history_of
from nodeexec.simulated.state import HostDomain, HostState, domain_name, places_of
from nodeexec.simulated.steps import Executor, Steps
from reconciler.model.domain import ClaimSource, DomainSpec
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.moment import KernelTime
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.power import PowerState, PowerStep, RunHistory, StopReason
from reconciler.model.resolved import ResolvedVm
from reconciler.ports import Clock

STOP_POLL_S = 2.0
BUTTON_EVERY_S = 5.0
DEFAULT_GRACE_S = 30


class PowerControl:
    """Carries out power steps. Only the time of the last press of a power button is kept in memory: losing it costs one
    press more.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._pressed: dict[ObjectKey, float] = {}

    def carry_out(self, change: Change, steps: Steps, step: PowerStep) -> Outcome:
        """Do ``step`` to a domain that exists."""
        domain = self._domain(change.key)
        match step:
            case PowerStep.START:
                return self._start_or_keep(domain, steps)
            case PowerStep.STOP:
                return self.stop(change.key, steps, "stop", grace_of(change, domain)) or steps.outcome()
            case PowerStep.RESTART:
                return self.restart(change, steps)
            case PowerStep.PAUSE:
                self._set_power(domain, steps, "pause guest", PowerState.RUNNING, PowerState.PAUSED)
            case PowerStep.UNPAUSE:
                self._set_power(domain, steps, "resume guest", PowerState.PAUSED, PowerState.RUNNING)
        return steps.outcome()

    def is_satisfied(self, change: Change) -> bool:
        """Whether the guest's power is what the change asks for already."""
        domain = self._executor.state.domains.get(domain_name(change.key))
        if domain is None or change.power is None:
            return domain is not None
        expected = {
            PowerStep.START: domain.power in (PowerState.RUNNING, PowerState.PAUSED),
            PowerStep.STOP: domain.power is PowerState.OFF,
            PowerStep.PAUSE: domain.power is PowerState.PAUSED,
            PowerStep.UNPAUSE: domain.power is PowerState.RUNNING,
        }
        return expected.get(change.power, False)

    def restart(self, change: Change, steps: Steps) -> Outcome:
        """Graceful stop, then start with the stored configuration."""
        grace = grace_of(change, self._domain(change.key))
        waiting = self.stop(change.key, steps, "restart", grace)
        return waiting or self._start_or_keep(self._domain(change.key), steps)

    def stop(self, key: ObjectKey, steps: Steps, asked_by: str, grace_s: float) -> Outcome | None:
        """One look at a graceful stop; None when the guest is off, otherwise ``progressing``."""
        domain, clock = self._domain(key), self._executor.clock
        if domain.power is PowerState.OFF:
            return None
        monotonic = clock.monotonic()
        history = history_of(domain)
        asked = history.stop_asked(asked_by, clock.now(), monotonic)
        if asked != history:
            steps.do("mark stop", changed(domain.name, history=asked, boots_at_stop=domain.boots))
            domain = self._domain(key)
        left = grace_s - asked.waited_s(monotonic)
        if domain.power is PowerState.CRASHED or left <= 0:
            steps.do("force off", lambda state: _force_off(state, key, steps))
            return None
        if monotonic - self._pressed.get(key, float("-inf")) >= BUTTON_EVERY_S:
            self._pressed[key] = monotonic
            steps.do("press power button", lambda state: _press(state, key, clock))
        begins_now = asked.stop_since_s == monotonic
        heard = asked.stop_heard(clock.now(), clock.monotonic()) if begins_now else asked
        if heard != asked:
            steps.do("mark stop", changed(domain.name, history=heard))
        return steps.outcome(
            Result.PROGRESSING,
            f"waiting for the guest to shut down, {left:.0f} s left before it is forced off",
            STOP_POLL_S,
        )

    def _start_or_keep(self, domain: HostDomain, steps: Steps) -> Outcome:
        if domain.power is PowerState.CRASHED:
            steps.do("force off", lambda state: _force_off(state, steps.key, steps))
            domain = self._domain(steps.key)
        if domain.power is PowerState.OFF:
            return self._start(domain, steps)
        if history_of(domain).stop_requested_at is not None:
            steps.do("withdraw stop", changed(domain.name, history=domain.history.stop_withdrawn()))
        return steps.outcome()

    def _start(self, domain: HostDomain, steps: Steps) -> Outcome:
        """The mark comes before the guest, so that no run goes uncounted; a mark whose guest never came is told from
        the host's own count of power-ons (`HostDomain.boots_at_mark`).
        """
        now, before = self._executor.clock.now(), history_of(domain)
        mark = changed(
            domain.name,
            history=history_of_next_run(before, domain, now),
            history_before_mark=before,
            restarted=_restarted(before, domain, self._executor),
            started_on_boot=self._executor.state.boot_id,
            boots_at_mark=domain.boots,
        )
        steps.do("mark start", mark)
        steps.do("start guest", lambda state: _power_on(state, domain.name, self._executor.clock))
        return steps.outcome()

    def _set_power(self, domain: HostDomain, steps: Steps, name: str, before: PowerState, after: PowerState) -> None:
        def act(state: HostState) -> None:
            if state.domains[domain.name].power is before:
                changed(domain.name, power=after)(state)

        if domain.power is before:
            steps.do(name, act)

    def _domain(self, key: ObjectKey) -> HostDomain:
        return self._executor.state.domains[domain_name(key)]


def history_of_next_run(history: RunHistory, domain: HostDomain, now: datetime) -> RunHistory:
    """What the marks say from the next start on."""
    return RunHistory(
        runs=history.runs + 1,
        failures=history.failed_in_a_row(domain.last_stop, history.ended_at),
        started_at=now,
        last_restart_at=now if history.stop_asked_by == "restart" else history.last_restart_at,
    )


def _restarted(history: RunHistory, domain: HostDomain, executor: Executor) -> KernelTime | None:
    return executor.reading().moment().kernel_time if history.stop_asked_by == "restart" else domain.restarted


def grace_of(change: Change, domain: HostDomain) -> float:
    """Seconds a guest gets to shut down: of the wanted VM, or for a deletion of the last applied document."""
    if isinstance(change.wanted, ResolvedVm):
        return change.wanted.grace_period_s
    node: Any = domain.marks.applied if domain.marks else None
    for name in ("spec", "template", "spec", "terminationGracePeriodSeconds"):
        node = node.get(name) if isinstance(node, Mapping) else None
    return float(node) if isinstance(node, int) else DEFAULT_GRACE_S


def changed(name: str, **values: Any) -> Mutation:
    """The step that gives a domain other values, whatever else became of it meanwhile.

    Raises:
        HostError: it is gone.
    """

    def put(state: HostState) -> None:
        if name not in state.domains:
            raise HostError(f"there is no domain {name}", transient=True)
        state.domains[name] = replace(state.domains[name], **values)

    return put


def _press(state: HostState, key: ObjectKey, clock: Clock) -> None:
    name = domain_name(key)
    state.domains[name] = power_button(state.domains[name], clock.monotonic())


def _force_off(state: HostState, key: ObjectKey, steps: Steps) -> None:
    name = domain_name(key)
    if state.domains[name].power is not PowerState.OFF:
        state.domains[name] = powered_off(state.domains[name], StopReason.DESTROYED, steps.executor.clock.now())


def _power_on(state: HostState, name: str, clock: Clock) -> None:
    domain = state.domains[name]
    if domain.stored is None:
        raise HostError(f"domain {name} has no configuration", transient=False)
    if domain.running is not None:
        raise HostError(f"domain {name} is running already", transient=False)
    refuse_impossible_disks(state, name, domain.stored)
    for nic in domain.stored.interfaces:
        refuse_missing_network(state, nic.network)
    state.domains[name] = powered_on(domain, clock.monotonic())


def refuse_impossible_disks(state: HostState, name: str, spec: DomainSpec) -> None:
    """A hypervisor does not open a volume that is not there, or that another guest writes to.

    Raises:
        HostError: always for such a disk.
    """
    shareable = {disk.source for disk in spec.disks if disk.shareable and isinstance(disk.source, ClaimSource)}
    shared = {(source.pool, f"{source.namespace}_{source.claim}.{source.format}") for source in shareable}
    for place in sorted(places_of(name, spec)):
        if place not in state.volumes:
            raise HostError(f"volume {place[1]} is not in pool {place[0]}", transient=True)
        others = [other for other in running_on(state, place) if other != name]
        if others and place not in shared:
            raise HostError(f"volume {place[1]} is in use by {others[0]}", transient=True)


def refuse_missing_network(state: HostState, reference: str) -> None:
    """A NIC needs a network that is active.

    Raises:
        HostError: it is not.
    """
    name = POD_NETWORK_NAME if reference == str(POD_NETWORK) else reference.replace("/", "_", 1)
    network = state.networks.get(name)
    if network is None or network.running is None:
        raise HostError(f"network {reference} is not active", transient=True)
