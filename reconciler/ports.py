"""The doors of the core: what the cycle asks of Git, of an engine, of the journal, of time and of threads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from reconciler.model.adoption import Adoption, FoundObject, FoundVm, Takeover
from reconciler.model.document import Document
from reconciler.model.host_secrets import HostSecrets
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm, Observation, Outdated
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Change, Difference
from reconciler.model.power import Override
from reconciler.model.problem import Problem
from reconciler.model.record import AuditEntry, CycleRecord
from reconciler.model.resolved import Resolved
from reconciler.model.revision import Revision, Snapshot, SourceStatus

T = TypeVar("T")
R = TypeVar("R")


@runtime_checkable
class Clock(Protocol):
    """Time, so that a simulation can own it."""

    def now(self) -> datetime:
        """The time of day, in UTC, with its time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Workers(Protocol):
    """Threads in production; one deterministic queue in simulation."""

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Apply ``function`` to every item, a few at a time; results in the order of ``items``; an exception of any is
        raised after all have ended.
        """
        ...

    def background(self, name: str, function: Callable[[], None]) -> None:
        """Run ``function`` on its own, later or now. A second call with the name of one under way does nothing."""
        ...

    def is_under_way(self, name: str) -> bool:
        """Whether the background work of that name has not ended."""
        ...

    def in_time(self, function: Callable[[], R], timeout_s: float) -> R:
        """What ``function`` returns or raises; it goes on by itself when nobody waits for it any more.

        Raises:
            TimeoutError: it has not ended within the time.
        """
        ...


class Source(Protocol):
    """One Git repository at one ref."""

    def fetch(self, approvals: Collection[str] = ()) -> SourceStatus:
        """Look at the remote once and fetch what is new. Never raises for the remote's faults: they are a status.

        ``approvals`` are ids that a person released just now: with `SourceStatus.approval` among them a rewritten
        history is accepted. What a commit says of itself never is one.
        """
        ...

    def status(self) -> SourceStatus:
        """What the last `fetch` came to."""
        ...

    def accepted(self) -> Snapshot | None:
        """The accepted revision's manifest files, from local objects only; None before the first success."""
        ...

    def confirm(self, commit: str) -> None:
        """The accepted revision was read as a whole: it is what a refused one gives way to.

        Raises:
            SourceError: it cannot be put on record; the next accepted revision does it.
        """
        ...

    def refuse(self, commit: str, reason: str) -> bool:
        """The accepted revision cannot be used as a whole: go back to the one confirmed before, on disk, and do not accept
        this one again while it stands at the head. Whether another revision is accepted now: one that was
        confirmed once, under wider limits, is never given up for an older one.
        """
        ...

    def read_blob(self, blob: str) -> bytes:
        """A blob's bytes.

        Raises:
            SourceError: the object is missing or damaged.
        """
        ...

    def revision(self, commit: str) -> Revision | None:
        """A commit's facts, None when it is not known here."""
        ...


class SecretStore(Protocol):
    """What an administrator keeps on the host, outside of every repository: Secrets, and the keys that open encrypted ones."""

    def read(self) -> HostSecrets:
        """What is there now. What is wrong with it is a problem of what it concerns; nothing is raised."""
        ...


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


class Journal(Protocol):
    """The audit: written, shown, never read to decide."""

    def write(self, record: CycleRecord) -> str:
        """Store one cycle as one commit; returns its hash, or an empty string when there was nothing to record.

        Raises:
            JournalError: it cannot be written. Reconciliation goes on; the fault is said loudly.
        """
        ...

    def lacks(self, keys: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Of the objects that are there, the next few whose live state the journal does not hold: after it was lost, set
        aside or could not be written. Most of the time there are none, and ``keys`` is not read. Never raises.
        """
        ...

    def news(self) -> tuple[str, ...]:
        """What happened to the journal itself since this was last asked: it was damaged and set aside, or written late."""
        ...

    def standing(self) -> tuple[str, ...]:
        """What a person has to know of the journal for as long as it is so."""
        ...

    def entries(
        self, *, vm: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> Iterable[AuditEntry]:
        """What happened, newest first."""
        ...


class JournalRemote(Protocol):
    """A branch elsewhere that keeps a copy of the journal. ``shown`` names it without credentials. For one thread at a time."""

    shown: str

    def push(self, repository: Path, head: str) -> str:
        """Move the branch forward to ``head`` (empty: there is nothing yet) of the repository; empty when it stands there now. Else the commit at
        which it stands, from which ``head`` does not descend: then nothing was written. It never moves in any other way.

        Raises:
            SourceError: no answer, or a refusal.
        """
        ...

    def fetch(self, into: Path, commit: str) -> None:
        """Bring a commit with all its history into a bare repository.

        Raises:
            SourceError: it did not arrive whole.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Leadership(Protocol):
    """The right to change what one owner has on one engine. One process has it at a time.

    ``waits`` says what a daemon does that does not get it: stand by until it does, or refuse to start. ``leader`` is who has
    it, as far as is known; empty for nobody. ``identity`` is the name of this process among those that want it.
    """

    waits: bool
    identity: str

    @property
    def leader(self) -> str:
        """Who has it, as of the last look."""
        ...

    def attempt(self) -> bool:
        """Take it if it can be had now; whether it was taken. While standing by it is called again, `patience_s` later.

        Raises:
            EngineError: who has it cannot be found out.
        """
        ...

    @property
    def patience_s(self) -> float:
        """How long to wait before the next attempt."""
        ...

    def acquire(self) -> None:
        """Take it for a command that acts once.

        Raises:
            LockedError: somebody else has it; the message says who.
            EngineError: who has it cannot be found out.
            RequirementError: it can never be had here.
        """
        ...

    def is_held(self) -> bool:
        """Whether this process may act at this instant. Nobody else may before this has said no for a while."""
        ...

    def when_lost(self, tell: Callable[[str], None]) -> None:
        """``tell`` is called once, from any thread, when another process has it for certain; the argument says why."""
        ...

    def when_asked(self, tell: Callable[[], None]) -> None:
        """``tell`` is called, from any thread, when one that stands by asks for a look at the repositories (`pass_on`)."""
        ...

    def pass_on(self) -> None:
        """Standing by: ask whoever leads to look at the repositories.

        Raises:
            EngineError: it is not known whether they will hear.
        """
        ...

    def restore(self) -> bool:
        """Take it anew if what stands for it on this machine was removed; whether that was needed. Called now and then.

        Raises:
            RequirementError: it cannot be taken anew now.
        """
        ...

    def release(self) -> None:
        """Give it back, so that another can have it at once; nothing when it is not held. Nothing may act any more."""
        ...


EVERYTHING = ObjectKey("Engine", "", "all")
"""The key that an engine's events carry when everything has to be looked at again."""
