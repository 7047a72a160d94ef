"""`SimulatedEngine`: the engine of the tests, over a `Host` that outlives it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any, TypeVar

from nodeexec.on_a_host import OnAHost
from nodeexec.operator_ends import ends_data
from nodeexec.simulated import trash
from nodeexec.simulated.adoption import adopting, as_adopted, found_vm
from nodeexec.simulated.faults import CALL, AnswerLostError, FaultKind, HostError, SimulatedCrash
from nodeexec.simulated.host import Host, Mutation
from nodeexec.simulated.live_document import described, live_document
from nodeexec.simulated.names import network_name
from nodeexec.simulated.network_changes import NetworkChanges
from nodeexec.simulated.state import HostState, VolumePlace, domain_name
from nodeexec.simulated.steps import Executor
from nodeexec.simulated.vm_changes import VmChanges
from nodeexec.simulated.volume_changes import VolumeChanges
from nodeexec.spec_difference import compare
from reconciler.model.adoption import Adoption, FoundVm, Takeover
from reconciler.model.document import Document
from reconciler.model.errors import EngineError
from reconciler.model.keys import TRASH_ITEM, ObjectKey
from reconciler.model.live import LOST, LiveObject, LiveVm, LiveVolume, Marks, Observation
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change, Difference
from reconciler.model.power import Override
from reconciler.model.problem import Problem
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedVm, ResolvedVolume
from reconciler.ports import Clock, Console, Workers

T = TypeVar("T")

RETRY_AFTER_S = 5.0
NOTHING_ENDS: Mapping[str, Any] = {}
_numbers = count(1)


class SimulatedEngine(OnAHost):
    """One process's view of a host. After a `SimulatedCrash` it is dead and every call crashes again."""

    name = "simulated"

    def __init__(self, host: Host, *, owner: str, clock: Clock, workers: Workers) -> None:
        self._executor = Executor(host=host, owner=owner, clock=clock, workers=workers)
        self._host = host
        self._vms = VmChanges(self._executor)
        self._volumes = VolumeChanges(self._executor)
        self._networks = NetworkChanges(self._executor)
        self._number = next(_numbers)
        self._dead = False

    def check(self, document: Document) -> tuple[Problem, ...]:
        """A simulated host can do everything."""
        del document
        return ()

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        """Live objects; see `ports.Engine`.

        Raises:
            EngineError: the planned fault.
        """
        label = f"{CALL}observe"

        def look(kind: FaultKind | None) -> Observation:
            return self._executor.reading(partial=kind is FaultKind.PARTIAL).observation(keys)

        try:
            return self._call(label, look)
        except (HostError, AnswerLostError) as error:
            raise EngineError(f"the simulated host cannot be read: {error}; it will be tried again") from error

    def compare(self, wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
        """Pure: every difference."""
        return compare(wanted, live)

    def apply(self, change: Change) -> Outcome:
        """Re-observe, then do it; see `ports.Engine`."""
        return self._answered(f"apply {change.action} {change.key}", lambda: self._apply(change))

    def _apply(self, change: Change) -> Outcome:
        if change.key.kind == TRASH_ITEM:
            return trash.expire(self._executor, change)
        reading = self._executor.reading()
        unreadable = reading.unreadable(change.key)
        if unreadable:
            return Outcome(result=Result.RETRY, reason=unreadable, retry_after_s=RETRY_AFTER_S)
        live = reading.live(change.key)
        if live is not None and not reading.owns(live.marks):
            return Outcome(
                result=Result.REFUSED, reason=f"{change.key} exists and is not owned by {self._executor.owner}"
            )
        if live is None and change.action is Action.DELETE:
            return Outcome(result=Result.UNCHANGED, reason="it is gone already")
        if change.expected != (live.fingerprint if live else ""):
            if live is not None and self._is_done(change, live):
                return Outcome(result=Result.UNCHANGED, reason="it is as wanted already")
            return Outcome(result=Result.CONFLICT, reason=f"{change.key} changed since it was planned; planned again")
        return self._dispatch(change, live)

    def _dispatch(self, change: Change, live: LiveObject | None) -> Outcome:
        match change.wanted:
            case ResolvedVm() as vm:
                return self._vms.create(change, vm) if live is None else self._vms.update(change, vm)
            case ResolvedVolume() as volume:
                is_new = live is None or (isinstance(live, LiveVolume) and live.phase == LOST)
                return self._volumes.create(change, volume) if is_new else self._volumes.update(change, volume)
            case ResolvedNetwork() as network:
                return self._networks.put(change, network)
        match live:
            case LiveVm():
                return self._vms.delete(change)
            case LiveVolume(attached_to=ObjectKey()):
                return self._volumes.remove_left_behind(change, (live.pool, live.volume))
            case LiveVolume():
                return self._volumes.delete(change)
        return self._networks.delete(change)

    def _is_done(self, change: Change, live: LiveObject) -> bool:
        """Whether somebody, perhaps an earlier life of this process, has done it already."""
        if change.wanted is None or change.action is Action.RESTART:
            return False
        if isinstance(live, LiveVolume) and live.phase != "Succeeded":
            return False
        open_ones = [entry for entry in compare(change.wanted, live) if not entry.refused]
        return not open_ones and (not isinstance(live, LiveVm) or self._vms.power.is_satisfied(change))

    def mark(
        self, key: ObjectKey, *, override: Override | None, suspended: str, suspended_until: datetime | None
    ) -> Outcome:
        """Write the operator's facts; see `ports.Engine`."""

        def change(marks: Marks) -> Marks:
            return replace(marks, override=override, suspended=suspended, suspended_until=suspended_until)

        ends = ends_data(override, suspended_until, self._executor.reading().moment())
        return self._answered(f"mark {key}", lambda: self._change_marks("write operator marks", key, change, ends))

    def release(self, key: ObjectKey) -> Outcome:
        """Take the marks off; see `ports.Engine`."""

        def act() -> Outcome:
            live = self._executor.reading().live(key)
            if isinstance(live, LiveVolume) and live.phase != "Succeeded":
                return Outcome(result=Result.REFUSED, reason=f"{key} is still being made")
            return self._change_marks("remove marks", key, lambda _marks: None)

        return self._answered(f"release {key}", act)

    def _change_marks(
        self, name: str, key: ObjectKey, change: Callable[[Marks], Marks | None], ends: Mapping[str, Any] = NOTHING_ENDS
    ) -> Outcome:
        live = self._executor.reading().live(key)
        if live is None or live.marks is None or not self._executor.reading().owns(live.marks):
            return Outcome(result=Result.REFUSED, reason=f"{key} is not owned by {self._executor.owner}")
        marks = change(live.marks)
        if marks == live.marks:
            return Outcome(result=Result.UNCHANGED)
        self._host.step(name, with_marks(live, marks, ends), key=key, reason=name)
        return Outcome(result=Result.APPLIED, steps=(name,))

    def survey(self, name: str) -> FoundVm | None:
        """An existing VM by its own name; see `ports.Engine`."""
        return self._call(f"{CALL}survey {name}", lambda _kind: found_vm(self._executor.reading(), name))

    def as_adopted(self, adoption: Adoption) -> LiveVm | None:
        """A domain as it would be once it is adopted; see `ports.Engine`."""
        label = f"{CALL}read {adoption.domain}"
        return self._call(label, lambda _kind: as_adopted(self._executor.reading(), adoption))

    def adopt(self, takeover: Takeover) -> Outcome:
        """Write marks on a domain and its volumes; see `ports.Engine`."""
        adoption = takeover.adoption

        def act() -> Outcome:
            live = as_adopted(self._executor.reading(), adoption)
            if live is None or live.marks is not None or live.fingerprint != takeover.expected:
                return Outcome(result=Result.CONFLICT, reason=f"{adoption.domain} moved; look at it again")
            # Its claims are not marked: a volume has its usual name here, and is owned or not by itself.
            marks = Marks(
                owner=self._executor.owner,
                host=self._host.name,
                revision=takeover.revision,
                applied=dict(takeover.wanted.applied),
            )
            self._host.step("adopt", adopting(adoption, marks), key=adoption.key, reason="adopt")
            return Outcome(result=Result.APPLIED, steps=("adopt",))

        return self._answered(f"adopt {adoption.domain}", act)

    def console(self, key: ObjectKey, *, take_over: bool) -> Console | None:
        """Simulated guests have nothing to say; see `ports.Engine`."""
        del take_over
        raise EngineError(f"{key} is simulated and has no console.")

    def empty_trash(self, item: str) -> Outcome:
        """Destroy one trash item; see `ports.Engine`."""
        return self._answered(f"empty trash {item}", lambda: trash.empty(self._executor, item))

    def restore_trash(self, item: str) -> Outcome:
        """Put a trashed volume back; see `ports.Engine`."""
        return self._answered(f"restore trash {item}", lambda: trash.restore(self._executor, item))

    def note_trash_ages(self) -> Outcome:
        """Note how long items were seen to lie there; see `ports.Engine`."""
        return self._answered("note trash ages", lambda: trash.note_ages(self._executor))

    def describe(self, resolved: Resolved) -> str:
        """Pure: what the object would be here."""
        return described(resolved)

    def document_of(self, live: LiveObject) -> Mapping[str, Any]:
        """Pure: live state as a Kubernetes-like document."""
        return live_document(live)

    def events(self) -> Iterator[ObjectKey]:
        """Keys of what changed; see `ports.Engine`."""
        while (key := self._host.next_event(self._number)) is not None:
            yield key

    def close(self) -> None:
        """End `events`."""
        self._host.close_engine(self._number)

    def _answered(self, label: str, act: Callable[[], Outcome]) -> Outcome:
        """What the host answered, as an outcome."""
        try:
            return self._call(f"{CALL}{label}", lambda _kind: act())
        except HostError as error:
            if error.transient:
                return Outcome(result=Result.RETRY, reason=str(error), retry_after_s=RETRY_AFTER_S, steps=error.steps)
            return Outcome(result=Result.FAILED, reason=str(error), steps=error.steps)
        except AnswerLostError as error:
            return Outcome(result=Result.UNKNOWN, reason=str(error), steps=error.steps)

    def _call(self, label: str, act: Callable[[FaultKind | None], T]) -> T:
        """One call as a point where a fault can be."""
        if self._dead:
            raise SimulatedCrash(f"{label} of a process that ended")
        try:
            kind = self._host.faults.before(label)
            answer = act(kind)
            self._host.faults.after(label, kind)
        except SimulatedCrash:
            self._dead = True
            raise
        return answer


def with_marks(live: LiveObject, marks: Marks | None, ends: Mapping[str, Any]) -> Mutation:
    """The step that gives a live object other marks, and ends of what is in them."""

    def put(state: HostState) -> None:
        if isinstance(live, LiveVm):
            name = domain_name(live.key)
            state.domains[name] = replace(state.domains[name], marks=marks, ends=ends)
        elif isinstance(live, LiveVolume):
            _mark_volume(state, (live.pool, live.volume), marks)
        else:
            name = network_name(live.key)
            state.networks[name] = replace(state.networks[name], marks=marks)

    return put


def _mark_volume(state: HostState, place: VolumePlace, marks: Marks | None) -> None:
    if place in state.volumes:
        state.volumes[place] = replace(state.volumes[place], marks=marks)
    else:
        incoming = state.incoming[place]
        state.incoming[place] = replace(incoming, volume=replace(incoming.volume, marks=marks))
