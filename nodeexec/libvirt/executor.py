"""`Engine.apply` and the other acts of the libvirt engine: each ends in an outcome, whatever libvirt says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import libvirt

from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.errors import ApplyEndedError, Fault, translate
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.executor_adopt import Adopter
from nodeexec.libvirt.executor_left_behind import LeftBehindChanges
from nodeexec.libvirt.executor_networks import NetworkChanges
from nodeexec.libvirt.executor_trash import TrashChanges
from nodeexec.libvirt.executor_vms import VmChanges
from nodeexec.libvirt.executor_volumes import VolumeChanges
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.naming import network_name
from nodeexec.libvirt.observe import NETWORK_KINDS, VM, VOLUME_KINDS, Observer, readable_pools
from nodeexec.libvirt.observe_networks import find_network
from nodeexec.libvirt.pools import Pools, PoolUnreadableError
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.volume_files import NameTakenError, VolumeError, read_volume, write_marks
from nodeexec.operator_ends import ENDS, ends_data
from reconciler.model.adoption import Takeover
from reconciler.model.errors import EngineError
from reconciler.model.keys import ATTACHED_VOLUME, TRASH_ITEM, ObjectKey
from reconciler.model.live import LiveVolume, Unreadable
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.policy import Policy
from reconciler.model.power import Override

RETRY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Dispatches by kind and turns every fault of the environment into an outcome."""

    connection: Connection
    events: EventStream
    policy: Policy
    domains: Domains
    observer: Observer
    pools: Pools
    vms: VmChanges
    volumes: VolumeChanges
    left_behind: LeftBehindChanges
    networks: NetworkChanges
    trash: TrashChanges
    adopter: Adopter

    def apply(self, change: Change) -> Outcome:
        """Carry out one change."""
        return self._safely(f"{change.action} {change.key}", lambda steps: self._apply(change, steps))

    def mark(
        self, key: ObjectKey, *, override: Override | None, suspended: str, suspended_until: datetime | None
    ) -> Outcome:
        """Write the operator's facts on a VM."""

        def change(marks: DomainMarks) -> DomainMarks:
            own = replace(marks.marks, override=override, suspended=suspended, suspended_until=suspended_until)
            extra = {name: value for name, value in marks.extra.items() if name != ENDS}
            ends = ends_data(override, suspended_until, self.observer.moment())
            return replace(marks, marks=own, extra={**extra, ENDS: ends} if ends else extra)

        def act(steps: Steps) -> Outcome:
            handle = self.domains.find_vm(key) if key.kind == VM else None
            if handle is None:
                return Outcome(result=Result.REFUSED, reason=f"there is no VM {key} on this host")
            after = steps.do("wrote operator's marks", lambda: self.domains.change_marks(handle, change))
            if after is None:
                return Outcome(result=Result.REFUSED, reason=f"{key} is not gitvirt's; adopt it first")
            return steps.outcome()

        return self._safely(f"mark {key}", act)

    def adopt(self, takeover: Takeover) -> Outcome:
        """Write marks on a domain that was there before, and on its volumes."""
        return self._safely(f"adopt {takeover.adoption.domain}", lambda steps: self.adopter.adopt(takeover, steps))

    def release(self, key: ObjectKey) -> Outcome:
        """Take the marks off."""
        return self._safely(f"release {key}", lambda steps: self._release(key, steps))

    def empty_trash(self, item: str) -> Outcome:
        """Destroy one trash item."""

        return self._safely(f"empty trash item {item}", lambda steps: self.trash.empty(item, steps))

    def restore_trash(self, item: str) -> Outcome:
        """Put a trashed volume back under its name, with the marks it had."""
        return self._safely(f"restore trash item {item}", lambda steps: self.trash.restore(item, steps))

    def note_trash_ages(self) -> Outcome:
        """Write on trash items how long they were seen to lie there."""
        return self._safely("note the age of trash items", self.trash.note_ages)

    def _apply(self, change: Change, steps: Steps) -> Outcome:
        if change.key.kind == VM:
            return self.vms.apply(change, steps)
        if change.key.kind in VOLUME_KINDS:
            return self.volumes.apply(change, steps)
        if change.key.kind == ATTACHED_VOLUME:
            return self.left_behind.apply(change, steps)
        if change.key.kind in NETWORK_KINDS:
            return self.networks.apply(change, steps)
        if change.key.kind == TRASH_ITEM:
            return self.trash.expire(change, steps)
        return Outcome(result=Result.REFUSED, reason=f"the libvirt engine knows no {change.key.kind}")

    def _release(self, key: ObjectKey, steps: Steps) -> Outcome:
        nothing = Outcome(result=Result.REFUSED, reason=f"there is no {key} of gitvirt's on this host")
        if key.kind == VM:
            handle = self.domains.find_vm(key)
            reading = self.domains.read(handle) if handle is not None else None
            if reading is None or self.domains.owned(reading) is None:
                return nothing
            self.adopter.release_volumes(reading, steps)
            steps.do("took marks off domain", lambda: self.domains.write_marks(handle, None))
            self.domains.read(handle)
            return steps.outcome()
        if key.kind in NETWORK_KINDS:
            network = find_network(self.connection, network_name(key, self.policy.owner))
            marks = network.marks if network is not None else None
            if network is None or not isinstance(marks, DomainMarks) or marks.marks.owner != self.policy.owner:
                return nothing
            self.networks.release(network, steps)
            return steps.outcome()
        live = self.observer.volume(key, None) if key.kind in VOLUME_KINDS else None
        if isinstance(live, Unreadable):
            raise ApplyEndedError(Result.RETRY, live.reason, retry_after_s=RETRY_S)
        if live is None or not self._is_our_volume(live):
            return nothing
        pool = self.pools.require(live.pool)
        file = read_volume(pool, live.volume)
        if file is None:
            return nothing
        steps.do("took marks off volume", lambda: write_marks(pool, file.path, file.name, None))
        return steps.outcome()

    def _is_our_volume(self, live: LiveVolume) -> bool:
        return live.phase == "Succeeded" and live.marks is not None and live.marks.owner == self.policy.owner

    def _refresh_pools(self) -> None:
        """libvirt does not know a volume whose file is there: somebody put it there by hand. The next attempt will find it."""
        for pool in readable_pools(self.observer.pools()):
            if pool.active:
                with suppress(libvirt.libvirtError):
                    self.pools.refresh(pool)

    def _safely(self, doing: str, act: Callable[[Steps], Outcome]) -> Outcome:
        steps = Steps()
        try:
            # Whoever acts on guests has to note how they end.
            self.events.listen(self.connection.get())
            return act(steps)
        except ApplyEndedError as ended:
            return replace(ended.outcome, steps=tuple(steps.done))
        except NameTakenError as error:
            return steps.outcome(Result.CONFLICT, str(error), 1.0)
        except (VolumeError, PoolUnreadableError, EngineError) as error:
            return steps.outcome(Result.RETRY, f"{doing}: {error}", RETRY_S)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            return steps.outcome(Result.RETRY, f"{doing}: {error.strerror or error}{where}", RETRY_S)
        except ValueError as error:
            return steps.outcome(Result.FAILED, f"{doing}: {error}")
        except libvirt.libvirtError as error:
            self.connection.mark_lost()
            if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
                self._refresh_pools()
            translated = translate(error, steps.attempting or doing)
            if translated.fault is Fault.LOST and not steps.attempting:
                return steps.outcome(Result.RETRY, translated.message, 1.0)
            return replace(translated.outcome, steps=tuple(steps.done))
