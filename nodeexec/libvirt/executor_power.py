"""The power of a guest: start, graceful stop that never waits, restart, pause. Decisions were made in planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import libvirt

from nodeexec.kernel_times import kernel_time_data
from nodeexec.libvirt.disk_keys import DiskKeys
from nodeexec.libvirt.domains import DomainReading, Domains
from nodeexec.libvirt.errors import ApplyEndedError
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.observe_vms import RESTARTED, STARTING, history_of
from nodeexec.libvirt.settings import LibvirtSettings
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.volume_files import VolumeError
from reconciler.model.keys import ObjectKey
from reconciler.model.moment import Moment
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.power import PowerState, PowerStep, RunHistory, StopReason
from reconciler.model.resolved import ResolvedVm
from reconciler.ports import Clock

STOP_POLL_S = 2.0
DEFAULT_GRACE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A domain of ours as it was read a moment ago."""

    key: ObjectKey
    handle: Any
    reading: DomainReading
    marks: DomainMarks

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.reading.name

    @property
    def history(self) -> RunHistory:
        """What the marks remember of its runs."""
        return history_of(self.marks, self.reading)


class PowerControl:
    """Carries out power steps. Only the time of the last press of a power button is kept in memory: losing it costs one
    press more.
    """

    def __init__(self, domains: Domains, clock: Clock, settings: LibvirtSettings, boot_id: str, keys: DiskKeys) -> None:
        self._domains = domains
        self._keys = keys
        self._clock = clock
        self._settings = settings
        self._boot_id = boot_id
        self._pressed: dict[ObjectKey, float] = {}

    def carry_out(self, change: Change, guest: Guest, steps: Steps, step: PowerStep) -> Outcome:
        """Do ``step``.

        Raises:
            libvirt.libvirtError: libvirt refuses or did not answer.
        """
        match step:
            case PowerStep.START:
                self.start(guest, steps)
            case PowerStep.STOP:
                return self.stop(guest, steps, "stop", grace_of(change, guest)) or steps.outcome()
            case PowerStep.RESTART:
                return self.restart(change, guest, steps)
            case PowerStep.PAUSE:
                if guest.reading.power is PowerState.RUNNING:
                    steps.do("paused guest", guest.handle.suspend)
            case PowerStep.UNPAUSE:
                if guest.reading.power is PowerState.PAUSED:
                    steps.do("resumed guest", guest.handle.resume)
        return steps.outcome()

    def restart(self, change: Change, guest: Guest, steps: Steps) -> Outcome:
        """Graceful stop, then start with the stored configuration."""
        waiting = self.stop(guest, steps, "restart", grace_of(change, guest))
        if waiting is not None:
            return waiting
        self.start(self.again(guest), steps)
        return steps.outcome()

    def stop(self, guest: Guest, steps: Steps, asked_by: str, grace_s: float) -> Outcome | None:
        """One look at a graceful stop; None when the guest is off, otherwise ``progressing``."""
        if guest.reading.power is PowerState.OFF:
            return None
        now_s = self._clock.monotonic()
        asked = guest.history.stop_asked(asked_by, self._clock.now(), now_s)
        if asked != guest.history:
            guest = self._write(guest, steps, "marked stop", replace(guest.marks, history=asked, end_reason=None))
        left_s = grace_s - asked.waited_s(now_s)
        if guest.reading.power is PowerState.CRASHED or left_s <= 0:
            self.force_off(guest, steps)
            return None
        self._press(guest, steps)
        begins_now = asked.stop_since_s == now_s
        heard = asked.stop_heard(self._clock.now(), self._clock.monotonic()) if begins_now else asked
        if heard != asked:
            self._write(guest, steps, "marked stop", replace(guest.marks, history=heard))
        return steps.outcome(
            Result.PROGRESSING,
            f"waiting for the guest to shut down, {left_s:.0f} s left before it is forced off",
            min(STOP_POLL_S, left_s + 0.1),
        )

    def force_off(self, guest: Guest, steps: Steps) -> None:
        """Pull the plug, and write down that it was us."""

        def destroy() -> None:
            try:
                guest.handle.destroy()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or guest.handle.isActive():
                    raise

        steps.do("forced guest off", destroy)
        self._forget(guest.key)
        if guest.handle.isPersistent():
            self._domains.record_end(guest.name, StopReason.DESTROYED)

    def start(self, guest: Guest, steps: Steps) -> None:
        """The mark comes before the guest, so that no run goes uncounted; a mark whose guest never came is told by its
        ``starting`` entry (see `observe_vms.history_of`).
        """
        if guest.reading.power is PowerState.CRASHED:
            self.force_off(guest, steps)
            guest = self.again(guest)
        if guest.reading.power is not PowerState.OFF:
            self._withdraw_stop(guest, steps)
            return
        before = guest.marks
        now = Moment(boot_id=self._boot_id, monotonic_s=self._clock.monotonic(), at=self._clock.now())
        after = started(before, guest, now)
        self._write(guest, steps, "marked start", after)
        try:
            with self._keys.at_hand(guest.reading.stored_xml or ""):
                steps.do("started guest", guest.handle.create)
        except (libvirt.libvirtError, VolumeError):
            if not guest.handle.isActive():
                self._domains.write_marks(guest.handle, before)
            raise
        self._forget(guest.key)

    def _forget(self, key: ObjectKey) -> None:
        self._pressed.pop(key, None)

    def again(self, guest: Guest) -> Guest:
        """The same domain, read now.

        Raises:
            ApplyEndedError: it is not ours any more, or gone.
        """
        reading = self._domains.read(guest.handle)
        marks = self._domains.owned(reading) if reading is not None else None
        if reading is None or marks is None:
            raise ApplyEndedError(Result.CONFLICT, f"domain {guest.name} changed hands meanwhile", retry_after_s=1.0)
        return replace(guest, reading=reading, marks=marks)

    def _withdraw_stop(self, guest: Guest, steps: Steps) -> None:
        if guest.history.stop_requested_at is not None:
            kept = replace(guest.marks, history=guest.history.stop_withdrawn())
            self._write(guest, steps, "withdrew stop", kept)

    def _press(self, guest: Guest, steps: Steps) -> None:
        """Before the guest listens a press is lost, so it is repeated."""
        now_s = self._clock.monotonic()
        if now_s - self._pressed.get(guest.key, float("-inf")) < self._settings.stop_repeat_s:
            return
        self._pressed[guest.key] = now_s
        try:
            steps.do(
                "pressed power button",
                lambda: guest.handle.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
            )
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                raise
            steps.attempting = ""

    def _write(self, guest: Guest, steps: Steps, name: str, marks: DomainMarks) -> Guest:
        steps.do(name, lambda: self._domains.write_marks(guest.handle, marks))
        return replace(guest, marks=marks)


