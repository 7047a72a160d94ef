"""`reconciler.ports.Journal` as a bare Git repository: ``git log``, ``git diff`` and ``git blame`` are the audit.

The tree holds each object's last known live state; each commit is one cycle. Nothing is ever decided from it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pygit2

from reconciler.journal.audit import Wanted, choose
from reconciler.journal.joining import move_objects, refuse_strangers
from reconciler.journal.message import (
    JOURNAL_SIGN,
    Notice,
    compose_message,
    compose_notice,
    dominant_cause,
    revision_behind,
)
from reconciler.journal.novelty import Noteworthy, Seen, event_identity, identity
from reconciler.journal.object_files import HELD_FILE, PROBLEMS_FILE, SOURCE_FILE, from_yaml, object_path, to_yaml
from reconciler.journal.owed import Owed
from reconciler.journal.packing import pack_objects
from reconciler.journal.reading import parse_message
from reconciler.journal.store import (
    BRANCH,
    GIT_FAULTS,
    GITVIRT,
    JournalStore,
    Person,
    newest_first,
    one_writer,
    prepare_libgit2,
)
from reconciler.loose_objects import CutOffError, LooseObjects
from reconciler.model.errors import JournalError
from reconciler.model.keys import ObjectKey
from reconciler.model.plain_text import one_line
from reconciler.model.plan import Cause
from reconciler.model.record import AuditEntry, CycleRecord
from reconciler.ports import Clock

LACKING_LIMIT = 500
"""Objects whose live state is written down in one cycle after the journal was lost: a second or so of work."""
PACKING = "journal-packing"
"""The background work that gathers the journal's objects."""
SET_ASIDE, LATE, COMPLETED, JOINED = "set-aside", "late", "completed", "joined"
"""What happens to a journal."""


