"""Each answer a remote can give, and what stays enforced then."""

from __future__ import annotations

import os
import subprocess

import pytest

from reconciler.model.errors import SourceError
from reconciler.model.follow import Follow, FollowKind, ref_followed
from reconciler.model.revision import SourceState
from reconciler.ports import Source
from reconciler.source.limits import SourceLimits
from tests.unit.source.mirrors import WEB, mirror_of


def test_first_fetch_accepts_the_head(upstream, make_source):
    commit = upstream.commit(WEB, "Add web\n\nGitvirt-Approve: abc123")
    source: Source = make_source()
    assert source.status().state == SourceState.NEVER
    assert source.accepted() is None
    status = source.fetch()
    assert (status.state, status.head, status.message) == (SourceState.READY, commit, "")
    snapshot = source.accepted()
    assert list(snapshot.files) == ["net/lan.yml", "vms/web.yaml"]
    assert source.read_blob(snapshot.files["vms/web.yaml"]) == b"kind: VirtualMachine\n"
    assert snapshot.revision.author == "Ada"
    assert snapshot.revision.subject == "Add web"
    assert snapshot.revision.approvals == ("abc123",)
    assert source.revision(commit) == snapshot.revision
    assert source.revision("0" * 40) is None
    assert source.revision("nonsense") is None


def test_a_later_commit_moves_it_and_only_the_changed_file_gets_another_blob(upstream, make_source):
    upstream.commit(WEB)
    source = make_source()
    source.fetch()
    before = source.accepted().files
    upstream.commit({"vms/web.yaml": "kind: Other\n", "vms/db.json": "{}"})
    assert source.fetch().state == SourceState.READY
    after = source.accepted().files
    assert list(after) == ["net/lan.yml", "vms/db.json", "vms/web.yaml"]
    assert after["net/lan.yml"] == before["net/lan.yml"]
    assert after["vms/web.yaml"] != before["vms/web.yaml"]


def test_unreachable_remote_keeps_the_accepted_revision_across_a_restart(upstream, make_source, tmp_path):
    commit = upstream.commit(WEB)
    make_source().fetch()
    upstream.path.rename(tmp_path / "elsewhere")
    source = make_source()
    assert commit[:12] in source.status().message
    status = source.fetch()
    assert status.state == SourceState.UNREACHABLE
    assert "does not exist" in status.message
    assert commit[:12] in status.message
    assert source.accepted().revision.commit == commit
    assert source.read_blob(source.accepted().files["net/lan.yml"]) == b"a: 1\n"


def test_not_a_repository(upstream, make_source, tmp_path):
    (tmp_path / "plain").mkdir()
    status = make_source(url=f"file://{tmp_path}/plain").fetch()
    assert status.state == SourceState.UNREACHABLE
    assert "not a Git repository" in status.message
    assert "Nothing has been accepted yet" in status.message


def test_file_url_with_escapes(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    upstream.path.rename(tmp_path / "my repo")
    assert make_source(url=f"file://{tmp_path}/my%20repo").fetch().state == SourceState.READY


@pytest.mark.parametrize("url", ["https://user:secret@example.org/x.git", "file://host/x", ""])
def test_urls_without_transport_are_refused_without_their_secrets(make_source, url):
    with pytest.raises(SourceError) as caught:
        make_source(url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"follow": Follow(name="a..b")}, {"follow": Follow(name="")}, {"path": "../x"}, {"path": "a\nb"}]
)
def test_refs_and_paths_that_can_never_work(make_source, changes):
    with pytest.raises(SourceError):
        make_source(**changes)


def test_vanished_ref(upstream, make_source):
    commit = upstream.commit(WEB)
    source = make_source()
    source.fetch()
    upstream.git("branch", "-m", "main", "trunk")
    status = source.fetch()
    assert status.state == SourceState.REF_MISSING
    assert "'main'" in status.message
    assert "trunk" in status.message
    assert source.accepted().revision.commit == commit