def started(marks: DomainMarks, guest: Guest | None, now: Moment) -> DomainMarks:
    """The marks from the next start on. ``guest`` is None for a domain that is just being made."""
    history = guest.history if guest is not None else marks.history
    last = marks.end_reason or (guest.reading.ended if guest is not None else None)
    ended_at = history.ended_at if marks.end_reason is not None else now.at
    is_restart = history.stop_asked_by == "restart"
    return replace(
        marks,
        history=RunHistory(
            runs=history.runs + 1,
            failures=history.failed_in_a_row(last, ended_at),
            started_at=now.at,
            last_restart_at=now.at if is_restart else history.last_restart_at,
        ),
        boot_id=now.boot_id,
        end_reason=None,
        extra={
            **marks.extra,
            STARTING: {"runs": history.runs, "failures": history.failures},
            **({RESTARTED: kernel_time_data(now)} if is_restart else {}),
        },
    )


def grace_of(change: Change, guest: Guest) -> float:
    """Seconds a guest gets to shut down: of the wanted VM, or for a deletion of the last applied document."""
    if isinstance(change.wanted, ResolvedVm):
        return float(change.wanted.grace_period_s)
    node: Any = guest.marks.marks.applied
    for name in ("spec", "template", "spec", "terminationGracePeriodSeconds"):
        node = node.get(name) if isinstance(node, Mapping) else None
    return float(node) if isinstance(node, int) and not isinstance(node, bool) else DEFAULT_GRACE_S
