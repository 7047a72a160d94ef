"""Which commits of a new head have to be signed, and whether they are.

The first accepted revision answers for all that came before it: its signature covers its tree and, by their hashes, its
parents. See docs/verification.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pygit2

from reconciler.model.plain_text import one_line
from reconciler.model.source_spec import VerifyMode, VerifySpec
from reconciler.ports import Clock
from reconciler.source.commits import revision_of
from reconciler.source.errors import DamagedError, KeysError
from reconciler.source.limits import DEFAULT_LIMITS, SourceLimits
from reconciler.source.signature_programs import KeyringFiles, SignaturePrograms, signature_programs
from reconciler.source.signatures import Signed, Verdict, signed_commit, signed_tag, tag_names

_AT_A_TIME = 4
_MOST_REMEMBERED = 50_000


class SignatureCheck:
    """Judges heads. Good signatures are remembered by object and keys, so that each costs its programs once."""

    def __init__(self, spec: VerifySpec, *, clock: Clock, limits: SourceLimits = DEFAULT_LIMITS) -> None:
        self._mode, self._clock, self._limits = spec.mode, clock, limits
        self._files = KeyringFiles(openpgp=spec.gpg_keyring, ssh=spec.ssh_allowed_signers)
        self._good: set[tuple[str, str]] = set()

    def keys(self) -> str:
        """What changes whenever the keys do; says why when there are none that could be used."""
        try:
            return self._files.keyrings().digest
        except KeysError as fault:
            return str(fault)

    def fault(self, repository: pygit2.Repository, *, head: str, accepted: str, tag: str = "", ref: str = "") -> str:
        """Why ``head`` may not follow ``accepted`` (empty for the first one), naming the commit; empty when it may. Where
        nothing can be judged, for want of keys or a program, it may not.

        ``tag`` is the annotated tag object by which ``ref`` leads to ``head``, if one does: its signature counts for the
        head.

        Raises:
            DamagedError: an object cannot be read.
        """
        try:
            return self._fault(repository, head, accepted, tag, ref)
        except KeysError as fault:
            return f"The signatures of {head} cannot be judged: {fault}"

    def _fault(self, repository: pygit2.Repository, head: str, accepted: str, tag: str, ref: str) -> str:
        keyrings = self._files.keyrings()
        wanted = [head]
        if self._mode is VerifyMode.ALL and accepted and accepted != head:
            # Going back to an older commit brings none, but is a step that somebody has to answer for.
            wanted = _new_commits(repository, head, accepted, self._limits.verified_commits) or [head]
            if len(wanted) > self._limits.verified_commits:
                return (
                    f"{head} brings more than {self._limits.verified_commits} new commits, and every one has to be checked: "
                    "fewer at a time, or `verify.mode: head` until it is accepted"
                )
        unknown = [commit for commit in wanted if (commit, keyrings.digest) not in self._good]
        if not unknown:
            return ""
        with signature_programs(keyrings, self._clock.now()) as programs:
            if head in unknown and tag and self._tag_counts(repository, programs, head, tag, ref):
                self._remember(head, keyrings.digest)
                unknown.remove(head)
            for commit, verdict in _judged(repository, programs, unknown, self._limits):
                if verdict.fault:
                    return _said(repository, commit, verdict)
                self._remember(commit, keyrings.digest)
        return ""

    def _tag_counts(
        self, repository: pygit2.Repository, programs: SignaturePrograms, head: str, tag: str, ref: str
    ) -> bool:
        try:
            signed = signed_tag(_raw(repository, tag, self._limits))
        except ValueError:
            return False
        named = tag_names(signed.payload, commit=head, name=ref.removeprefix("refs/tags/"))
        return named and bool(signed.signature) and not programs.check(tag, signed).fault

    def _remember(self, commit: str, digest: str) -> None:
        if len(self._good) >= _MOST_REMEMBERED:
            self._good.clear()
        self._good.add((commit, digest))


def _new_commits(repository: pygit2.Repository, head: str, accepted: str, limit: int) -> list[str]:
    """The commits that ``head`` brings, the oldest first, those of merged branches too; at most one more than ``limit``."""
    try:
        walker = repository.walk(pygit2.Oid(hex=head), pygit2.enums.SortMode.TOPOLOGICAL)
        walker.hide(pygit2.Oid(hex=accepted))
        found = [str(commit.id) for commit in islice(walker, limit + 1)]
    except (pygit2.GitError, KeyError, ValueError) as fault:
        raise DamagedError(f"the history of {head} cannot be read from the local copy: {fault}") from fault
    return found[::-1]


def _judged(
    repository: pygit2.Repository, programs: SignaturePrograms, commits: list[str], limits: SourceLimits
) -> Iterator[tuple[str, Verdict]]:
    """Each commit's verdict in order, a few at a time, so that little is asked after a fault."""

    def judge(entry: tuple[str, Signed | str]) -> Verdict:
        commit, signed = entry
        return Verdict(fault=signed) if isinstance(signed, str) else programs.check(commit, signed)

    with ThreadPoolExecutor(_AT_A_TIME, "verify") as pool:
        for start in range(0, len(commits), 2 * _AT_A_TIME):
            some = commits[start : start + 2 * _AT_A_TIME]
            yield from zip(some, pool.map(judge, [(c, _signed(repository, c, limits)) for c in some]), strict=True)


def _signed(repository: pygit2.Repository, commit: str, limits: SourceLimits) -> Signed | str:
    """A commit taken apart, or why it cannot be."""
    try:
        return signed_commit(_raw(repository, commit, limits))
    except ValueError as fault:
        return str(fault)


def _raw(repository: pygit2.Repository, name: str, limits: SourceLimits) -> bytes:
    """A commit's or tag's bytes.

    Raises:
        ValueError: they are more than could be meant.
        DamagedError: they cannot be read.
    """
    try:
        odb, oid = repository.odb, pygit2.Oid(hex=name)
        if odb.read_header(oid)[1] <= limits.commit_bytes:
            return odb.read(oid)[1]
    except (pygit2.GitError, KeyError) as fault:
        raise DamagedError(f"{name} cannot be read from the local copy: {fault}") from fault
    raise ValueError(f"has more than {limits.commit_bytes} bytes, which no commit needs")


def _said(repository: pygit2.Repository, commit: str, verdict: Verdict) -> str:
    """One sentence that names the commit, and what to do."""
    revision = revision_of(repository[commit].peel(pygit2.Commit))
    subject, author = one_line(revision.subject, 80), one_line(f"{revision.author} <{revision.email}>", 80)
    hint = f". {verdict.hint}" if verdict.hint else ""
    return f"{commit} ({subject!r} of {author}) {verdict.fault}{hint}"
