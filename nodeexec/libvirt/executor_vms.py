"""Changes of VMs: create, update (stored half, then what the running guest takes), restart, delete.

Every call may be the first after a crash at any step of an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import libvirt

from nodeexec.libvirt.adopted import ADOPTED
from nodeexec.libvirt.attached_volumes import AttachedVolumes
from nodeexec.libvirt.compare import compare
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.disk_keys import DiskKeys
from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.domain_xml import build
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.errors import ApplyEndedError, Fault, fault_of
from nodeexec.libvirt.executor_live import change_running
from nodeexec.libvirt.executor_power import Guest, PowerControl, grace_of, started
from nodeexec.libvirt.firmware_state import keep_in_trash, put_back
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.guest_credentials import GuestCredentials
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.naming import domain_name, volume_name
from nodeexec.libvirt.new_marks import marks_for
from nodeexec.libvirt.observe import Observer
from nodeexec.libvirt.pools import Pool, Pools
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.stored_xml import changed_definition, new_definition
from nodeexec.libvirt.volume_files import VolumeError, read_volume
from nodeexec.recorded import RECORDED_ONLY
from nodeexec.vm_difference import ACCESS_PATH
from reconciler.model.domain import ClaimSource, DomainSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm, Unreadable
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change, Difference, Impact
from reconciler.model.policy import Policy
from reconciler.model.power import PowerState, PowerStep
from reconciler.model.resolved import ResolvedVm
from reconciler.ports import Clock

WAIT_S = 5.0
DETACH_POLL_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VmChanges:
    """Applies one change of one VM."""

    connection: Connection
    policy: Policy
    clock: Clock
    domains: Domains
    observer: Observer
    pools: Pools
    index: DomainIndex
    attached: AttachedVolumes
    power: PowerControl
    credentials: GuestCredentials
    keys: DiskKeys
    flavour: Callable[[], Flavour]

    def apply(self, change: Change, steps: Steps) -> Outcome:
        """Re-observe, then act.

        Raises:
            ApplyEndedError: the change ends early.
            VolumeError, PoolUnreadableError, OSError, ValueError, libvirt.libvirtError: as the parts say.
        """
        with self.domains.lock(self.domains.name(change.key)):
            live = self.observer.vm(change.key)
            if isinstance(live, Unreadable):
                raise ApplyEndedError(Result.RETRY, live.reason, retry_after_s=WAIT_S)
            wanted = change.wanted
            if change.action is Action.DELETE:
                return self._delete(change, live, steps)
            if not isinstance(wanted, ResolvedVm):
                raise ApplyEndedError(Result.REFUSED, f"{change.key}: the change does not say what is wanted")
            if change.action is Action.CREATE:
                return self._create(change, wanted, live, steps)
            return self._update(change, wanted, live, steps)

    def _create(self, change: Change, wanted: ResolvedVm, live: LiveVm | None, steps: Steps) -> Outcome:
        if live is None:
            self._require_claims(wanted)
            self.attached.make(wanted, change.revision, steps)
            handle = self._define(change, wanted, steps)
        else:
            refuse_foreign(live, self.policy.owner)
            if live.marks is None or live.marks.applied != dict(wanted.applied):
                raise ApplyEndedError(Result.CONFLICT, f"{change.key} is there already", retry_after_s=1.0)
            handle = self.domains.find_vm(change.key)
        if change.restore:
            put_back(self.pools, self.policy.default_pool, change.restore, handle, steps)
        if change.power is PowerStep.START:
            self._start_new(change, handle, steps)
        return steps.outcome()

    def _define(self, change: Change, wanted: ResolvedVm, steps: Steps) -> Any:
        """The marks are part of the defining call; those of a VM that starts at once already say so."""
        now = self.clock.now()
        marks = DomainMarks(marks=marks_for(wanted, change.revision, None, policy=self.policy, now=now))
        if change.power is PowerStep.START:
            marks = started(marks, None, self.observer.moment())
        xml = new_definition(wanted.domain, self._flavour(), marks)
        connection = self.connection.get()
        return steps.do("defined domain", lambda: connection.defineXML(xml))

    def _start_new(self, change: Change, handle: Any, steps: Steps) -> None:
        """Start a domain whose marks count the start already; any other is started as always."""
        if "defined domain" not in steps.done:
            self.power.start(self._guest(change, handle), steps)
            return
        try:
            with self.keys.at_hand(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)):
                steps.do("started guest", handle.create)
        except (libvirt.libvirtError, VolumeError) as error:
            lost = isinstance(error, libvirt.libvirtError) and fault_of(error) is Fault.LOST
            if lost or handle.isActive():
                raise
            # It never ran: the next attempt is the first start again.
            guest = self._guest(change, handle)
            kept = {name: value for name, value in guest.marks.extra.items() if name != "starting"}
            unstarted = DomainMarks(marks=guest.marks.marks, extra=kept)
            self.domains.write_marks(handle, unstarted)
            raise

    def _update(self, change: Change, wanted: ResolvedVm, live: LiveVm | None, steps: Steps) -> Outcome:
        live = self._expected(change, live)
        handle = self.domains.find_vm(change.key)
        if change.power_alone:
            outcome = self._power(change, self._guest(change, handle), handle, steps)
            return replace(outcome, steps=tuple(steps.done), result=_result(outcome.result, steps))
        differences = compare(wanted, live)
        self._require_claims(wanted)
        self.attached.make(wanted, change.revision, steps)
        guest = self._guest(change, handle)
        before = self._whole(guest) if ADOPTED in guest.marks.extra else guest.reading.stored_xml or ""
        guest = self._store(change, wanted, guest, differences, steps)
        fault = ""
        if wanted.guest_access is not None and any(d.path == ACCESS_PATH for d in differences):
            fault = self.credentials.hand_over(wanted.key, wanted.guest_access, live.history.runs)
        outcome = self._power(change, guest, handle, steps)
        waiting = ""
        if not change.takes_guest_down:
            waiting = self._change_running(wanted, live, handle, differences, steps)
            if before and any(done.startswith("attached ") for done in steps.done):
                self._keep_places(change, wanted, handle, differences, before, steps)
        self._drop_unused(change, guest, handle, steps)
        if fault and outcome.result in (Result.APPLIED, Result.UNCHANGED):
            return steps.outcome(Result.FAILED, fault)
        if waiting and outcome.result in (Result.APPLIED, Result.UNCHANGED):
            return steps.outcome(Result.PROGRESSING, waiting, DETACH_POLL_S)
        return replace(outcome, steps=tuple(steps.done), result=_result(outcome.result, steps))

    def _power(self, change: Change, guest: Guest, handle: Any, steps: Steps) -> Outcome:
        """Power comes before what the running guest is to take, so that no device that cannot be plugged keeps anybody from
        stopping or pausing it (law 8).
        """
        if change.action is Action.RESTART:
            return self.power.restart(change, self._guest(change, handle), steps)
        if change.power is None:
            return steps.outcome()
        acting = guest if _starts_next(change, guest) else self._guest(change, handle)
        return self.power.carry_out(change, acting, steps, change.power)

    def _drop_unused(self, change: Change, guest: Guest, handle: Any, steps: Steps) -> None:
        """Remove generated volumes that no half names any more. A guest that was just started as it was stored is not read
        again for that, at a moment at which each answer of libvirt's takes longest.
        """
        if _starts_next(change, guest) and "redefined domain" not in steps.done:
            self.attached.drop(change.key, steps, guest.reading.stored_xml)
            return
        reading = self.domains.read(handle)
        if reading is not None:
            self.attached.drop(change.key, steps, reading.stored_xml, reading.running_xml)

    def _store(
        self, change: Change, wanted: ResolvedVm, guest: Guest, differences: tuple[Difference, ...], steps: Steps
    ) -> Guest:
        """The stored half and the marks. Marks alone are written as metadata, by the start where one follows, which writes
        them anyway; addresses never move. Returns the guest with its marks of now.
        """
        own = marks_for(wanted, change.revision, guest.marks.marks, policy=self.policy, now=self.clock.now())
        marks = replace(guest.marks, marks=own)
        stored_xml = guest.reading.stored_xml
        fields = [d for d in differences if d.stored and not d.refused and not _is_recorded_only(d)]
        if stored_xml is None or fields:
            base = self._whole(guest) if ADOPTED in marks.extra else stored_xml or guest.reading.running_xml or ""
            xml = changed_definition(wanted.domain, self._flavour(), marks, base, differences)
            connection = self.connection.get()
            steps.do("redefined domain", lambda: connection.defineXML(xml))
        if marks != guest.marks and not _starts_next(change, guest):
            steps.do("wrote marks", lambda: self.domains.write_marks(guest.handle, marks))
        return replace(guest, marks=marks)

    @staticmethod
    def _whole(guest: Guest) -> str:
        """The stored XML of an adopted domain with all that it holds, a display's password included, which a plain
        reading leaves out and a redefinition would lose. It goes back to libvirt and nowhere else.
        """
        xml: str = guest.handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        return xml

    def _keep_places(
        self,
        change: Change,
        wanted: ResolvedVm,
        handle: Any,
        differences: tuple[Difference, ...],
        before: str,
        steps: Steps,
    ) -> None:
        """Give the stored half the addresses at which devices were plugged in just now, so that no NIC changes its name
        in the guest at the next boot. ``before`` is the stored XML as it was, which knew nothing of them.
        """
        guest = self._guest(change, handle)
        running = guest.reading.running_xml
        if running is None:
            return
        xml = changed_definition(wanted.domain, self._flavour(), guest.marks, before, differences, running=running)
        connection = self.connection.get()
        steps.do("kept places of plugged devices", lambda: connection.defineXML(xml))

    def _change_running(
        self, wanted: ResolvedVm, live: LiveVm, handle: Any, differences: tuple[Difference, ...], steps: Steps
    ) -> str:
        """What can be done live; the answer says what the guest still has to do, empty for nothing."""
        if live.running is None or live.power is PowerState.CRASHED:
            return ""
        doable = tuple(d for d in differences if _is_live(d))
        if not doable:
            return ""
        devices = tuple(d for d in doable if d.path != ACCESS_PATH)
        taken = self._taken_disks(wanted, live.running)
        with self.keys.at_hand(build(wanted.domain, self._flavour())):
            pending = change_running(handle, wanted.domain, self._flavour(), devices, steps, left_out=taken)
        after = self.observer.vm(wanted.key)
        if not isinstance(after, LiveVm) or after.running is None:
            return ""
        left = [d for d in compare(wanted, after) if _is_live(d)]
        if not left:
            return ""
        if taken:
            return f"{'; '.join(f'{subject} is open in {user}' for subject, user in taken.items())}; it is tried again"
        held = f"the guest has not released {', '.join(pending)} yet" if pending else "the guest has not followed yet"
        return f"{held} ({', '.join(d.path.rpartition('.')[2] for d in left)}); it is asked again"

    def _taken_disks(self, wanted: ResolvedVm, running: DomainSpec) -> dict[str, str]:
        """Disks that this guest is to get and another one still has, each with that one: QEMU refuses them until it lets go."""
        has = {disk.name for disk in running.disks}
        new = [disk for disk in wanted.domain.disks if disk.name not in has and not disk.shareable]
        sources = {disk.name: disk.source for disk in new if isinstance(disk.source, ClaimSource)}
        if sources:
            self.index.refresh(fresh=False)
        taken = {}
        for name, source in sources.items():
            pool = self.pools.require(source.pool)
            volumes = [volume_name(source.namespace, source.claim, ending) for ending in ("qcow2", "raw")]
            users = {user for volume in volumes for user in self.index.users_of_volume(pool, volume, running=True)}
            others = sorted(str(user) for user in users - {wanted.key})
            if others:
                taken[f"disk {name}"] = ", ".join(others)
        return taken

    def _delete(self, change: Change, live: LiveVm | None, steps: Steps) -> Outcome:
        if live is None:
            return steps.outcome(reason=f"{change.key} is gone already")
        self._expected(change, live)
        handle = self.domains.find_vm(change.key)
        guest = self._guest(change, handle)
        self._refuse_saved_state(guest)
        waiting = self.power.stop(guest, steps, "delete", grace_of(change, guest))
        if waiting is not None:
            return waiting
        if guest.reading.stored_xml is not None:
            guest = self.power.again(guest)
            pool = self.pools.require(self.policy.default_pool)
            item = keep_in_trash(pool, change, guest, self.observer.moment(), steps)
            flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
            steps.do(f"undefined domain, kept as {item.item}", lambda: handle.undefineFlags(flags))
        self.attached.drop(change.key, steps)
        return steps.outcome()

    def _refuse_saved_state(self, guest: Guest) -> None:
        """Snapshots and saved memory are somebody's work; undefining would lose them."""
        if guest.handle.snapshotNum(0):
            raise ApplyEndedError(
                Result.REFUSED,
                f"{guest.name} has snapshots; delete them first (virsh snapshot-list {guest.name}; "
                f"virsh snapshot-delete {guest.name} NAME)",
            )
        if guest.handle.hasManagedSaveImage(0):
            raise ApplyEndedError(
                Result.REFUSED,
                f"{guest.name} has a saved memory image; start it, or drop the image (virsh managedsave-remove {guest.name})",
            )

    def _expected(self, change: Change, live: LiveVm | None) -> LiveVm:
        """The live VM that planning saw."""
        if live is None:
            raise ApplyEndedError(Result.CONFLICT, f"{change.key} is gone", retry_after_s=1.0)
        refuse_foreign(live, self.policy.owner)
        if live.fingerprint != change.expected:
            raise ApplyEndedError(Result.CONFLICT, f"{change.key} changed since it was planned", retry_after_s=1.0)
        return live

    def _guest(self, change: Change, handle: Any) -> Guest:
        reading = self.domains.read(handle)
        marks = self.domains.owned(reading) if reading is not None else None
        if reading is None or marks is None:
            raise ApplyEndedError(Result.CONFLICT, f"{change.key} changed hands meanwhile", retry_after_s=1.0)
        return Guest(key=change.key, handle=handle, reading=reading, marks=marks)

    def _require_claims(self, wanted: ResolvedVm) -> None:
        """Every claim's volume under its final name: one in the making has no such name."""
        for disk in wanted.domain.disks:
            source = disk.source
            if not isinstance(source, ClaimSource):
                continue
            names = [volume_name(source.namespace, source.claim, source.format)]
            names += [volume_name(source.namespace, source.claim, other) for other in ("qcow2", "raw")]
            pool = self.pools.require(source.pool)
            if not any(read_volume(pool, name) for name in names) and not self._is_adopted(pool, source):
                raise ApplyEndedError(
                    Result.RETRY, f"claim {source.namespace}/{source.claim} has no volume yet", retry_after_s=WAIT_S
                )

    def _is_adopted(self, pool: Pool, source: ClaimSource) -> bool:
        key = ObjectKey("PersistentVolumeClaim", source.namespace, source.claim)
        return self.observer.adopted_volume(pool, key) is not None

    def _flavour(self) -> Flavour:
        flavour = self.flavour()
        if flavour.console_log_directory:
            Path(flavour.console_log_directory).mkdir(mode=0o755, parents=True, exist_ok=True)
        return flavour


def refuse_foreign(live: LiveVm, owner: str) -> None:
    """Raises ApplyEndedError for a domain that is not ours."""
    if live.marks is None or live.marks.owner != owner:
        whose = f"belongs to {live.marks.owner!r}" if live.marks is not None else "was not made by gitvirt"
        raise ApplyEndedError(
            Result.REFUSED, f"a domain named {domain_name(live.key)} {whose}; rename one of the two, or adopt it"
        )


def _starts_next(change: Change, guest: Guest) -> bool:
    """Whether the change ends with the start of a guest that is off."""
    return change.power is PowerStep.START and guest.reading.power is PowerState.OFF


def _is_live(difference: Difference) -> bool:
    return difference.running and not difference.refused and difference.impact is Impact.LIVE


def _is_recorded_only(difference: Difference) -> bool:
    """A leaf of the applied document that no field of the domain explains: the marks alone change."""
    return difference.reason == RECORDED_ONLY


def _result(result: Result, steps: Steps) -> Result:
    return Result.APPLIED if result is Result.UNCHANGED and steps.done else result