def test_repository_without_a_commit(upstream, make_source):
    status = make_source().fetch()
    assert status.state == SourceState.EMPTY
    assert "no commit yet" in status.message


@pytest.mark.parametrize("ref", ["refs/tags/v1", "HEAD", "refs/heads/main"])
def test_full_refs(upstream, make_source, ref):
    commit = upstream.commit(WEB)
    upstream.git("tag", "-a", "-m", "one", "v1")
    source = make_source(follow=ref_followed(ref))
    assert source.fetch().head == commit
    assert source.accepted().revision.commit == commit


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_that_is_moved_is_followed_wherever_it_goes(upstream, make_source, annotated):
    first = upstream.commit(WEB)
    second = upstream.commit({"vms/web.yaml": "b: 2\n"})

    def tag(commit: str) -> None:
        upstream.git("tag", "-f", *(["-a", "-m", "one"] if annotated else []), "v1", commit)

    tag(second)
    source = make_source(follow=Follow(kind=FollowKind.TAG, name="v1"))
    for commit in (second, first, second):
        tag(commit)
        status = source.fetch()
        assert (status.state, status.head, status.message) == (SourceState.READY, commit, "")
        assert source.accepted().revision.commit == commit
    upstream.git("tag", "-d", "v1")
    upstream.git("tag", "v0", first)
    gone = source.fetch()
    assert gone.state == SourceState.REF_MISSING
    assert "The tag 'v1' is not in" in gone.message
    assert "it has v0" in gone.message
    assert source.accepted().revision.commit == second


def test_the_highest_tag_in_a_range_is_followed(upstream, make_source):
    commits = {}
    for name in ("v1.1.0", "v1.2.0", "1.10.1", "v1.11.0-rc.1", "v2.0.0", "nightly", "v1.9"):
        commits[name] = upstream.commit({"vms/web.yaml": f"tag: {name}\n"})
        upstream.git("tag", *(["-a", "-m", name] if name == "1.10.1" else []), name)
    source = make_source(follow=Follow(kind=FollowKind.SEMVER, name=">=1.2 <2"))
    assert source.fetch().head == commits["1.10.1"]
    upstream.git("tag", "-d", "1.10.1")
    assert source.fetch().head == commits["v1.2.0"]
    assert source.fetch().state == SourceState.READY
    upstream.git("tag", "v1.99.0", commits["nightly"])
    assert source.fetch().head == commits["nightly"]
    assert source.accepted().revision.commit == commits["nightly"]
    none = make_source(follow=Follow(kind=FollowKind.SEMVER, name="7.x")).fetch()
    assert none.state == SourceState.REF_MISSING
    assert "No version in the range '7.x' is in" in none.message


def test_one_commit_is_followed_and_another_one_is_no_rewrite(upstream, make_source):
    first = upstream.commit(WEB)
    second = upstream.commit({"vms/web.yaml": "b: 2\n"})
    upstream.commit({"vms/web.yaml": "c: 3\n"})

    def pinned(commit: str):
        return make_source(follow=Follow(kind=FollowKind.COMMIT, name=commit))

    assert pinned(second).fetch().head == second
    back = pinned(first)
    assert back.accepted().revision.commit == second, "until the remote answers, the last accepted one is enforced"
    assert back.fetch().state == SourceState.READY
    assert back.accepted().revision.commit == first
    missing = pinned("ab" * 20)
    status = missing.fetch()
    assert status.state == SourceState.REF_MISSING
    assert "does not hold that commit" in status.message
    assert missing.accepted().revision.commit == first
    blob = pinned(upstream.git("rev-parse", "HEAD:README.md")).fetch()
    assert blob.state == SourceState.REF_MISSING
    assert "not a commit" in blob.message


def test_a_ref_that_is_no_commit(upstream, make_source):
    upstream.commit(WEB)
    upstream.git("tag", "thing", "HEAD:README.md")
    status = make_source(follow=ref_followed("refs/tags/thing")).fetch()
    assert status.state == SourceState.REF_MISSING
    assert "not a commit" in status.message


