"""What looking at one object came to: a change, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reconciler.model.adoption import ADOPT
from reconciler.model.declared import Reading, reading_of
from reconciler.model.domain import SeedSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm, Observation
from reconciler.model.plan import Blocked, Cause, Change, Difference, Hold, Note
from reconciler.model.policy import Policy
from reconciler.model.power import StopReason
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm, ResolvedVolume, RestartPolicy
from reconciler.planning.inventory import Inventory
from reconciler.planning.power import has_ended_act
from reconciler.ports import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything a decision may look at. ``failed`` are objects whose last attempt did not end well (cause ``retry``),
    ``restarts`` VMs a person asked to restart, ``asked`` objects an operator acts on just now, ``seen`` the applied documents of objects as they were last seen here.
    ``up_to_date`` says that every repository could be looked at lately: what nobody may undo in time is not done without.
    ``in_the_end`` asks for all that is to be done at last, without a platform to look at: nothing is waited for, nothing missed.
    ``looked_at`` collects the objects that a decision looked at: it holds until one of them changes.
    """

    desired: DesiredState
    observation: Observation
    policy: Policy
    engine: Engine
    now: datetime
    inventory: Inventory
    failed: frozenset[ObjectKey] = frozenset()
    restarts: frozenset[ObjectKey] = frozenset()
    asked: frozenset[ObjectKey] = frozenset()
    seen: Mapping[ObjectKey, Mapping[str, Any]] = field(default_factory=dict)
    up_to_date: bool = True
    in_the_end: bool = False
    looked_at: set[ObjectKey] = field(default_factory=set)

    @property
    def not_there(self) -> str:
        """Why something is made, for people."""
        return f"not {self.policy.place} yet"

    def live(self, key: ObjectKey) -> LiveObject | None:
        """The live object, owned or not."""
        self.looked_at.add(key)
        return self.observation.objects.get(key)

    def is_invalid(self, key: ObjectKey) -> bool:
        """Whether an object is declared and not valid."""
        self.looked_at.add(key)
        return key in self.desired.invalid

    def reading(self, wanted: Resolved) -> Reading:
        """What is known of the source that an object comes from."""
        return reading_of(self.desired.readings, wanted.document.origin if wanted.document is not None else "")

    def cause(self, wanted: Resolved, live: LiveObject | None) -> Cause:
        """Git changed if the document is not the one that was applied; otherwise the world did."""
        if wanted.key in self.failed:
            return Cause.RETRY
        if live is None and wanted.key in self.seen:
            return Cause.DRIFT if self.seen[wanted.key] == wanted.applied else Cause.COMMIT
        if live is None or live.marks is None or live.marks.applied is None:
            return Cause.COMMIT
        if isinstance(live, LiveVm) and live.stop_reason is StopReason.NEVER_RAN:
            return Cause.COMMIT
        if live.marks.applied != wanted.applied or _has_other_secrets(wanted, live):
            return Cause.COMMIT
        if wanted.key in self.asked or (self.policy.on_cluster and has_ended_act(live, self.now)):
            return Cause.OPERATOR
        return _cause_of_power(wanted, live)


def access_pending(wanted: ResolvedVm, live: LiveVm) -> bool:
    """Whether a running guest has other credentials than those declared, as far as anybody knows."""
    access = wanted.guest_access
    return access is not None and live.running is not None and live.guest_access != access.digest


def _has_other_secrets(wanted: Resolved, live: LiveObject) -> bool:
    """Whether what the document names by reference is another content: its words are the same, what they mean is not."""
    if not isinstance(wanted, ResolvedVm) or not isinstance(live, LiveVm):
        return False
    stored = {disk.name: disk.source for disk in live.stored.disks} if live.stored else {}
    sources = ((disk.source, stored.get(disk.name)) for disk in wanted.domain.disks)
    is_reseeded = any(
        isinstance(new, SeedSource) and isinstance(old, SeedSource) and new != old for new, old in sources
    )
    return is_reseeded or access_pending(wanted, live)


