"""A journal that was damaged, lost or could not be written: nobody is left to believe that it tells everything."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.journal.git_journal import LACKING_LIMIT, GitJournal
from reconciler.journal.history import history_view
from reconciler.journal.owed import OWED_LIMIT
from reconciler.journal.packing import pack_objects
from reconciler.model.errors import JournalError
from reconciler.model.keys import ObjectKey
from tests.unit.journal.building import NOW, WEB, applied, git, record

LIVE = {"kind": "VirtualMachineInstance", "status": {"phase": "Running"}}
DB = ObjectKey("VirtualMachine", "default", "db")
Make = Callable[[], GitJournal]


def branch_is_garbage(path: Path) -> None:
    (path / "refs/heads/main").write_bytes(b"\xff\xfe not a hash\n")


def branch_leads_nowhere(path: Path) -> None:
    (path / "refs/heads/main").write_text("1" * 40 + "\n")


def branch_leads_to_a_tree(path: Path) -> None:
    tree = git(path, "rev-parse", "HEAD^{tree}")
    (path / "refs/heads/main").write_text(tree)


def newest_commit_is_cut(path: Path) -> None:
    oid = git(path, "rev-parse", "HEAD").strip()
    target = path / "objects" / oid[:2] / oid[2:]
    data = target.read_bytes()
    target.chmod(0o600)
    target.write_bytes(data[: len(data) // 2])


def pack_is_missing(path: Path) -> None:
    pack_objects(path)
    for pack in (path / "objects/pack").glob("*.pack"):
        pack.unlink()


def pack_is_cut(path: Path) -> None:
    pack_objects(path)
    (pack,) = (path / "objects/pack").glob("*.pack")
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:40])


def it_is_a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("not a repository")


DAMAGES = (
    branch_is_garbage, branch_leads_nowhere, branch_leads_to_a_tree, newest_commit_is_cut,
    pack_is_missing, pack_is_cut, it_is_a_file,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_set_aside_and_the_live_state_of_all_is_in_its_successor(make_journal: Make, damage: Callable) -> None:
    first = make_journal()
    first.write(record(applied(), applied(DB), live={WEB: LIVE, DB: LIVE}))
    damage(first.path)
    journal = make_journal()
    assert journal.lacks([DB, WEB]) == (DB, WEB)
    (said,) = journal.news()
    assert "DAMAGED" in said
    commit = journal.write(record(live={DB: LIVE, WEB: LIVE}, found=(DB, WEB), after_s=1))
    assert commit
    assert journal.lacks([DB, WEB]) == ()
    files = git(journal.path, "ls-tree", "-r", "--name-only", "HEAD").split()
    assert files == ["default/VirtualMachine/db.yaml", "default/VirtualMachine/web.yaml"]
    assert git(journal.path, "log", "-1", "--format=%s").strip() == "journal: set-aside, completed"
    told = [(entry.action, entry.result) for entry in journal.entries(vm="web")]
    assert told == [("journal", "completed"), ("journal", "set-aside")]
    history = history_view(journal.entries(vm="web"), subject_of=lambda *_: "", versions_of=None)
    assert "DAMAGED" in str(list(history))
    assert len(journal.standing()) == 1
    git(journal.path, "fsck", "--strict")


def test_a_garbled_head_loses_nothing_and_is_mended(make_journal: Make) -> None:
    first = make_journal()
    first.write(record(applied(), live={WEB: LIVE}))
    (first.path / "HEAD").write_bytes(b"\0\xff garbage")
    journal = make_journal()
    assert journal.write(record(applied(DB), live={DB: LIVE}, after_s=1))
    assert len(git(journal.path, "log", "--format=%H").split()) == 2
    assert journal.standing() == ()


def test_an_empty_directory_is_no_damage(make_journal: Make) -> None:
    journal = make_journal()
    journal.path.mkdir(parents=True)
    assert journal.write(record(applied(), live={WEB: LIVE}))
    assert journal.standing() == ()


def test_one_that_was_being_made_when_its_process_was_killed_is_no_damage(make_journal: Make) -> None:
    journal = make_journal()
    half = journal.path.with_name(".journal.git.new")
    (half / "refs").mkdir(parents=True)
    assert journal.write(record(applied(), live={WEB: LIVE}))
    assert journal.standing() == ()
    assert not half.exists()


def test_after_the_state_directory_was_deleted_everything_is_written_down_in_steps(make_journal: Make) -> None:
    journal = make_journal()
    keys = sorted(ObjectKey("VirtualMachine", "default", f"vm{number}") for number in range(LACKING_LIMIT + 7))
    rounds = []
    while found := journal.lacks(keys):
        rounds.append(len(found))
        assert journal.write(record(live=dict.fromkeys(found, LIVE), found=found))
    assert rounds == [LACKING_LIMIT, 7]
    asked = iter(keys)
    assert journal.lacks(asked) == ()
    assert next(asked) == keys[0], "a journal that holds everything does not go through all there is"


def test_what_a_journal_lacks_is_told_file_by_file(make_journal: Make) -> None:
    journal, claim = make_journal(), ObjectKey("PersistentVolumeClaim", "default", "web")
    assert journal.write(record(live={WEB: LIVE}, found=(WEB,)))
    elsewhere = ObjectKey("VirtualMachine", "prod", "web")
    assert make_journal().lacks([WEB, DB, claim, elsewhere]) == (claim, DB, elsewhere)


class TestNoRoom:
    """The state directory cannot be written: here a file lies where it should be."""

    @pytest.fixture
    def full(self, tmp_path: Path) -> Path:
        (tmp_path / "state").write_text("in the way")
        return tmp_path / "state"

    def test_what_happened_meanwhile_is_written_later_with_its_own_time(self, journal: GitJournal, full: Path) -> None:
        for number in range(3):
            with pytest.raises(JournalError, match="is written later"):
                journal.write(record(applied(DB, reason=f"reason {number}"), live={DB: {"n": number}}, after_s=number))
        full.unlink()
        assert journal.write(record(applied(), live={WEB: LIVE}, after_s=60))
        times = git(journal.path, "log", "--reverse", "--format=%ct").split()
        assert [int(at) - int(NOW.timestamp()) for at in times] == [0, 1, 2, 60]
        (late,) = [entry for entry in journal.entries() if entry.action == "journal"]
        assert late.result == "late"
        assert "from 2026-03-01 12:00:00 to 2026-03-01 12:00:02 UTC" in late.reason
        assert "3 cycles of that time follow late" in late.reason
        (said,) = journal.news()
        assert said == late.reason or said.startswith(late.reason[:200])
        assert journal.write(record()) == ""

    def test_it_is_written_although_nothing_more_happens(self, journal: GitJournal, full: Path) -> None:
        with pytest.raises(JournalError):
            journal.write(record(applied(), live={WEB: LIVE}))
        full.unlink()
        assert journal.write(record(after_s=60))
        assert [entry.action for entry in journal.entries()] == ["create", "journal"]

    def test_the_same_news_is_kept_once(self, journal: GitJournal, full: Path) -> None:
        from tests.unit.journal.test_git_journal import hold

        for number in range(OWED_LIMIT + 50):
            with pytest.raises(JournalError):
                journal.write(record(held=(hold(),), after_s=number))
        full.unlink()
        journal.write(record(held=(hold(),), after_s=1000))
        assert len(git(journal.path, "log", "--format=%H").split()) == 1

    def test_more_than_memory_should_hold_is_counted_and_their_objects_written_anew(
        self, journal: GitJournal, full: Path
    ) -> None:
        for number in range(OWED_LIMIT + 5):
            with pytest.raises(JournalError):
                journal.write(record(applied(DB, reason=str(number)), live={DB: {"n": number}}, after_s=number))
        full.unlink()
        assert journal.write(record(after_s=1000))
        assert len(git(journal.path, "log", "--format=%H").split()) == OWED_LIMIT
        assert "5 MORE CYCLES ARE MISSING" in journal.news()[0]
        assert journal.lacks([DB, WEB]) == (WEB, DB)
        assert journal.write(record(live={DB: {"n": "now"}, WEB: LIVE}, found=(DB, WEB), after_s=1001))
        assert journal.lacks([DB, WEB]) == ()
        assert "now" in git(journal.path, "show", "HEAD:default/VirtualMachine/db.yaml")