def test_rewritten_history_is_refused_until_it_descends_again(upstream, make_source):
    first = upstream.commit(WEB)
    second = upstream.commit({"vms/web.yaml": "b: 2\n"})
    source = make_source()
    source.fetch()
    upstream.git("reset", "-q", "--hard", first)
    rewound = source.fetch()
    assert rewound.state == SourceState.REWRITTEN
    assert rewound.head == first
    other = upstream.commit({"vms/web.yaml": "c: 3\n"})
    for again in (source, make_source()):
        status = again.fetch()
        assert (status.state, status.head) == (SourceState.REWRITTEN, other)
        assert second[:12] in status.message
        assert again.accepted().revision.commit == second
    upstream.git("merge", "-q", "-s", "ours", second)
    assert source.fetch().state == SourceState.READY


def test_rewritten_history_is_accepted_where_the_settings_say_so(upstream, make_source):
    upstream.commit(WEB)
    old = upstream.commit({"vms/web.yaml": "b: 2\n"})
    source = make_source(accept_rewrites=True)
    source.fetch()
    upstream.git("reset", "-q", "--hard", "HEAD~1")
    new = upstream.commit({"vms/new.yaml": "c: 3\n"})
    status = source.fetch()
    assert status.state == SourceState.READY
    assert "rewritten" in status.message
    assert old[:12] in status.message
    assert source.accepted().revision.commit == new
    assert "vms/new.yaml" in source.accepted().files


def test_sub_path(upstream, make_source):
    good = upstream.commit(WEB)
    source = make_source(path="/vms/")
    assert source.fetch().state == SourceState.READY
    assert list(source.accepted().files) == ["vms/web.yaml"]
    upstream.git("mv", "vms", "machines")
    upstream.commit()
    vanished = source.fetch()
    assert vanished.state == SourceState.PATH_MISSING
    assert "'vms'" in vanished.message
    upstream.commit({"vms": "now a file"})
    status = source.fetch()
    assert status.state == SourceState.PATH_MISSING
    assert "a file, not a directory" in status.message
    assert source.accepted().revision.commit == good


def test_no_manifest_is_not_a_wish_to_delete_everything(upstream, make_source):
    good = upstream.commit(WEB)
    source = make_source()
    source.fetch()
    upstream.git("rm", "-q", "-r", "vms", "net")
    upstream.commit({".gitlab-ci.yml": "x: 1\n", ".github/w.yaml": "y: 1\n"})
    status = source.fetch()
    assert status.state == SourceState.EMPTY
    assert "on purpose" in status.message
    assert source.accepted().revision.commit == good
    upstream.commit({"none.yaml": "# nothing here on purpose\n"})
    assert source.fetch().state == SourceState.READY
    assert list(source.accepted().files) == ["none.yaml"]


def test_too_many_files_refuse_the_revision(upstream, make_source):
    good = upstream.commit(WEB)
    source = make_source(limits=SourceLimits(files=3))
    source.fetch()
    upstream.commit({f"many/{number}.yaml": "a: 1\n" for number in range(3)})
    status = source.fetch()
    assert status.state == SourceState.REFUSED
    assert "more than 3" in status.message
    assert source.accepted().revision.commit == good


