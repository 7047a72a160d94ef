"""A domain of the simulated host as a `LiveVm`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodeexec.simulated.fingerprints import digest_of, fingerprint
from nodeexec.simulated.state import HostDomain
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import LiveInterface, LiveVm, Marks
from reconciler.model.power import PowerState, RunHistory, StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSurroundings:
    """What a VM looks like depends on besides its domain. ``up`` is whether its guest has booted, ``dhcp`` whether the pod network
    gives addresses out.
    """

    boot_id: str
    up: bool
    dhcp: bool


def live_vm(
    key: ObjectKey, domain: HostDomain, marks: Marks | None, history: RunHistory, around: VmSurroundings
) -> LiveVm:
    """``marks`` and ``history`` are the domain's, with what the kernel's clock tells of them. The fingerprint says nothing of the
    guest.
    """
    live = LiveVm(
        key=key,
        fingerprint="",
        marks=marks,
        stored=domain.stored,
        running=domain.running,
        power=_power(domain),
        stop_reason=_stop_reason(domain, around.boot_id),
        history=history,
        guest_access=domain.guest_access[0] if domain.guest_access[1] == domain.boots else "",
        foreign_stored=domain.foreign_stored,
        foreign_running=domain.foreign_running,
        accelerator="qemu",
        machine=domain.stored.machine if domain.stored else "",
        kept=domain.kept,
    )
    has_agent = around.up and domain.behaviour.agent
    return replace(
        live,
        fingerprint=fingerprint(live),
        interfaces=_interfaces(domain, around),
        guest_agent=has_agent,
        guest_hostname=key.name if has_agent else "",
    )


def history_of(domain: HostDomain) -> RunHistory:
    """What the marks remember, without a start whose guest never came and a stop of a guest that is long gone."""
    history = domain.history
    if domain.boots == domain.boots_at_mark and domain.power is PowerState.OFF:
        history = domain.history_before_mark
    if domain.boots != domain.boots_at_stop and history.stop_requested_at is not None:
        history = history.stop_withdrawn()
    ended_at = domain.ended_at or history.ended_at
    return history if ended_at == history.ended_at else replace(history, ended_at=ended_at)


def lease_of(mac: str) -> str:
    """The address that the simulated DHCP server always gives a MAC."""
    number = int(digest_of(mac.encode())[:4], 16)
    return f"10.77.{number // 256 % 4}.{number % 240 + 10}"


def _power(domain: HostDomain) -> PowerState:
    if domain.power is PowerState.RUNNING and history_of(domain).stop_requested_at is not None:
        return PowerState.STOPPING
    return domain.power


def _stop_reason(domain: HostDomain, boot_id: str) -> StopReason:
    if domain.power is not PowerState.OFF:
        return StopReason.UNKNOWN
    history = history_of(domain)
    if history.stop_requested_at is not None:
        return StopReason.GITVIRT
    if domain.last_stop is not None:
        return domain.last_stop
    if history.runs == 0:
        return StopReason.NEVER_RAN
    return StopReason.HOST if domain.started_on_boot != boot_id else StopReason.UNKNOWN


def _interfaces(domain: HostDomain, around: VmSurroundings) -> tuple[LiveInterface, ...]:
    if domain.running is None:
        return ()
    has_lease = around.up and around.dhcp
    return tuple(
        LiveInterface(
            name=nic.name,
            mac=nic.mac,
            ips=(lease_of(nic.mac),) if has_lease and nic.network == str(POD_NETWORK) else (),
            guest_name=f"eth{place}" if around.up else "",
        )
        for place, nic in enumerate(domain.running.interfaces)
    )