class GitJournal:
    """The journal in ``STATE/journal.git``. Opened at the first use; may be used from several threads."""

    def __init__(
        self,
        *,
        state_directory: Path,
        clock: Clock,
        background: Callable[[str, Callable[[], None]], None] | None = None,
    ) -> None:
        """``background`` is `Workers.background`: where packing runs, about once in 250 commits and for a second or so;
        at once when None. Nothing is read or made yet.
        """
        self.path = state_directory / "journal.git"
        self._lock_file = state_directory / "journal.lock"
        self._clock = clock
        self._background = background or (lambda _, function: function())
        self._lock = threading.Lock()
        self._store: JournalStore | None = None
        self._seen: Seen | None = None
        self._owed = Owed()
        self._is_whole = False
        self._damage = ""
        self._notices: list[Notice] = []
        self._news: list[str] = []

    def write(self, record: CycleRecord) -> str:
        """See `Journal.write`. Repetitions of what the journal tells already are left out (`reconciler.journal.novelty`).
        What could not be written before is written first.

        Raises:
            JournalError: it could not be recorded; it is kept in memory and tried again with the next record.
        """
        with self._lock:
            told = (record.applied, record.held, record.problems, record.operator, record.source_events, record.found)
            if not any(told) and not self._owed and not self._notices:
                self._seen = self._seen.after(record) if self._seen else None
                return ""
            try:
                with one_writer(self._lock_file, self.path):
                    late = self._write_owed()
                    return self._write(record) or late
            except (JournalError, *GIT_FAULTS) as fault:
                self._store = None
                self._owed.keep(record, self._seen or Seen(), one_line(str(fault), 200))
                raise JournalError(
                    f"the journal {self.path} cannot be written: {one_line(str(fault))}. "
                    "Check the free space and the rights of its directory; reconciliation goes on without it, and what "
                    "happens meanwhile is written later"
                ) from fault

    def lacks(self, keys: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """See `Journal.lacks`. Looks whether the journal is damaged, too."""
        with self._lock:
            try:
                if self._is_whole and not self._owed.stale and self._is_sound():
                    return ()
                known = sorted(keys)
                with one_writer(self._lock_file, self.path):
                    held = self._sound_store().holds(map(object_path, known))
                    lacking = [key for key, (_, is_held) in zip(known, held, strict=True) if not is_held]
            except (JournalError, *GIT_FAULTS):
                return ()  # Writing finds out the same, and says so.
            lacking += sorted(self._owed.stale.intersection(known).difference(lacking))
            self._owed.stale.difference_update(lacking[:LACKING_LIMIT])
            self._is_whole = len(lacking) <= LACKING_LIMIT
            return tuple(lacking[:LACKING_LIMIT])

    def head(self) -> str:
        """The newest commit; empty for a journal without any, or one that cannot be read. Never makes one."""
        with self._lock:
            prepare_libgit2()
            try:
                repository = pygit2.Repository(str(self.path), pygit2.enums.RepositoryOpenFlag.BARE)
                reference = repository.references.get(BRANCH)
            except GIT_FAULTS:
                return ""
            return str(reference.target) if reference is not None else ""

    def take_over(self, draft: Path, commit: str, shown: str) -> bool:
        """Go on from a history that was brought into the repository ``draft``: as it is, where this journal has none yet; else both
        become one. ``shown`` is where it came from. Whether there was none.

        Raises:
            JournalError: it is no journal, or cannot be stored.
        """
        with self._lock:
            try:
                with one_writer(self._lock_file, self.path):
                    refuse_strangers(draft, commit, shown)
                    store = self._sound_store()
                    is_new = store.head() is None
                    move_objects(draft, self.path)
                    if is_new:
                        store.take(commit)
                    else:
                        said = f"what {shown} told and this journal did not is part of it from here on"
                        store.join(commit, compose_notice(Notice(JOINED, said)), self._clock.now())
                    self._store, self._seen, self._is_whole = None, self._seen if not is_new else None, False
            except GIT_FAULTS as fault:
                self._store = None
                raise JournalError(f"the history of {shown} cannot be stored: {one_line(str(fault), 200)}") from fault
        return is_new

    def news(self) -> tuple[str, ...]:
        """See `Journal.news`."""
        with self._lock:
            said, self._news = tuple(self._news), []
            return said

    def standing(self) -> tuple[str, ...]:
        """See `Journal.standing`."""
        aside = sorted(self.path.parent.glob(f"{self.path.name}.damaged-*"))
        return tuple(
            f"a damaged journal lies at {path}: what it told is not in the journal of today. `git -C {path} log` may still "
            "read some of it; move it away when you are done with it"
            for path in aside
        )

    def entries(
        self, *, vm: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> Iterator[AuditEntry]:
        """See `Journal.entries`. ``vm`` is as `Wanted` has it; reads while another process writes.

        Raises:
            JournalError: the journal is damaged from some commit on; what is newer has been yielded.
        """
        wanted = Wanted(vm) if vm else None
        found = choose(self._all_entries(wanted), wanted, since)
        return islice(found, limit) if limit is not None else found

    def versions(self, commit: str, key: ObjectKey) -> tuple[str, str]:
        """An object's live state as YAML, before and after a commit of the journal; empty where there was none.

        Raises:
            JournalError: no such commit, or the journal is damaged.
        """
        prepare_libgit2()
        try:
            LooseObjects(self.path).require_whole()
            repository = pygit2.Repository(str(self.path), pygit2.enums.RepositoryOpenFlag.BARE)
            found = repository[commit].peel(pygit2.Commit)
            parents = [repository[parent].peel(pygit2.Commit) for parent in found.parent_ids]
            before = _text_of(parents[0], key) if parents else ""
            return before, _text_of(found, key)
        except (*GIT_FAULTS, ValueError) as fault:
            raise JournalError(f"{one_line(commit, 64)} of the journal {self.path} cannot be read: {fault}") from fault

    def _write_owed(self) -> str:
        """The last of the commits that are late; empty when none is."""
        commit = ""
        if notice := self._owed.notice():
            self._notices = [*(one for one in self._notices if one.what != LATE), Notice(LATE, notice)]
        while self._owed.records:
            commit = self._write(self._owed.records[0]) or commit
            self._owed.records.popleft()
        if notice:
            self._news.append(notice)
            self._owed.settle()
        return commit

    def _write(self, record: CycleRecord) -> str:
        store = self._sound_store()
        if self._seen is None:
            self._seen = _seen_before(store)
        news = self._seen.news(record)
        commit = ""
        if news or record.found or self._notices:
            try:
                commit = self._commit(store, record, news)
            except GIT_FAULTS:
                fault = store.verify()
                if not fault:
                    raise
                self._begin_anew(fault)
                store = self._sound_store()
                commit = self._commit(store, record, news)
            self._notices = []
            if store.packing_is_due():
                self._background(PACKING, self._pack)
        self._seen = (self._seen or Seen()).after(record)
        return commit

    def _is_sound(self) -> bool:
        """Whether the store that is open can be built on."""
        return self._store is not None and self.path.is_dir() and not _head_fault(self._store)

    def _sound_store(self) -> JournalStore:
        """The journal, opened, made, or begun anew.

        Raises:
            JournalError: a new one cannot be opened either.
            pygit2.GitError, OSError: it cannot be made.
        """
        store = self._opened()
        fault = "" if store is None else _head_fault(store)
        if store is None or fault:
            self._begin_anew(fault)
            store = self._opened()
            if store is None:
                raise JournalError(f"a new journal at {self.path} cannot be opened")
        return store

    def _pack(self) -> None:
        # A convenience: every commit stands without it, and the next time tries again.
        with contextlib.suppress(*GIT_FAULTS):
            pack_objects(self.path)

    def _opened(self) -> JournalStore | None:
        """The store; None when the repository there cannot be opened as one."""
        if self._store is not None and self.path.is_dir():
            return self._store
        self._seen, self._is_whole = None, False
        try:
            self._store = JournalStore(self.path)
        except (pygit2.GitError, CutOffError, NotADirectoryError) as fault:
            if not self.path.exists():
                raise
            self._store, self._damage = None, one_line(str(fault), 200)
        return self._store

    def _begin_anew(self, fault: str) -> None:
        """Put a damaged journal aside, which the new one's first commit says, and the daemon."""
        stamp = f"{self._clock.now():%Y%m%dT%H%M%SZ}"
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        count = 1
        while aside.exists():
            count += 1
            aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}-{count}")
        self._store = None
        self.path.rename(aside)
        self._seen, self._is_whole = None, False
        said = (
            f"THE JOURNAL BEFORE THIS COMMIT WAS DAMAGED ({fault or self._damage}) and was set aside as {aside}. "
            "Nothing was decided from it; only history is missing here."
        )
        self._notices = [Notice(SET_ASIDE, said), *self._notices]
        self._news.append(said)

    def _commit(self, store: JournalStore, record: CycleRecord, news: Noteworthy) -> str:
        files: dict[str, bytes | None] = {
            object_path(key): None if live is None else to_yaml(live) for key, live in record.live.items()
        }
        held = {
            one_line(hold.hold_id): {
                "rule": one_line(hold.rule),
                "reason": one_line(hold.reason),
                "changes": [f"{change.action} {one_line(str(change.key))}" for change in hold.changes],
            }
            for hold in record.held
        }
        problems = sorted(list(entry) for entry in {identity(problem) for problem in record.problems})
        files[HELD_FILE] = to_yaml(held) if held else None
        files[PROBLEMS_FILE] = to_yaml(problems) if problems else None
        told = sorted(list(event_identity(event)) for event in record.source_events)
        files[SOURCE_FILE] = to_yaml(told) if told else None
        author: Person = GITVIRT
        behind = revision_behind(record, news)
        if behind is not None and behind[1].author and dominant_cause(news) == Cause.COMMIT:
            author = (behind[1].author, behind[1].email)
        notices = list(self._notices)
        if record.found:
            said = f"the live state of {len(record.found)} objects, which it did not hold; nothing was done to them"
            notices.append(Notice(COMPLETED, said))
        return store.commit(files, compose_message(record, news, notices), author, record.ended_at)

    def _all_entries(self, wanted: Wanted | None) -> Iterator[AuditEntry]:
        """Every entry that may be about the wanted object, newest first."""
        if not self.path.exists():
            return
        prepare_libgit2()
        needle = wanted.needle if wanted else b""
        always = f"\n{JOURNAL_SIGN}".encode()
        try:
            LooseObjects(self.path).require_whole()
            repository = pygit2.Repository(str(self.path), pygit2.enums.RepositoryOpenFlag.BARE)
            for commit in newest_first(repository):
                message = commit.raw_message
                if needle in message or always in message:
                    at = datetime.fromtimestamp(commit.commit_time, UTC)
                    yield from reversed(parse_message(str(commit.id), message.decode("utf-8", "replace"), at))
        except GIT_FAULTS as fault:
            raise JournalError(
                f"the journal {self.path} is damaged ({one_line(str(fault))}): what is older than the entries above "
                "cannot be read. The daemon sets it aside and begins a new one when it next writes"
            ) from fault


def _text_of(commit: pygit2.Commit, key: ObjectKey) -> str:
    path = object_path(key)
    if path not in commit.tree:
        return ""
    blob = commit.tree[path]
    return blob.data.decode("utf-8", "replace") if isinstance(blob, pygit2.Blob) else ""


def _head_fault(store: JournalStore) -> str:
    try:
        head = store.head()
        if head is not None:
            _ = len(head.tree)
    except GIT_FAULTS as fault:
        return one_line(str(fault), 200) or "its newest commit cannot be read"
    return ""


def _seen_before(store: JournalStore) -> Seen:
    """What the newest tree says is held and wrong, so that a restart does not tell it again."""
    held: Any = {}
    problems: Any = []
    source: Any = []
    with contextlib.suppress(*GIT_FAULTS):
        # Without them a hold or problem is told once more; if the tree is damaged, the commit finds out.
        held, problems = from_yaml(store.file(HELD_FILE) or b"{}"), from_yaml(store.file(PROBLEMS_FILE) or b"[]")
        source = from_yaml(store.file(SOURCE_FILE) or b"[]")
    return Seen(
        holds=frozenset(str(hold) for hold in held) if isinstance(held, dict) else frozenset(),
        problems=frozenset(
            (str(entry[0]), str(entry[1]), str(entry[2]), str(entry[3]), str(entry[4]))
            for entry in (problems if isinstance(problems, list) else [])
            if isinstance(entry, list) and len(entry) == 5
        ),
        source=frozenset(
            (str(entry[0]), str(entry[1]), str(entry[2]))
            for entry in (source if isinstance(source, list) else [])
            if isinstance(entry, list) and len(entry) == 3
        ),
    )
