"""What makes objects true, and a session on a guest's console."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from reconciler.model.adoption import Adoption, FoundObject, FoundVm, Takeover
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm, Observation, Outdated
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Change, Difference
from reconciler.model.power import Override
from reconciler.model.problem import Problem
from reconciler.model.resolved import Resolved

EVERYTHING = ObjectKey("Engine", "", "all")
"""The key that an engine's events carry when everything has to be looked at again."""


class Engine(Protocol):
    """What makes objects true. All methods may be called from several threads, for different objects at a time.

    A library's errors never leave an engine: they are outcomes, entries of ``Observation.unreadable``, or an
    `EngineError` when the engine as a whole cannot be reached.
    """

    name: str
    is_platform: bool
    """Whether objects live on a platform beside those of others: it serves kinds that gitvirt does not know, and what a manifest
    names may be there without being declared.
    """

    def check(self, document: Document) -> tuple[Problem, ...]:
        """Pure: what this engine cannot honour in a valid document of a known kind."""
        ...

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        """Live objects. None asks for every owned object and all of trash; a collection for these keys, owned or not
        (plus the trash items of their identity).

        Raises:
            EngineError: nothing can be said at all.
        """
        ...

    def outdated(self) -> Outdated | None:
        """Why what `observe` tells is older than now; None where it is not. For a person's question: it may ask, and wait a few
        seconds for an answer or for what was missed meanwhile.
        """
        ...

    def compare(self, wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
        """Pure: every field in which ``live`` is not as wanted, over what is declared now and what was declared when
        it was last applied. Power is not compared here. Sorted by path; empty when nothing needs doing.
        """
        ...

    def apply(self, change: Change) -> Outcome:
        """Do it: re-observe first, then idempotent steps; never waits for a guest or a copy (``progressing``).

        A change whose key is a `TRASH_ITEM` destroys that item: its time is over. ``expected`` is then the age in seconds that
        it was planned at; an item that is younger is a conflict.

        Never raises for what the hypervisor answers; that is an outcome.
        """
        ...

    def mark(
        self, key: ObjectKey, *, override: Override | None, suspended: str, suspended_until: datetime | None
    ) -> Outcome:
        """Write the operator's facts on a live VM, replacing those it has. Touches no guest."""
        ...

    def release(self, key: ObjectKey) -> Outcome:
        """Take gitvirt's marks off a live object and leave the rest as it is."""
        ...

    def survey(self, name: str) -> FoundVm | None:
        """An existing VM by the hypervisor's own name for it, whoever made it; None when there is none. Looks only.

        Raises:
            EngineError: it cannot be read.
        """
        ...

    def as_adopted(self, adoption: Adoption) -> LiveVm | None:
        """A domain as it would be observed once it is adopted so; None when it is gone. Looks only.

        Raises:
            EngineError: it cannot be read.
        """
        ...

    def adopt(self, takeover: Takeover) -> Outcome:
        """Write gitvirt's marks on a domain and on its volumes, and touch nothing else. A domain that moved since it was looked
        at is a conflict. A second call after a crash goes on where the first one stopped.
        """
        ...

    def survey_object(self, key: ObjectKey) -> FoundObject | None:
        """On a platform, an existing claim, DataVolume or network, whoever made it; for a DataVolume that is not there, the claim of its name.
        None when there is none, and on a host, where such things come with a VM. Looks only.

        Raises:
            EngineError: it cannot be read.
        """
        ...

    def adopt_object(self, wanted: Resolved, revision: str, expected: str) -> Outcome:
        """Write gitvirt's marks on what `survey_object` found, or tell a claim which DataVolume it is for, and touch nothing else. One whose
        fingerprint is not ``expected`` any more is a conflict.
        """
        ...

    def console(self, key: ObjectKey, *, take_over: bool) -> Console | None:
        """A session on a guest's serial console; None while the guest is off. ``take_over`` ends the session of somebody
        else, who would be in the way.

        Raises:
            EngineError: there is no such VM, it has no serial console, or another session has it.
        """
        ...

    def empty_trash(self, item: str) -> Outcome:
        """Destroy one trash item for good. Beside a planned expiry the only call that destroys data, and only ever asked
        for by name. An item that anything uses is refused.
        """
        ...

    def note_trash_ages(self) -> Outcome:
        """Write on the trash items of this owner and host how long they were seen to lie there, where that was not done
        lately (`TrashItem.aged_s`). Called now and then where items expire; destroys nothing.
        """
        ...

    def note_disks(self) -> Outcome:
        """Remember which disks of this owner are there, so that one which goes is `LOST` and not new, where that is not part of
        making them (marks beside the volume are). Called at the end of each cycle that acts; costs nothing where no disk changed.
        """
        ...

    def restore_trash(self, item: str) -> Outcome:
        """Put a trashed volume back under its name, still unowned by any manifest (the next plan adopts or trashes it)."""
        ...

    def describe(self, resolved: Resolved) -> str:
        """Pure: what the object would be on this engine (domain XML for libvirt), without secrets."""
        ...

    def document_of(self, live: LiveObject) -> Mapping[str, Any]:
        """Pure: live state as a Kubernetes-like document (VirtualMachineInstance for a VM), without secrets."""
        ...

    def events(self) -> Iterator[ObjectKey]:
        """Where to look, never what to do. Blocks between events; ends when the engine is closed. After a lost
        connection yields the key `EVERYTHING`: look everywhere.
        """
        ...

    def close(self) -> None:
        """Let go of connections and threads. Guests and background copies of other processes are left alone."""
        ...


class Console(Protocol):
    """One session on a guest's serial console."""

    def fileno(self) -> int:
        """For `select`: readable when the guest has said something, or the session has ended."""
        ...

    def receive(self) -> bytes:
        """What the guest said; empty when the session has ended: the guest stopped, or another session took it over."""
        ...

    def send(self, data: bytes) -> None:
        """Keys for the guest.

        Raises:
            EngineError: the session has ended.
        """
        ...

    def close(self) -> None:
        """End the session. The guest goes on."""
        ...
