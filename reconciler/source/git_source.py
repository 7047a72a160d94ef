"""One Git repository and what of it is followed: look, fetch, judge, accept.

Whatever goes wrong, the accepted revision stays as it is; only a good new head moves it.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path

import pygit2

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import is_plain, one_line
from reconciler.model.revision import Revision, Snapshot, SourceState, SourceStatus
from reconciler.model.source_spec import SourceSpec
from reconciler.ports import Clock
from reconciler.source.commits import approvals_since, revision_of
from reconciler.source.errors import (
    DamagedError,
    NotACommitError,
    PathMissingError,
    TooLargeError,
    UnreachableError,
)
from reconciler.source.heads import RemoteHead
from reconciler.source.limits import DEFAULT_LIMITS, SourceLimits
from reconciler.source.local_remote import LocalRemote
from reconciler.source.mirror import (
    ACCEPTED,
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
from reconciler.source.trees import Listing, TreeReader

Verdict = tuple[SourceState, str]
"""What a head came to, and the message for people."""


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
        self._parts = _parts(spec.path)
        self._clock, self._limits = clock, limits
        what = self._follow.identity("")
        identity = hashlib.sha256(f"{self._remote.shown}\n{what}\n{b'/'.join(self._parts)!r}".encode()).hexdigest()
        self._directory = state_directory / "source"
        self._path = self._directory / identity[:16]  # a link; it leads to the mirror
        self._fetching, self._reading = threading.Lock(), threading.RLock()
        self._mirror: Mirror | None = None
        self._damage = ""
        self._unlisted = ("", "")
        self._snapshot: tuple[Snapshot, Listing] | None = None
        self._judged: tuple[str, str, Verdict] | None = None
        if self._path.is_symlink():
            try:
                self._mirror = Mirror(self._path)
            except DamagedError as fault:
                self._damage = str(fault)
        accepted = self._accepted_commit()
        self._status = SourceStatus(
            state=SourceState.NEVER,
            checked_at=None,
            message=f"Not looked at yet; {accepted[:12]} was accepted before and stays enforced."
            if accepted
            else "Not looked at yet.",
        )

    def fetch(self) -> SourceStatus:
        """See `Source.fetch`. Never raises: a state directory that cannot be written is a status, too."""
        with self._fetching:
            head = ""
            try:
                with exclusive(self._directory / f"{self._path.name}.lock", self._limits.lock_wait_s):
                    found = self._remote.look(self._follow)
                    head = found.commit
                    (state, message), head = self._take(found)
            except UnreachableError as fault:
                state, message = SourceState.UNREACHABLE, f"{fault}. {self._keeps()}"
            except NotACommitError as fault:
                state, message = self._absent(RemoteHead(commit="", fault=str(fault)))
            except (SourceError, pygit2.GitError, OSError, KeyError, ValueError) as fault:
                # The remote answered; what failed is our own copy: a full disk, a damaged object, missing rights.
                state = SourceState.UNREACHABLE
                message = f"The local copy {self._path} could not be used: {one_line(str(fault))}. {self._keeps()}"
            if state == SourceState.READY and head == self._unlisted[0]:
                state, message = SourceState.REFUSED, self._unlisted[1]
            if self._damage and state != SourceState.READY:
                message = f"{message} The local copy is damaged and will be rebuilt: {one_line(self._damage)}."
            self._status = SourceStatus(state=state, checked_at=self._clock.now(), head=head, message=message)
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
                self._snapshot = self._read(self._mirror, commit, self._mirror.read(PREVIOUS), None)
            except DamagedError as fault:
                self._damage = str(fault)
                return None
            except SourceError as fault:
                # Accepted under wider limits than those of today; it is whole, so there is nothing to fetch anew.
                self._unlisted = (commit, f"{commit[:12]} was accepted before and is now refused: {fault}.")
                return None
            return self._snapshot[0]

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
        return self._mirror.read(ACCEPTED) if self._mirror else ""

    @property
    def _may_rewrite(self) -> bool:
        """A pin goes wherever it is moved; a branch whose history changed is followed only where the settings say so."""
        return self._spec.accept_rewrites or self._follow.is_pin

    def close(self) -> None:
        """Let go of the remote's connections."""
        self._remote.close()

    def _keeps(self) -> str:
        commit = self._accepted_commit()
        return f"{commit[:12]} stays enforced." if commit else "Nothing has been accepted yet."

    def _take(self, found: RemoteHead) -> tuple[Verdict, str]:
        """Bring what the remote's ref stands at here and judge it; the verdict and the commit it is about."""
        if not found.commit:
            return self._absent(found), ""
        drop_stale_locks(self._path.resolve())
        if not self._damage:
            try:
                return self._advance(found)
            except DamagedError as fault:
                self._damage = str(fault)
        return self._rebuild(found)

    def _advance(self, found: RemoteHead) -> tuple[Verdict, str]:
        # An own handle: a transfer may take minutes, and readers do not wait for it.
        if self._mirror is None:
            self._replace(Mirror.create(self._path), None)
        mirror = Mirror(self._path)
        accepted = mirror.read(ACCEPTED)
        if self._judged and self._judged[:2] == (found.commit, accepted):
            return self._judged[2], found.commit
        head = self._bring(mirror, found)
        verdict = self._judge(mirror, head, accepted, self._snapshot[1] if self._snapshot else None)
        self._judged = (head, mirror.read(ACCEPTED), verdict)
        if verdict[0] == SourceState.READY and mirror.packs() > self._limits.packs:
            self._gather()
        return verdict, head

    def _rebuild(self, found: RemoteHead) -> tuple[Verdict, str]:
        """Fetch a damaged mirror anew beside it and put it in its place; it is kept until the new one is whole."""
        known = self._known(ACCEPTED), self._known(PREVIOUS)
        fresh = Mirror.create(self._path)
        head = self._bring(fresh, found)
        for ref, old in zip((ACCEPTED, PREVIOUS), known, strict=True):
            if old and fresh.holds(old):
                fresh.write(ref, old)
        accepted = fresh.read(ACCEPTED)
        if known[0] and not accepted and not self._may_rewrite:
            shutil.rmtree(fresh.path)
            return (SourceState.REWRITTEN, self._rewritten(head, known[0])), head
        state, message = self._judge(fresh, head, accepted, None)
        aside = free_name(self._path, f"damaged-{self._clock.now():%Y%m%dT%H%M%SZ}")
        told = f"The local copy was damaged ({one_line(self._damage)}): it was set aside as {aside} and fetched anew."
        self._replace(fresh, aside)
        self._damage, self._judged = "", None
        return (state, f"{told} {message}".rstrip()), head

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

    def _absent(self, found: RemoteHead) -> Verdict:
        what = f"{self._follow.kind} {one_line(self._follow.name)!r}"
        if found.unborn:
            return (
                SourceState.EMPTY,
                f"{self._remote.shown} has no commit yet: push manifests to {what}. {self._keeps()}",
            )
        return (
            SourceState.REF_MISSING,
            f"The {what} is not in {self._remote.shown} ({found.fault}): push it again, or change what the settings "
            f"follow. {self._keeps()}",
        )

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

    def _judge(self, mirror: Mirror, head: str, accepted: str, known: Listing | None) -> Verdict:
        """Accept ``head``, or say why not. ``known`` is a listing whose trees the mirror holds."""
        if head == accepted:
            return SourceState.READY, ""
        note = ""
        if accepted and not mirror.descends(head, accepted):
            if not self._may_rewrite:
                return SourceState.REWRITTEN, self._rewritten(head, accepted)
            if not self._follow.is_pin:
                note = f"The history was rewritten: {head[:12]} does not descend from {accepted[:12]}. Accepted by the settings."
        try:
            snapshot = self._read(mirror, head, accepted, known)
        except TooLargeError as fault:
            return SourceState.REFUSED, f"{head[:12]} is refused: {fault}. {self._keeps()}"
        except PathMissingError as fault:
            return SourceState.PATH_MISSING, (
                f"In {head[:12]} {fault}: push it again, or change the path in the settings. {self._keeps()}"
            )
        if not snapshot[0].files:
            where = b"/".join(self._parts).decode() or "the repository"
            seen = f" ({len(snapshot[1].refused)} entries were refused)" if snapshot[1].refused else ""
            return SourceState.EMPTY, (
                f"{head[:12]} has no manifest (*.yaml, *.yml, *.json) in {one_line(where)}{seen}. {self._keeps()} "
                "To remove everything on purpose, leave one manifest file that holds only a comment."
            )
        if accepted:
            mirror.write(PREVIOUS, accepted)
        mirror.write(ACCEPTED, head)
        with self._reading:
            self._snapshot = snapshot
        return SourceState.READY, note

    def _rewritten(self, head: str, accepted: str) -> str:
        return (
            f"The history of {self._remote.shown} was rewritten: {head[:12]} does not descend from {accepted[:12]}, which "
            "stays accepted. Push a head that descends from it, or let the settings accept rewrites of this source."
        )

    def _read(self, mirror: Mirror, commit: str, previous: str, known: Listing | None) -> tuple[Snapshot, Listing]:
        """A commit's manifest files.

        Raises:
            PathMissingError: the sub-path is not a directory of it.
            TooLargeError: it is over a limit.
            DamagedError: an object is missing or damaged.
        """
        repository, limits = mirror.repository, self._limits
        try:
            found = repository[commit].peel(pygit2.Commit)
            revision = revision_of(found, approvals_since(repository, commit, previous, limits.approval_commits))
        except (KeyError, ValueError, pygit2.GitError) as fault:
            raise DamagedError(f"the commit {commit} cannot be read from the local copy: {fault}") from fault
        reader = TreeReader(repository, limits)
        tree = reader.find(found.tree_id.raw, self._parts)
        prefix = "".join(f"{part.decode()}/" for part in self._parts)
        listing = reader.list(tree, prefix, known)
        refused = tuple(listing.refused.items())
        return Snapshot(revision=revision, files=listing.files, refused=refused), listing


def _parts(path: str) -> tuple[bytes, ...]:
    """A sub-path as the names on the way to it.

    Raises:
        SourceError: it would leave the repository, or no tree can have it.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or not is_plain(path):
        raise SourceError(f"the path {one_line(path)!r} does not name a directory below the repository's root")
    return tuple(part.encode() for part in parts)
