"""One Git repository and what of it is followed: look, fetch, judge, accept.

Whatever goes wrong, the accepted revision stays as it is; only a good new head moves it.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pygit2

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import one_line
from reconciler.model.revision import Revision, Snapshot, SourceEvent, SourceState, SourceStatus
from reconciler.model.source_spec import SourceSpec
from reconciler.ports import Clock
from reconciler.source.acceptance import approvals_base, confirm, give_way
from reconciler.source.commits import revision_of
from reconciler.source.errors import (
    DamagedError,
    NotACommitError,
    NotGivenError,
    PathMissingError,
    TooLargeError,
    UnreachableError,
)
from reconciler.source.heads import RemoteHead
from reconciler.source.limits import DEFAULT_LIMITS, SourceLimits
from reconciler.source.local_remote import LocalRemote
from reconciler.source.mirror import (
    ACCEPTED,
    CONFIRMED,
    FETCHED,
    PREVIOUS,
    Mirror,
    drop_stale_locks,
    exclusive,
    free_name,
    prepare_libgit2,
    put_in_place,
    ref_by_file,
)
from reconciler.source.remotes import Remote, checked_follow, remote_for
from reconciler.source.revisions import path_parts, read_revision
from reconciler.source.rewrites import rewrite_id, rewrite_text
from reconciler.source.signatures_check import SignatureCheck
from reconciler.source.told import Told, keeps, status_of
from reconciler.source.trees import Listing


class GitSource:
    """`reconciler.ports.Source` over pygit2. May be used from several threads; one mirror has one writing process."""

    def __init__(
        self, spec: SourceSpec, *, state_directory: Path, clock: Clock, limits: SourceLimits = DEFAULT_LIMITS
    ) -> None:
        """Opens the mirror in ``state_directory`` if there is one; asks nothing of the remote.

        Raises:
            SourceError: the URL, what is followed or the path can never work.
        """
        prepare_libgit2()
        self._remote: Remote = remote_for(spec, limits)
        self._spec = spec
        self._follow = checked_follow(spec.follow)
        self._parts = path_parts(spec.path)
        self._clock, self._limits = clock, limits
        self._signatures = SignatureCheck(spec.verify, clock=clock, limits=limits) if spec.verify else None
        what = self._follow.identity("")
        identity = hashlib.sha256(f"{self._remote.shown}\n{what}\n{b'/'.join(self._parts)!r}".encode()).hexdigest()
        self._directory = state_directory / "source"
        self._identity = identity
        self._told = Told(
            shown=self._remote.shown,
            path=b"/".join(self._parts).decode(),
            identity=identity,
            follow=self._follow,
            accepts_rewrites=spec.accept_rewrites,
        )
        self._path = self._directory / identity[:16]  # a link; it leads to the mirror
        self._fetching, self._reading = threading.Lock(), threading.RLock()
        self._mirror: Mirror | None = None
        self._last_accepted = ""
        self._damage = ""
        self._confirmed = ""
        self._refused = ("", "")
        self._snapshot: tuple[Snapshot, Listing] | None = None
        self._judged: tuple[tuple[str, ...], SourceStatus] | None = None
        self._broken: tuple[str, SourceStatus] | None = None
        self._released: frozenset[str] = frozenset()
        if self._path.is_symlink():
            try:
                self._mirror = Mirror(self._path)
            except DamagedError as fault:
                self._damage = str(fault)
        accepted = self._accepted_commit()
        self._status = SourceStatus(
            state=SourceState.NEVER,
            checked_at=None,
            message=f"{self._remote.shown} was not looked at yet; {accepted[:12]} was accepted before and stays enforced."
            if accepted
            else f"{self._remote.shown} was not looked at yet.",
        )

    def fetch(self, approvals: Collection[str] = ()) -> SourceStatus:
        """See `Source.fetch`. Never raises: a state directory that cannot be written is a status, too."""
        with self._fetching:
            self._released = frozenset(approvals)
            head = ref = ""
            try:
                with exclusive(self._directory / f"{self._path.name}.lock", self._limits.lock_wait_s):
                    found = self._remote.look(self._follow)
                    head, ref = found.commit, found.ref
                    status = self._take(found)
            except NotGivenError as fault:
                status = self._told.not_given(head, str(fault), self._keeps())
            except UnreachableError as fault:
                status = status_of(SourceState.UNREACHABLE, head, f"{fault}. {self._keeps()}")
            except NotACommitError as fault:
                status = self._told.absent(RemoteHead(commit="", fault=str(fault)), self._keeps())
            except (SourceError, pygit2.GitError, OSError, KeyError, ValueError) as fault:
                # The remote answered; what failed is our own copy: a full disk, a damaged object, missing rights.
                said = f"The local copy {self._path} could not be used: {one_line(str(fault))}. {self._keeps()}"
                status = status_of(SourceState.UNREACHABLE, head, said)
            if status.state == SourceState.READY and status.head == self._refused[0]:
                status = status_of(SourceState.REFUSED, head, self._refused[1])
            if self._damage and status.state != SourceState.READY:
                damage = f"The local copy is damaged and will be rebuilt: {one_line(self._damage)}."
                status = replace(status, message=f"{status.message} {damage}")
            self._status = replace(status, checked_at=self._clock.now(), ref=ref)
            return self._status

    def status(self) -> SourceStatus:
        """See `Source.status`."""
        return self._status

    def accepted(self) -> Snapshot | None:
        """See `Source.accepted`. None also when the mirror is too damaged to list the revision; ``status()`` says so."""
        with self._reading:
            commit = self._accepted_commit()
            if not commit or self._mirror is None:
                return None
            if self._snapshot and self._snapshot[0].revision.commit == commit:
                return self._snapshot[0]
            try:
                since = approvals_base(self._mirror, commit)
                self._snapshot = read_revision(self._mirror, commit, since, None, self._parts, self._limits)
            except DamagedError as fault:
                self._damage = str(fault)
                return None
            except SourceError as fault:
                # Accepted under wider limits than those of today; it is whole, so there is nothing to fetch anew.
                self._refused = (commit, f"{commit[:12]} was accepted before and is now refused: {fault}.")
                return None
            return self._snapshot[0]

    def confirm(self, commit: str) -> None:
        """See `Source.confirm`.

        Raises:
            SourceError: the mirror cannot be written.
        """
        with self._reading:
            self._confirmed = commit
            if self._mirror is not None:
                try:
                    confirm(self._mirror, commit)
                except (pygit2.GitError, OSError, ValueError) as fault:
                    raise SourceError(f"{self._path} cannot be written: {one_line(str(fault))}") from fault

    def refuse(self, commit: str, reason: str) -> bool:
        """See `Source.refuse`."""
        with self._reading:
            try:
                gave_way = self._mirror is not None and give_way(self._mirror, commit)
            except (pygit2.GitError, OSError, ValueError) as fault:
                gave_way, reason = False, f"{reason}; {self._path} cannot be written: {one_line(str(fault))}"
            said = f"{commit[:12]} is refused: {reason}. {self._keeps()}"
            if not gave_way:
                said = f"{commit[:12]} was accepted before and is now refused: {reason}."
            self._refused = (commit, said)
            if self._status.head == commit:
                self._status = replace(self._status, state=SourceState.REFUSED, message=said)
            return gave_way

    def read_blob(self, blob: str) -> bytes:
        """See `Source.read_blob`.

        Raises:
            SourceError: the object is missing or damaged, is no file, or is over the limit.
        """
        with self._reading:
            if self._mirror is None:
                raise SourceError(f"the file {blob} cannot be read: nothing has been fetched yet")
            try:
                odb, oid = self._mirror.repository.odb, pygit2.Oid(hex=blob)
                kind, size = odb.read_header(oid)
                if kind == pygit2.enums.ObjectType.BLOB and size <= self._limits.blob_bytes:
                    return odb.read(oid)[1]
            except (KeyError, ValueError, pygit2.GitError) as fault:
                self._damage = f"the file {blob} cannot be read from the local copy: {fault}"
                raise SourceError(f"{self._damage}. It is rebuilt when the remote next answers") from fault
            raise SourceError(f"{blob} is not a file of at most {self._limits.blob_bytes} bytes")

    def revision(self, commit: str) -> Revision | None:
        """See `Source.revision`."""
        with self._reading:
            if self._snapshot and self._snapshot[0].revision.commit == commit:
                return self._snapshot[0].revision
            if self._mirror is None:
                return None
            try:
                found = self._mirror.repository.get(commit)
            except (ValueError, pygit2.GitError):
                return None
            return revision_of(found) if isinstance(found, pygit2.Commit) else None

    def _accepted_commit(self) -> str:
        """As the mirror has it; when it cannot be read just now (no file to spare), as it was read last."""
        if self._mirror is None:
            return ""
        with suppress(pygit2.GitError, OSError):
            self._last_accepted = self._mirror.read(ACCEPTED)
        return self._last_accepted

    def _may_rewrite(self, accepted: str, head: str) -> bool:
        """A pin goes wherever it is moved; a branch whose history changed is followed only where the settings say so, or
        a person did just now.
        """
        settled = self._spec.accept_rewrites or self._follow.is_pin
        return settled or rewrite_id(self._identity, accepted, head) in self._released

    def close(self) -> None:
        """Let go of the remote's connections; a fetch that is under way keeps them to its end."""
        if self._fetching.acquire(blocking=False):
            try:
                self._remote.close()
            finally:
                self._fetching.release()

    def _keeps(self, accepted: str = "") -> str:
        """``accepted`` is what a mirror that is about to take the place of ours has."""
        return keeps(accepted or self._accepted_commit(), self._known(ACCEPTED) if self._damage else "")

    def _take(self, found: RemoteHead) -> SourceStatus:
        """Bring what the remote's ref stands at here and judge it."""
        if not found.commit:
            return self._told.absent(found, self._keeps())
        if self._broken is not None and self._broken[0] == found.oid:
            return self._broken[1]
        drop_stale_locks(self._path.resolve())
        if not self._damage:
            try:
                return self._advance(found)
            except DamagedError as fault:
                self._damage = str(fault)
        return self._rebuild(found)

    def _advance(self, found: RemoteHead) -> SourceStatus:
        # An own handle: a transfer may take minutes, and readers do not wait for it.
        if self._mirror is None:
            self._replace(Mirror.create(self._path), None)
        mirror = Mirror(self._path)
        keys = self._signatures.keys() if self._signatures else ""
        known = (found.oid, found.ref, mirror.read(ACCEPTED), keys)
        if self._judged and self._judged[0] == known and self._judged[1].approval not in self._released:
            return self._judged[1]
        head = self._bring(mirror, found)
        status = self._judge(mirror, found, head, mirror.read(ACCEPTED), self._snapshot[1] if self._snapshot else None)
        self._judged = None
        # What is not verified is judged every time: a key's time may come without anything else that changes.
        if status.state is not SourceState.UNVERIFIED:
            told = replace(status, event=None) if status.state is SourceState.READY else status
            self._judged = (found.oid, found.ref, mirror.read(ACCEPTED), keys), told
        if status.state is SourceState.READY and mirror.packs() > self._limits.packs:
            self._gather()
        return status

    def _rebuild(self, found: RemoteHead) -> SourceStatus:
        """Fetch a damaged mirror anew beside it and put it in its place; it is kept until the new one is whole."""
        fresh = Mirror.create(self._path)
        try:
            return self._rebuilt(fresh, found)
        except DamagedError as fault:
            # Just fetched and still not readable: what is damaged is the remote's. Once for each head is enough.
            said = (
                f"{found.commit[:12]} cannot be read ({one_line(str(fault))}), fetched anew neither: what is damaged is the "
                f"history of {self._remote.shown} (`git fsck` there tells more). Push a head that is whole. {self._keeps()}"
            )
            self._damage, self._broken = "", (found.oid, status_of(SourceState.REFUSED, found.commit, said))
            return self._broken[1]
        finally:
            if fresh.path != self._path.resolve():
                shutil.rmtree(fresh.path, ignore_errors=True)

    def _rebuilt(self, fresh: Mirror, found: RemoteHead) -> SourceStatus:
        known = {ref: self._known(ref) for ref in (ACCEPTED, CONFIRMED, PREVIOUS)}
        head = self._bring(fresh, found)
        for ref, old in known.items():
            if old and fresh.holds(old):
                fresh.write(ref, old)
        accepted = fresh.read(ACCEPTED)
        before = known[ACCEPTED]
        is_gone = bool(before) and not accepted
        untold = "What it leaves out cannot be told from a damaged copy"
        if is_gone and not self._may_rewrite(before, head):
            return self._told.rewritten(head, before, untold)
        status = self._judge(fresh, found, head, accepted, None)
        if is_gone and status.state is not SourceState.READY:
            return status  # The old one, damaged as it is, holds what is enforced.
        if is_gone and not self._follow.is_pin:
            status = self._told.rewrite_accepted(status, before, untold)
        aside = free_name(self._path, f"damaged-{self._clock.now():%Y%m%dT%H%M%SZ}")
        told = f"The local copy was damaged ({one_line(self._damage)}): it was set aside as {aside} and fetched anew."
        self._replace(fresh, aside)
        self._damage, self._judged = "", None
        return replace(status, message=f"{told} {status.message}".rstrip())

    def _known(self, ref: str) -> str:
        """A ref of a mirror that may not even open; empty when it cannot be told."""
        try:
            return Mirror(self._path).read(ref)
        except DamagedError:
            return ref_by_file(self._path, ref)

    def _gather(self) -> None:
        """Write the mirror anew as one pack: each fetch adds a pack, and each pack slows every look-up."""
        fresh = Mirror.create(self._path)
        LocalRemote(self._path.resolve(), self._limits).copy(fresh.repository, "+refs/gitvirt/*:refs/gitvirt/*")
        self._replace(fresh, None)

    def _replace(self, fresh: Mirror, aside: Path | None) -> None:
        with self._reading:
            put_in_place(fresh, self._path, aside)
            self._mirror = Mirror(self._path)

    def _bring(self, mirror: Mirror, found: RemoteHead) -> str:
        """Fetch unless it is here already; the commit."""
        if not mirror.holds(found.oid):
            self._remote.fetch(mirror.repository, found.oid)
            if not mirror.holds(found.oid):
                raise UnreachableError(f"{self._remote.shown} did not send {found.oid[:12]}: the next look tries again")
        if mirror.read(FETCHED) != found.oid:
            mirror.write(FETCHED, found.oid)
        try:
            return str(mirror.repository.references[FETCHED].peel(pygit2.enums.ObjectType.COMMIT).id)
        except pygit2.InvalidSpecError as fault:
            raise NotACommitError("it names something that is not a commit") from fault
        except pygit2.GitError as fault:
            raise DamagedError(f"the commit cannot be read: {fault}") from fault

    def _unverified(self, mirror: Mirror, found: RemoteHead, head: str, accepted: str) -> SourceStatus | None:
        """The refusal of a head whose signatures do not count; None when they do, or when none are asked for."""
        if self._signatures is None:
            return None
        tag = found.oid if found.oid != head else ""
        said = self._signatures.fault(mirror.repository, head=head, accepted=accepted, tag=tag, ref=found.ref)
        if not said:
            return None
        result = "lost" if head == accepted else "refused"
        event = SourceEvent(what="signature", result=result, head=head, message=said)
        return status_of(SourceState.UNVERIFIED, head, f"{said}. {self._keeps(accepted)}", event)

    def _judge(
        self, mirror: Mirror, found: RemoteHead, head: str, accepted: str, known: Listing | None
    ) -> SourceStatus:
        """Accept ``head``, or say why not. ``known`` is a listing whose trees the mirror holds."""
        if refusal := self._unverified(mirror, found, head, accepted):
            return refusal
        status = status_of(SourceState.READY, head)
        if head in (accepted, self._refused[0]):
            return status
        if accepted and not self._follow.is_pin and not mirror.descends(head, accepted):
            lost = rewrite_text(mirror.repository, accepted, head)
            if not self._may_rewrite(accepted, head):
                return self._told.rewritten(head, accepted, lost)
            status = self._told.rewrite_accepted(status, accepted, lost)
        try:
            since = approvals_base(mirror, head)
            snapshot = read_revision(mirror, head, since, known, self._parts, self._limits)
        except TooLargeError as fault:
            return status_of(SourceState.REFUSED, head, f"{head[:12]} is refused: {fault}. {self._keeps(accepted)}")
        except PathMissingError as fault:
            said = f"In {head[:12]} {fault}: push it again, or change the path in the settings. {self._keeps(accepted)}"
            return status_of(SourceState.PATH_MISSING, head, said)
        if not snapshot[0].files:
            return self._told.no_manifests(head, len(snapshot[1].refused), self._keeps(accepted))
        with self._reading:
            if self._confirmed and mirror.holds(self._confirmed):
                confirm(mirror, self._confirmed)  # what could not be written before must not be lost now
            mirror.write(ACCEPTED, head)
            self._snapshot = snapshot
        return status
