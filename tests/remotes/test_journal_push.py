"""The journal's copy on real servers: pushed forward, taken where there is none here, joined where both went on, never forced."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.daemon.journal_push import PushedJournal
from reconciler.journal.git_journal import GitJournal
from reconciler.model.keys import ObjectKey
from reconciler.model.source_spec import SourceAuth, SourceSpec
from reconciler.ports import Journal
from reconciler.source.errors import UnreachableError
from reconciler.source.limits import DEFAULT_LIMITS
from reconciler.source.push_remote import PushRemote
from tests.remotes.authority import Authority
from tests.remotes.sshd import SshServer
from tests.remotes.web import PASSWORD, USER, WebServer
from tests.unit.daemon.parts import PATIENCE_S, eventually
from tests.unit.journal.building import FixedClock, applied, git, record
from tests.unit.source.conftest import SteppedClock, Upstream

BRANCH = "refs/heads/journal/lab"
LIVE = {"kind": "VirtualMachineInstance", "status": {"phase": "Running"}}
Start = Callable[..., PushedJournal]


def vm(name: str) -> ObjectKey:
    return ObjectKey("VirtualMachine", "default", name)


def tell(journal: Journal, name: str) -> None:
    """A cycle that made a VM."""
    key = vm(name)
    assert journal.write(record(applied(key), live={key: LIVE}))


def told(journal: Journal) -> list[str]:
    """The objects of what happened, newest first."""
    return [entry.key.name for entry in journal.entries() if entry.key is not None]


@pytest.fixture
def served(repositories: Path, upstream: Upstream) -> Path:
    """The repository that the servers serve."""
    return repositories / upstream.served


@pytest.fixture
def start(tmp_path: Path, authority: Authority) -> Iterator[Start]:
    """Starts a journal of a state directory of its own, with its copy at a URL."""
    running: list[PushedJournal] = []

    def make(url: str, state: str = "state", auth: SourceAuth = SourceAuth(), ref: str = BRANCH) -> PushedJournal:
        clock = SteppedClock()
        spec = SourceSpec(url=url, auth=auth, ca_file=authority.certificate, timeout_s=20.0)
        journal = GitJournal(state_directory=tmp_path / state, clock=FixedClock())
        remote = PushRemote(spec, ref, DEFAULT_LIMITS)
        running.append(PushedJournal(journal, remote, clock, place=tmp_path / state / "elsewhere.git"))
        running[-1].begin(PATIENCE_S)
        return running[-1]

    yield make
    for journal in running:
        journal.finish(PATIENCE_S)


def head(served: Path) -> str:
    """Where the branch stands on the server; empty without one."""
    return git(served, "for-each-ref", "--format=%(objectname)", BRANCH).strip()


@pytest.mark.parametrize("way", ["https", "ssh", "path"])
def test_each_commit_is_there_soon_and_an_empty_state_directory_goes_on_from_it(
    way: str, served: Path, start: Start, web: WebServer, sshd: SshServer, client_key: Path, tmp_path: Path
) -> None:  # fmt: skip
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    by_ssh = SourceAuth(ssh_key_file=client_key, known_hosts_file=sshd.known_hosts(tmp_path / "known_hosts"))
    urls = {
        "https": (web.url("basic", served.name), SourceAuth(username=USER, password_file=tmp_path / "password")),
        "ssh": (sshd.url(served), by_ssh),
        "path": (str(served), SourceAuth()),
    }
    url, auth = urls[way]
    first = start(url, auth=auth)
    for name in ("a", "b"):
        tell(first, name)
        eventually(lambda: head(served) == git(tmp_path / "state/journal.git", "rev-parse", "main").strip())
    assert first.standing() == ()
    first.finish(PATIENCE_S)
    second = start(url, "empty", auth)
    assert told(second) == ["b", "a"]
    assert second.lacks([vm("a"), vm("c")]) == (vm("c"),)
    tell(second, "c")
    second.finish(PATIENCE_S)
    assert git(served, "log", "--format=%s", BRANCH).count("create") == 3
    assert git(served, "rev-list", "--merges", BRANCH) == ""
    assert git(served, "fsck", "--full") == ""
    assert not (tmp_path / "empty/elsewhere.git").exists()


def test_two_that_went_on_apart_become_one_and_nothing_is_lost(served: Path, start: Start, tmp_path: Path) -> None:
    first, second = start(str(served), "one"), start(str(served), "two")
    tell(first, "a")
    eventually(lambda: bool(head(served)))
    tell(second, "b")  # It knows nothing of the first one's.
    eventually(lambda: len(git(served, "rev-list", "--merges", BRANCH).split()) == 1)
    assert sorted(told(second)) == ["a", "b"]
    joined = [entry for entry in second.entries() if entry.key is None]
    assert [str(served) in entry.reason for entry in joined] == [True], joined
    tell(first, "c")
    first.finish(PATIENCE_S)
    assert sorted(told(first)) == ["a", "b", "c"]
    assert git(tmp_path / "one/journal.git", "ls-tree", "-r", "--name-only", "main").split() == [
        "default/VirtualMachine/a.yaml", "default/VirtualMachine/c.yaml",
    ]  # fmt: skip
    assert git(tmp_path / "one/journal.git", "fsck", "--full") == ""


def test_a_server_that_is_away_holds_nothing_up_and_is_told(served: Path, start: Start) -> None:
    away = served.with_name("away.git")
    served.rename(away)
    journal = start(str(served))
    tell(journal, "a")
    eventually(lambda: bool(journal.standing()))
    assert "the journal is not pushed" in journal.standing()[0]
    assert "does not exist" in journal.standing()[0]
    tell(journal, "b")
    assert told(journal) == ["b", "a"]
    away.rename(served)
    journal.finish(PATIENCE_S)
    assert git(served, "log", "--format=%s", BRANCH).count("create") == 2
    assert journal.standing() == ()


def test_what_was_under_way_at_the_end_and_failed_is_tried_once_more(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = PushRemote(SourceSpec(url=str(served)), BRANCH, DEFAULT_LIMITS)
    under_way, goes_on, push, pushes = threading.Event(), threading.Event(), remote.push, itertools.count()

    def fails_once(path: Path, commit: str) -> str:
        if next(pushes) == 0:
            under_way.set()
            goes_on.wait()
            raise UnreachableError("away")
        return push(path, commit)

    monkeypatch.setattr(remote, "push", fails_once)
    journal = PushedJournal(
        GitJournal(state_directory=tmp_path / "state", clock=FixedClock()),
        remote,
        SteppedClock(),
        place=tmp_path / "beside",
    )
    tell(journal, "a")
    journal.begin()
    under_way.wait()
    end = threading.Thread(target=journal.finish, args=(PATIENCE_S,))
    end.start()
    eventually(lambda: journal._stopping)
    goes_on.set()
    end.join()
    assert head(served) == git(tmp_path / "state/journal.git", "rev-parse", "main").strip()
    assert journal.standing() == ()


def test_a_branch_of_something_else_is_left_alone(served: Path, start: Start) -> None:
    before = git(served, "rev-parse", "main")
    for state in ("empty", "full"):
        journal = start(str(served), state, ref="refs/heads/main")
        if state == "full":
            tell(journal, "a")
        eventually(lambda journal=journal: bool(journal.standing()))
        assert "is no journal" in journal.standing()[0]
        assert "journal.push.branch" in journal.standing()[0]
        journal.finish(PATIENCE_S)
    assert git(served, "rev-parse", "main") == before


def test_what_a_server_refuses_is_told_in_its_words(served: Path, start: Start, web: WebServer, tmp_path: Path) -> None:
    (served / "hooks/pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (served / "hooks/pre-receive").chmod(0o755)
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    auth = SourceAuth(username=USER, password_file=tmp_path / "password")
    for url, said in (
        (web.url("basic", served.name), f"refuses to move {BRANCH} (pre-receive hook declined)"),
        (web.url("open", served.name), "does not let these credentials write (403)"),
        (web.url("fault", served.name), "(503)"),
    ):
        journal = start(url, said[:8].strip(), auth if "basic" in url else SourceAuth())
        tell(journal, "a")
        eventually(lambda journal=journal, said=said: said in " ".join(journal.standing()))
        assert PASSWORD not in " ".join(journal.standing())
        journal.finish(PATIENCE_S)
    assert head(served) == ""
    # On this machine a hook would run as this process's user: it is not run.
    (served / "hooks/pre-receive").write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    tell(start(str(served), "local"), "a")
    eventually(lambda: bool(head(served)))
    assert not (tmp_path / "hooked").exists()