def test_a_lowered_limit_refuses_what_was_accepted_and_rebuilds_nothing(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    make_source().fetch()
    source = make_source(limits=SourceLimits(files=1))
    assert source.accepted() is None
    status = source.fetch()
    assert status.state == SourceState.REFUSED
    assert "is now refused: more than" in status.message
    assert list((tmp_path / "state" / "source").glob("*.damaged-*")) == []


def test_approvals_of_all_new_commits_survive_a_restart(upstream, make_source):
    first = upstream.commit(WEB, "Start\n\nGitvirt-Approve: old")
    source = make_source()
    source.fetch()
    source.confirm(first)
    upstream.commit(message="One\n\nGitvirt-Approve: first-1\ngitvirt-approve: second")
    upstream.commit(message="Gitvirt-Approve: not-in-a-subject")
    upstream.commit(message="Two\n\nGitvirt-Approve: quoted in the middle\n\nThat was it.")
    third = upstream.commit({"vms/web.yaml": "n: 1\n"}, "Three\n\nSigned-off-by: x\nGitvirt-Approve: third")
    source.fetch()
    assert set(source.accepted().revision.approvals) == {"first-1", "second", "third"}
    source.fetch()
    assert set(make_source().accepted().revision.approvals) == {"first-1", "second", "third"}
    source.confirm(third)
    assert set(make_source().accepted().revision.approvals) == {"first-1", "second", "third"}
    upstream.commit({"vms/web.yaml": "n: 2\n"})
    source.fetch()
    assert source.accepted().revision.approvals == ()


def test_another_process_that_fetches_is_waited_for_and_then_reported(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    source = make_source(limits=SourceLimits(lock_wait_s=0.2))
    source.fetch()
    lock = next((tmp_path / "state" / "source").glob("*.lock"))
    holder = subprocess.Popen(["flock", str(lock), "sh", "-c", "echo held; read line"], stdin=-1, stdout=-1)
    try:
        assert holder.stdout.readline() == b"held\n"
        status = source.fetch()
    finally:
        holder.communicate(b"\n")
    assert status.state == SourceState.UNREACHABLE
    assert "another gitvirt process" in status.message
    assert source.fetch().state == SourceState.READY


def test_many_fetches_leave_few_packs(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    source = make_source(limits=SourceLimits(packs=3))
    for number in range(9):
        commit = upstream.commit({"vms/web.yaml": f"n: {number}\n"})
        assert source.fetch().state == SourceState.READY
    mirror = mirror_of(tmp_path / "state")
    assert len(list((mirror / "objects/pack").glob("*.pack"))) <= 4
    assert make_source().accepted().revision.commit == commit
    subprocess.run(["git", "-C", mirror, "fsck", "--strict"], check=True, capture_output=True)
    assert len(list(mirror.parent.glob("*.mirror-*"))) == 1


def test_the_state_is_private_and_an_unwritable_one_is_a_status(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "source").write_text("in the way")
    status = make_source().fetch()
    assert status.state == SourceState.UNREACHABLE
    assert "could not be used" in status.message
    (tmp_path / "state" / "source").unlink()
    make_source().fetch()
    assert mirror_of(tmp_path / "state").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_repository_of_another_user_is_read(upstream, make_source):
    upstream.commit(WEB)
    subprocess.run(["chown", "-R", "nobody", upstream.path], check=True)
    assert make_source().fetch().state == SourceState.READY


def test_hostile_commit_facts_do_not_break_anything(upstream, make_source):
    tree = upstream.git("write-tree")
    blob = upstream.blob(b"a: 1\n")
    tree = upstream.git("mktree", data=f"100644 blob {blob}\ta.yaml\n".encode())
    raw = (
        f"tree {tree}\nauthor \x1b[31m\xff <e\xff> 99999999999999999 +9999\ncommitter x <y> 1 +0000\n"
        "encoding undefined\n\n\x1b]0;title\x07 \xff\n\nGitvirt-Approve: ok\n"
    ).encode("latin-1")
    commit = upstream.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw)
    upstream.git("update-ref", "refs/heads/main", commit)
    source = make_source()
    assert source.fetch().state == SourceState.READY
    revision = source.accepted().revision
    assert revision.author.endswith("\ufffd")
    assert revision.approvals == ("ok",)


def test_an_idle_poll_fetches_nothing(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    source = make_source()
    source.fetch()
    mirror = mirror_of(tmp_path / "state")
    before = {path: path.stat().st_mtime_ns for path in mirror.rglob("*")}
    source.fetch()
    assert {path: path.stat().st_mtime_ns for path in mirror.rglob("*")} == before