def _cause_of_power(wanted: Resolved, live: LiveObject) -> Cause:
    """A guest that gitvirt itself stopped, for a restart or for an operator, is not drift."""
    if not isinstance(live, LiveVm) or not isinstance(wanted, ResolvedVm):
        return Cause.DRIFT
    stopped_by_us = live.history.stop_requested_at is not None or (
        live.running is None and live.stop_reason is StopReason.GITVIRT
    )
    if not stopped_by_us:
        return Cause.DRIFT
    return Cause.OPERATOR if wanted.restart_policy is RestartPolicy.MANUAL else Cause.COMMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """All that planning has to say about one object. ``meanwhile`` is what is done in place of ``change`` while that waits for what it needs."""

    change: Change | None = None
    meanwhile: Change | None = None
    held: tuple[Hold, ...] = ()
    blocked: Blocked | None = None
    notes: tuple[Note, ...] = ()
    restart_required: tuple[Difference, ...] = ()
    retry_after_s: float | None = None

    def with_note(self, note: Note) -> Proposal:
        """The same with one note more."""
        return replace(self, notes=(*self.notes, note))


SILENT = Proposal()
"""Nothing to do and nothing to say."""


def ownership_obstacle(key: ObjectKey, live: LiveObject | None, policy: Policy) -> Blocked | None:
    """Law 6: an object that is there and not ours is not touched."""
    if live is None:
        return None
    maker = live.controller if isinstance(live, LiveVm) and live.marks is None else None
    if maker is not None:
        by = f"{key} belongs to {maker}, which makes and unmakes it; change that one, or rename this one"
        return Blocked(key=key, by=by, by_keys=(key,))
    if live.marks is None:
        return Blocked(
            key=key,
            by=f"{key} exists {policy.place} and is not owned by gitvirt; {_what_to_do(key, policy)}",
            by_keys=(key,),
        )
    if live.marks.owner != policy.owner:
        return Blocked(
            key=key,
            by=f"{key} {policy.place} is owned by {live.marks.owner!r}, not by {policy.owner!r}; "
            "remove it from one of the two repositories",
            by_keys=(key,),
        )
    return None


BY_THEMSELVES = {"PersistentVolumeClaim": "pvc", "DataVolume": "dv", "NetworkAttachmentDefinition": "net"}
"""Kinds other than VMs that a person lets go of (``gitvirt release --kind``), and on a cluster takes over, by themselves; its word for each."""


def adopt_command(key: ObjectKey) -> str:
    """The command that takes an object of a cluster over by itself."""
    return f"`gitvirt adopt --kind {BY_THEMSELVES[key.kind]} {key.namespace}/{key.name}`"


def _what_to_do(key: ObjectKey, policy: Policy) -> str:
    if policy.on_cluster and key.kind in BY_THEMSELVES:
        with_vm = "" if key.kind == "NetworkAttachmentDefinition" else ", or with the VM that stands on it"
        return f"take it over with {adopt_command(key)}{with_vm}, or rename one of them"
    if key.kind in ("PersistentVolumeClaim", "DataVolume"):
        return "take over the VM that stands on it with `gitvirt adopt`, or rename one of them"
    if key.kind != "VirtualMachine":
        return "rename one of them"
    return f"take it over with `gitvirt adopt {key.namespace}/{key.name}`, or rename one of them"


def waits_for_adoption(wanted: ResolvedVm | ResolvedVolume) -> Blocked:
    """What a manifest declares to be there already is never made: that would be a second one beside the first."""
    if isinstance(wanted, ResolvedVm):
        by = f"it is the existing domain {wanted.adopt!r}, which is not adopted: `gitvirt adopt {wanted.adopt}`"
    elif not wanted.pool:
        by = f"it is said to be there already and is not; once it is, {adopt_command(wanted.key)} takes it over"
    else:
        by = f"it is the existing volume {wanted.adopt!r} of pool {wanted.pool}; it is adopted together with its VM"
    return Blocked(key=wanted.key, by=f"{by} ({ADOPT}); to have a new one made, take the annotation away")
