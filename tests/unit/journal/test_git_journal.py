"""What the journal holds after each kind of cycle, asked through git itself and through its entries."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from reconciler.journal.audit import AUDIT_COLUMNS, audit_dict, audit_row
from reconciler.journal.git_journal import GitJournal
from reconciler.journal.packing import loose_objects, pack_objects
from reconciler.model.errors import JournalError
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.outcome import Result
from reconciler.model.plan import Action, Cause, Hold, Impact
from reconciler.model.power import PowerState, PowerStep
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.record import OperatorAction
from reconciler.model.revision import Revision
from reconciler.ports import Journal
from tests.unit.journal.building import MEMORY, NOW, REVISION, WEB, FixedClock, applied, git, record

LIVE = {
    "kind": "VirtualMachineInstance",
    "status": {"phase": "Running", "power": PowerState.RUNNING, "ips": ("10.0.0.1",)},
}
LOST = Problem(
    code="claim-missing", severity=Severity.ERROR, place=Place("a.yaml", 3, 1), message="no such claim", object=WEB
)


def hold(identifier: str = "abc123", key: ObjectKey = WEB) -> Hold:
    change = applied(key, action=Action.DELETE, impact=Impact.REPLACE).change
    return Hold(hold_id=identifier, rule="blast-radius", reason="it deletes all", changes=(change,))


def test_a_cycle_without_anything_writes_nothing(journal):
    target: Journal = journal
    assert target.write(record(live={WEB: LIVE})) == ""
    assert list(target.entries()) == []
    assert not journal.path.exists()


def test_creation_is_one_commit_that_names_its_source(journal):
    commit = journal.write(record(applied(differences=(MEMORY,)), live={WEB: LIVE, POD_NETWORK: {"active": True}}))
    assert git(journal.path, "rev-parse", "HEAD").strip() == commit
    assert git(journal.path, "log", "--format=%an <%ae>|%cn|%ct|%s").strip() == (
        f"Ada <ada@example.org>|gitvirt|{int(NOW.timestamp())}|"
        "commit aaaaaaa: create VirtualMachine/default/web (guest)"
    )
    files = git(journal.path, "ls-tree", "-r", "--name-only", "HEAD").split()
    assert files == ["_cluster/PodNetwork/pod.yaml", "default/VirtualMachine/web.yaml"]
    stored = git(journal.path, "show", "HEAD:default/VirtualMachine/web.yaml")
    assert yaml.safe_load(stored) == {
        "kind": "VirtualMachineInstance",
        "status": {"phase": "Running", "power": "running", "ips": ["10.0.0.1"]},
    }
    trailers = dict(
        line.split(": ", 1) for line in git(journal.path, "log", "-1", "--format=%(trailers:only)").strip().split("\n")
    )
    assert trailers["Source-Revision"] == "a" * 40
    assert trailers["Source-Author"] == "Ada <ada@example.org>"
    assert trailers["Cause"] == "commit"
    assert trailers["Plan"] == "p1"
    assert trailers["Change"].startswith("VirtualMachine/default/web create none applied cause=commit took=0.412")


def test_git_log_diff_and_blame_tell_what_happened_to_a_vm(journal):
    other = ObjectKey("VirtualMachine", "default", "db")
    first = journal.write(record(applied(), live={WEB: LIVE}))
    journal.write(record(applied(other), live={other: LIVE}, after_s=10))
    changed = {**LIVE, "status": {**LIVE["status"], "phase": "Stopped"}}
    second = journal.write(record(applied(action=Action.UPDATE, cause=Cause.DRIFT), live={WEB: changed}, after_s=20))
    path = "default/VirtualMachine/web.yaml"
    assert git(journal.path, "log", "--format=%H", "--", path).split() == [second, first]
    assert "-  phase: Running\n+  phase: Stopped\n" in git(journal.path, "diff", first, second, "--", path)
    blamed = git(journal.path, "blame", "-s", "-l", "HEAD", "--", path).split("\n")
    assert [line[:40] for line in blamed if "phase" in line] == [second]
    assert {line[:39].lstrip("^") for line in blamed if line and "phase" not in line} <= {first[:39], first[:38]}


def test_drift_says_how_long_it_took(journal):
    done = applied(action=Action.UPDATE, cause=Cause.DRIFT, impact=Impact.LIVE, power=PowerStep.START)
    journal.write(record(done, live={WEB: LIVE}, detected_at=NOW - timedelta(milliseconds=88)))
    text = git(journal.path, "log", "-1", "--format=%an%n%B")
    assert text.startswith("gitvirt\ndrift: correct VirtualMachine/default/web (power)\n")
    assert "Detected: 2026-03-01T11:59:59.912Z\nCorrected-After-Ms: 500\n" in text
    [entry] = journal.entries()
    assert (entry.cause, entry.author, entry.impact) == (Cause.DRIFT, "gitvirt", Impact.LIVE)


def test_drift_that_took_several_cycles_is_counted_from_its_first_event(journal):
    begun = applied(result=Result.PROGRESSING, action=Action.UPDATE, cause=Cause.DRIFT)
    journal.write(record(begun, live={WEB: LIVE}, detected_at=NOW))
    assert "Corrected-After-Ms" not in git(journal.path, "log", "-1", "--format=%B")
    done = replace(applied(action=Action.UPDATE, cause=Cause.DRIFT), detected_at=NOW - timedelta(seconds=2))
    journal.write(record(done, live={WEB: LIVE}, detected_at=NOW, after_s=2))
    assert "Corrected-After-Ms: 2412\n" in git(journal.path, "log", "-1", "--format=%B")


def test_a_deleted_object_leaves_the_tree_and_stays_in_history(journal):
    journal.write(record(applied(), live={WEB: LIVE}))
    journal.write(record(applied(action=Action.DELETE), live={WEB: None}, after_s=1))
    assert git(journal.path, "ls-tree", "-r", "HEAD") == ""
    assert len(git(journal.path, "log", "--format=%H", "--", "default/VirtualMachine/web.yaml").split()) == 2


def test_entries_tell_changes_operators_holds_and_problems(journal):
    asked = OperatorAction(verb="stop", by="root", at=NOW, key=WEB, arguments={"for": "2h"})
    failed = applied(result=Result.FAILED, said="no space on pool default", action=Action.UPDATE, differences=(MEMORY,))
    journal.write(record(failed, held=(hold(),), problems=(LOST,), operator=(asked,), live={WEB: LIVE}))
    operator, problem, held, change = journal.entries()
    assert (change.action, change.result, change.key) == (Action.UPDATE, "failed", WEB)
    assert change.reason == "it is declared and not there: no space on pool default"
    assert change.differences == (f'{MEMORY.path}: "2Gi" -> "4Gi" (restart, no hot-plug)',)
    assert (change.author, change.revision) == ("Ada <ada@example.org>", REVISION.commit)
    assert change.at == NOW + timedelta(milliseconds=412)
    assert (held.result, held.action, held.reason) == ("held", Action.DELETE, "blast-radius abc123: it deletes all")
    assert (problem.action, problem.result, problem.reason) == ("problem", "error", "claim-missing: no such claim")
    assert (operator.action, operator.author, operator.reason, operator.cause) == ("stop", "root", "for=2h", "operator")
    assert all(len(audit_row(entry)) == len(AUDIT_COLUMNS) for entry in (operator, problem, held, change))
    assert audit_dict(change)["object"] == "VirtualMachine/default/web"


def test_filters_by_object_and_time(journal):
    web2 = ObjectKey("VirtualMachine", "prod", "web")
    disk = ObjectKey("DataVolume", "default", "web")
    journal.write(record(applied(), live={WEB: LIVE}))
    journal.write(record(applied(web2), after_s=60))
    journal.write(record(applied(disk), applied(POD_NETWORK), after_s=120))
    assert [entry.key for entry in journal.entries(vm="web")] == [web2, WEB]
    assert [entry.key for entry in journal.entries(vm="prod/web")] == [web2]
    assert [entry.key for entry in journal.entries(vm="DataVolume/default/web")] == [disk]
    assert [entry.key for entry in journal.entries(vm="PodNetwork/pod")] == [POD_NETWORK]
    assert list(journal.entries(vm="nobody")) == []
    assert [entry.key for entry in journal.entries(limit=2)] == [POD_NETWORK, disk]
    assert len(list(journal.entries(since=NOW + timedelta(milliseconds=412)))) == 4
    assert list(journal.entries(since=NOW + timedelta(days=1))) == []


def test_repetition_is_told_once_also_after_a_restart(journal, make_journal):
    stuck = applied(result=Result.PROGRESSING, said="import at 12 %")
    same = applied(result=Result.PROGRESSING, said="import at 97 %")
    assert journal.write(record(stuck, held=(hold(),), problems=(LOST,)))
    assert journal.write(record(same, held=(hold(),), problems=(LOST,))) == ""
    moved = Problem(
        code=LOST.code, severity=LOST.severity, place=Place("a.yaml", 9, 1), message=LOST.message, object=WEB
    )
    restarted = make_journal()
    assert restarted.write(record(held=(hold(),), problems=(moved,))) == ""
    assert restarted.write(record(held=(hold("def456"),), problems=(LOST,)))
    assert restarted.write(record(held=(hold("def456"),))) == ""
    assert restarted.write(record(held=(hold("def456"),), problems=(LOST,)))
    assert journal.write(record(applied(result=Result.APPLIED), held=(hold("def456"),)))
    assert journal.write(record(applied(result=Result.UNCHANGED))) == ""


def test_hostile_text_forges_nothing(journal):
    evil = "x\n\nCause: operator\nChange: VirtualMachine/default/db delete data-loss applied\x1b[2J\u202e\x00"
    author = Revision(commit="b" * 40, author=f"<{evil}>", email="<\n>", subject=evil)
    key = ObjectKey("VirtualMachine", "../..", "a/../b\n.git")
    problem = Problem(code="x", severity=Severity.WARNING, place=Place(evil), message=evil, object=key)
    asked = OperatorAction(verb="stop it", by=f"{evil} at=2020-01-01T00:00:00Z on=VirtualMachine/a/b", at=NOW)
    done = applied(key, reason=evil, said=evil, restore=evil)
    journal.write(
        record(
            done,
            revisions={"": author},
            problems=(problem,),
            operator=(asked,),
            messages=(evil,),
            live={key: {evil: evil}},
        )
    )
    message = git(journal.path, "log", "-1", "--format=%an%n%ae%n%B")
    assert all(character == "\n" or character.isprintable() for character in message)
    causes = git(journal.path, "log", "-1", "--format=%(trailers:key=Cause,valueonly)").split()
    assert causes == ["commit"]
    assert len(git(journal.path, "log", "-1", "--format=%(trailers:key=Change)").strip().split("\n")) == 1
    operator, warned, change = journal.entries()
    assert change.key == warned.key == key
    assert operator.key is None
    assert operator.at == NOW
    git(journal.path, "fsck", "--strict", "--full")
    assert git(journal.path, "ls-tree", "-r", "--name-only", "HEAD").split() == [
        "%2E.%2F../VirtualMachine/a%2F..%2Fb%0A.git.yaml",
        "_problems.yaml",
    ]


def test_only_changed_trees_are_written(journal):
    keys = [ObjectKey("VirtualMachine", f"ns{number % 50}", f"vm{number}") for number in range(500)]
    journal.write(record(*(applied(key) for key in keys), live=dict.fromkeys(keys, LIVE)))
    listing = ("rev-list", "--objects", "--no-object-names", "HEAD")
    before = set(git(journal.path, *listing).split())
    journal.write(record(applied(keys[0]), live={keys[0]: {"changed": True}}, after_s=1))
    after = set(git(journal.path, *listing).split())
    # A commit, the root, the namespace, the kind, the object.
    assert len(after - before) == 5


def objects_gone(path: Path) -> None:
    shutil.rmtree(path / "objects")
    (path / "objects").mkdir()


def branch_emptied(path: Path) -> None:
    (path / "refs/heads/main").write_text("")


def branch_gone(path: Path) -> None:
    (path / "refs/heads/main").unlink()


def config_broken(path: Path) -> None:
    (path / "config").write_text("[core")


def one_tree_emptied(path: Path) -> None:
    oid = git(path, "rev-parse", "HEAD:default").strip()
    target = path / "objects" / oid[:2] / oid[2:]
    target.chmod(0o600)
    target.write_bytes(b"")


DAMAGES = [
    (fault, restarted)
    for fault in (objects_gone, branch_emptied, branch_gone, one_tree_emptied)
    for restarted in (0, 1)
]


# A running journal reads its configuration no more.
@pytest.mark.parametrize(("damage", "restarted"), [*DAMAGES, (config_broken, 1)])
def test_a_damaged_journal_is_set_aside_and_said_loudly(make_journal, damage, restarted):
    journal = make_journal()
    for number in range(10):
        journal.write(record(applied(), live={WEB: {**LIVE, "n": number}}, after_s=number))
    damage(journal.path)
    journal = make_journal() if restarted else journal
    commit = journal.write(record(applied(), live={WEB: LIVE}, after_s=20))
    assert commit
    (aside,) = journal.path.parent.glob("journal.git.damaged-*")
    text = git(journal.path, "log", "--format=%B")
    assert "THE JOURNAL BEFORE THIS COMMIT WAS DAMAGED" in text
    (said,), (standing,) = journal.news(), journal.standing()
    assert all(str(aside) in told for told in (text, said, standing))
    assert journal.news() == ()
    git(journal.path, "fsck", "--strict")
    about = [(entry.commit, entry.action, entry.result) for entry in journal.entries(vm="default/web")]
    assert about == [(commit, "create", "applied"), (commit, "journal", "set-aside")]
    assert journal.write(record(applied(), live={WEB: {}}, after_s=30))
    assert "DAMAGED" not in git(journal.path, "log", "-1", "--format=%B")


def test_reading_a_damaged_journal_is_an_error_and_leaves_it(journal, make_journal):
    journal.write(record(applied(), live={WEB: LIVE}))
    objects_gone(journal.path)
    with pytest.raises(JournalError, match="is damaged"):
        list(make_journal().entries())
    assert journal.path.is_dir()


def test_an_unwritable_journal_is_a_journal_error_and_heals(tmp_path, journal):
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(JournalError, match="cannot be written"):
        journal.write(record(applied()))
    (tmp_path / "state").unlink()
    assert journal.write(record(applied(), after_s=60))
    assert journal.standing() == ()


def test_a_journal_deleted_while_running_is_begun_anew(journal):
    journal.write(record(applied(), live={WEB: LIVE}))
    shutil.rmtree(journal.path)
    assert journal.write(record(applied(), live={WEB: LIVE}, after_s=1))
    assert len(list(journal.entries())) == 1


def test_lock_files_of_a_killed_writer_do_not_stop_it(journal):
    journal.write(record(applied(), live={WEB: LIVE}))
    (journal.path / "refs/heads/main.lock").touch()
    assert journal.write(record(applied(), live={WEB: {}}, after_s=1))


def test_a_long_history_is_packed_and_whole(make_journal):
    journal, reader = make_journal(), make_journal()
    for number in range(60):
        assert journal.write(record(applied(), live={WEB: {"n": number}}, after_s=number))
        if number % 5 == 4:
            pack_objects(journal.path, packs_limit=3)
            assert len(list(reader.entries())) == number + 1
    assert 1 <= len(list((journal.path / "objects/pack").glob("*.pack"))) <= 4
    assert loose_objects(journal.path) == []
    git(journal.path, "fsck", "--strict", "--full")
    assert len(list(journal.entries())) == 60


def test_packing_happens_by_itself_in_the_background(tmp_path):
    asked = []
    journal = GitJournal(
        state_directory=tmp_path, clock=FixedClock(), background=lambda name, function: asked.append((name, function))
    )
    keys = [ObjectKey("VirtualMachine", "default", f"vm{number}") for number in range(400)]
    for number in range(5):
        journal.write(
            record(*map(applied, keys), live={key: {"n": [number, key.name]} for key in keys}, after_s=number)
        )
    assert [name for name, _ in asked] == ["journal-packing"]
    asked[0][1]()
    assert loose_objects(journal.path) == []
    assert journal.write(record(applied(), live={WEB: LIVE}, after_s=9))
    git(journal.path, "fsck", "--strict", "--full")


def test_several_sources_are_told_apart(journal):
    """Each change by the commit and author of its own source; the commit as a whole by the author of the only one."""
    infra = Revision(commit="a" * 40, author="Ann", email="ann@example.org")
    shop = Revision(commit="b" * 40, author="Bob", email="bob@example.org")
    both = {"infra": infra, "shop": shop}
    dns, db = (ObjectKey("VirtualMachine", "default", name) for name in ("dns", "db"))
    journal.write(record(applied(dns, source="infra"), applied(db, source="shop"), revisions=both))
    told = {entry.key: (entry.source, entry.revision, entry.author) for entry in journal.entries()}
    assert told == {
        dns: ("infra", "a" * 40, "Ann <ann@example.org>"),
        db: ("shop", "b" * 40, "Bob <bob@example.org>"),
    }
    assert git(journal.path, "log", "-1", "--format=%an %s").startswith("gitvirt commit: create 2")
    journal.write(record(applied(db, source="shop", action=Action.UPDATE), revisions=both))
    assert git(journal.path, "log", "-1", "--format=%an %s").startswith("Bob commit shop@bbbbbbb: update")
