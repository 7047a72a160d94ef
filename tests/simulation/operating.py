"""An operator at gitvirt's socket: every act goes through the verbs that the daemon serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from nodeexec.simulated.host import Host
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.operations import Operations
from reconciler.daemon.suspension import Suspended, SuspensionFile
from reconciler.daemon.wake import Wake
from reconciler.model.errors import GitvirtError
from reconciler.model.keys import ObjectKey
from reconciler.model.moment import KernelTime, Moment
from reconciler.model.plan import Hold
from tests.simulation.events import Operation
from tests.simulation.fleet import DATA_VOLUME, NAMESPACE, VM, Fleet, key
from tests.simulation.known import Act, Known

T = TypeVar("T")
BY = "ada"


class HeldSuspension(SuspensionFile):
    """The file beside the key, in memory: it outlives processes, and the state directory."""

    def __init__(self) -> None:
        self.held: Suspended | None = None
        self._end: KernelTime | None = None

    def read(self, now: Moment) -> Suspended | None:
        """The halt that holds at ``now``."""
        if self.held is None or self.held.until is None:
            return self.held
        until = now.told(self.held.until, self._end)
        return None if until <= now.at else replace(self.held, until=until)

    def write(self, suspended: Suspended, now: Moment) -> None:
        """Halt."""
        self.held = suspended
        self._end = now.end_of(suspended.until) if suspended.until is not None else None

    def clear(self) -> bool:
        """Go on; whether anything was halted."""
        was, self.held = self.held, None
        return was is not None


class InTurn:
    """`Turn` of the one thread there is. ``run`` is a cycle, with all that the simulation does around one."""

    in_daemon = True

    def __init__(self, run: Callable[[Wake], CycleReport]) -> None:
        self.run = run
        self.told = Wake()

    def call(self, function: Callable[[], T]) -> T:
        """Now: nobody else runs."""
        return function()

    def wait_for_first_cycle(self) -> None:
        """No question comes before it."""

    def tell(self, wake: Wake) -> None:
        """Keep it for the next cycle."""
        self.told = self.told.merged(wake)


class Operator:
    """Asks, and remembers which holds were ever shown. The laws are told of every wish before gitvirt is."""

    def __init__(self, known: Known, host: Host, fleet: Callable[[], Fleet]) -> None:
        self._known = known
        self._host = host
        self._fleet = fleet
        self.shown: dict[str, Hold] = {}
        self.waiting: tuple[Hold, ...] = ()
        self.rewritten: tuple[str, ...] = ()

    def see(self, holds: tuple[Hold, ...], rewritten: tuple[str, ...]) -> None:
        """What a plan shows that waits, and which rewritten histories do."""
        self.waiting, self.rewritten = holds, rewritten
        self.shown |= {hold.hold_id: hold for hold in holds}

    def approve(self, hold: Hold) -> None:
        """From here on the laws know that a person released what a hold holds."""
        if hold.approvable:
            self._known.approved |= {(change.key, change.action) for change in hold.changes}

    def ask(self, operations: Operations, event: Operation) -> Iterator[Act]:
        """One operation; gives what was not refused. Refusals are answers like others."""
        for act, verb, arguments in self._meant(event):
            self._known.act = act
            if act.verb in ("stop", "start", "pause", "suspend"):
                self._known.note_end(event.seconds, self._host.clock.monotonic())
            try:
                operations.serve(verb, arguments, BY)
            except GitvirtError:
                continue
            finally:
                self._known.act = None
            yield act

    def _meant(self, event: Operation) -> tuple[tuple[Act, str, Mapping[str, Any]], ...]:
        """The verbs of an operation with their arguments, and what the laws are to know of each."""
        vm = key(VM, event.vm)
        named = {"namespace": NAMESPACE, "name": event.vm}
        lasting = {"for_s": event.seconds} if event.seconds else {}
        match event.verb:
            case "suspend-all":
                return ((Act(verb="suspend"), "suspend", {"all": True, **lasting}),)
            case "resume-all":
                return ((Act(verb="resume"), "resume", {"all": True}),)
            case "approve":
                return tuple(self._approval(hold_id) for hold_id in (*self.rewritten, *self._approvable()))
            case "approve-stale":
                waiting = {hold.hold_id for hold in self.waiting}
                return tuple(self._approval(hold_id) for hold_id in sorted(self.shown) if hold_id not in waiting)[:1]
            case "trash-restore" | "trash-empty":
                return self._about_trash(event.verb)
            case "release-disk":
                return self._release_of_disk(event.vm)
            case "reconcile":
                return ((Act(verb="reconcile"), "reconcile", {}),)
            case "stop" | "start" | "pause" | "suspend":
                return ((Act(verb=event.verb, key=vm), event.verb, {**named, **lasting}),)
        return ((Act(verb=event.verb, key=vm), event.verb, named),)

    def _approvable(self) -> tuple[str, ...]:
        return tuple(hold.hold_id for hold in self.waiting if hold.approvable)

    def _approval(self, hold_id: str) -> tuple[Act, str, Mapping[str, Any]]:
        """What waits under the id is released; an id under which nothing waits releases nothing."""
        for hold in self.waiting:
            if hold.hold_id == hold_id:
                self.approve(hold)
        return Act(verb="approve"), "approve", {"hold_id": hold_id}

    def _about_trash(self, verb: str) -> tuple[tuple[Act, str, Mapping[str, Any]], ...]:
        """The newest item of ours."""
        mine = sorted(name for name, entry in self._host.state.trash.items() if entry.item.owner == self._known.owner)
        if not mine:
            return ()
        item = mine[-1]
        said: Mapping[str, Any] = {"items": [item]} if verb == "trash-empty" else {"item": item}
        return ((Act(verb=verb, items=frozenset({item})), verb, said),)

    def _release_of_disk(self, vm: str) -> tuple[tuple[Act, str, Mapping[str, Any]], ...]:
        draft = self._fleet().vms.get(vm)
        if draft is None or not draft.disks:
            return ()
        disk: ObjectKey = self._fleet().disk(draft.disks[0])
        kind = "dv" if disk.kind == DATA_VOLUME else "pvc"
        return ((Act(verb="release", key=disk), "release", {"kind": kind, "namespace": NAMESPACE, "name": disk.name}),)
