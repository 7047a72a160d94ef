"""Mirrors that are damaged, lost, or left half made: they are set aside and fetched anew, and what was accepted stays so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from reconciler.model.errors import SourceError
from reconciler.model.revision import SourceState
from reconciler.source.local_remote import LocalRemote
from tests.unit.source.mirrors import WEB, mirror_of

KINDS = {"commit": ObjectType.COMMIT, "tree": ObjectType.TREE, "blob": ObjectType.BLOB}


def test_losing_the_state_directory_accepts_the_head_again(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    make_source().fetch()
    shutil.rmtree(tmp_path / "state")
    source = make_source()
    assert source.accepted() is None
    assert source.fetch().state == SourceState.READY
    assert source.accepted() is not None


def damage_refs(mirror: Path) -> None:
    (mirror / "refs/gitvirt/accepted").write_text("")


def damage_packs(mirror: Path) -> None:
    for pack in (mirror / "objects" / "pack").iterdir():
        pack.chmod(0o600)
        pack.write_bytes(b"garbage")


def damage_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core\n")


@pytest.mark.parametrize("damage", [damage_refs, damage_packs, damage_config])
def test_a_damaged_mirror_is_set_aside_and_rebuilt(upstream, make_source, tmp_path, damage):
    commit = upstream.commit(WEB)
    make_source().fetch()
    mirror = mirror_of(tmp_path / "state")
    damage(mirror)
    source = make_source()
    source.accepted()
    upstream.path.rename(tmp_path / "away")
    gone = source.fetch()
    assert gone.state == SourceState.UNREACHABLE
    assert "damaged" in gone.message
    (tmp_path / "away").rename(upstream.path)
    status = source.fetch()
    assert status.state == SourceState.READY, status.message
    assert "set aside" in status.message
    assert len(list((tmp_path / "state" / "source").glob("*.damaged-*"))) == 1
    assert source.accepted().revision.commit == commit
    assert source.read_blob(source.accepted().files["net/lan.yml"]) == b"a: 1\n"
    assert source.fetch().message == ""
    assert make_source().fetch().state == SourceState.READY


def test_a_blob_that_is_lost_is_an_error_and_comes_back(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    source = make_source()
    source.fetch()
    blob = source.accepted().files["net/lan.yml"]
    damage_packs(mirror_of(tmp_path / "state"))
    fresh = make_source()
    with pytest.raises(SourceError):
        fresh.read_blob(blob)
    fresh.fetch()
    assert fresh.read_blob(blob) == b"a: 1\n"


def test_a_damaged_mirror_does_not_let_rewritten_history_in(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    make_source().fetch()
    damage_packs(mirror_of(tmp_path / "state"))
    upstream.git("commit", "-q", "--amend", "-m", "rewritten")
    source = make_source()
    source.accepted()
    assert source.fetch().state == SourceState.REWRITTEN
    assert make_source(accept_rewrites=True).fetch().state == SourceState.READY


def test_what_a_crash_left_of_a_rebuild_is_cleared_by_the_next(upstream, make_source, tmp_path):
    commit = upstream.commit(WEB)
    make_source().fetch()
    mirror = mirror_of(tmp_path / "state")
    link = next(path for path in mirror.parent.iterdir() if path.is_symlink())
    left = link.with_name(f"{link.name}.mirror-half")
    left.mkdir()
    assert make_source().accepted().revision.commit == commit
    damage_packs(mirror)
    source = make_source()
    source.accepted()
    source.fetch()
    assert not left.exists()
    assert source.accepted().revision.commit == commit


def test_a_state_directory_deleted_while_running_is_begun_anew(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    source = make_source()
    source.fetch()
    shutil.rmtree(tmp_path / "state")
    commit = upstream.commit({"vms/web.yaml": "b: 2\n"})
    assert source.fetch().state == SourceState.READY
    assert source.accepted().revision.commit == commit
    assert make_source().accepted().revision.commit == commit


def test_a_stale_lock_file_does_not_stop_anything(upstream, make_source, tmp_path):
    upstream.commit(WEB)
    source = make_source()
    source.fetch()
    (mirror_of(tmp_path / "state") / "refs/gitvirt/accepted.lock").touch()
    upstream.commit({"vms/web.yaml": "b: 2\n"})
    assert source.fetch().state == SourceState.READY


def test_a_history_that_is_broken_at_the_remote_is_fetched_anew_once(upstream, make_source, tmp_path, monkeypatch):
    accepted = upstream.commit(WEB)
    source = make_source()
    source.fetch()
    tree = upstream.git("rev-parse", "HEAD^{tree}")
    raw = f"tree {tree}\nparent {accepted}\nauthor nobody at no time\n\nbroken\n".encode()
    broken = upstream.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw)
    head = upstream.git("commit-tree", tree, "-p", broken, "-m", "on top of it")
    upstream.git("update-ref", "refs/heads/main", head)
    fetched = []

    def fetch_all(_, mirror, oid):
        # Git refuses to send and to take this, and libgit2 over a path does too; a server of somebody else may not.
        fetched.append(oid)
        for kind, path in (line.split() for line in upstream.git(*every).splitlines()):
            data = subprocess.run(["git", "cat-file", kind, path], cwd=upstream.path, capture_output=True, check=True)
            mirror.odb.write(KINDS[kind], data.stdout)

    every = ("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    monkeypatch.setattr(LocalRemote, "fetch", fetch_all)
    for _ in range(3):
        status = source.fetch()
        assert status.state == SourceState.REFUSED
        assert "git fsck" in status.message
        assert f"{accepted[:12]} stays enforced" in status.message
    assert fetched == [head, head]
    assert source.accepted().revision.commit == accepted
    assert len([path for path in (tmp_path / "state" / "source").iterdir() if "mirror-" in path.name]) == 1
    upstream.git("update-ref", "refs/heads/main", accepted)
    assert source.fetch().state == SourceState.READY
    upstream.git("reset", "-q", "--hard", accepted)
    assert source.fetch().head == accepted
    good = upstream.commit({"db.yaml": "a: 1\n"})
    assert (source.fetch().state, source.accepted().revision.commit) == (SourceState.READY, good)


def test_a_damaged_copy_is_kept_while_what_is_fetched_anew_may_not_take_its_place(upstream, make_source, tmp_path):
    accepted = upstream.commit(WEB)
    source = make_source(accept_rewrites=True)
    source.fetch()
    damage_packs(mirror_of(tmp_path / "state"))
    upstream.git("checkout", "-q", "--orphan", "other")
    upstream.git("rm", "-q", "-rf", ".")
    upstream.commit({"README.md": "no manifest\n"})
    upstream.git("branch", "-f", "main", "other")
    again = make_source(accept_rewrites=True)
    again.accepted()
    assert again.fetch().state == SourceState.EMPTY
    assert mirror_of(tmp_path / "state").joinpath("refs/gitvirt/accepted").read_text().strip() == accepted


@pytest.mark.parametrize("damage", [damage_config, damage_packs])
def test_a_refused_head_does_not_hide_what_a_rebuilt_copy_enforces(upstream, make_source, tmp_path, damage):
    accepted = upstream.commit(WEB)
    make_source().fetch()
    damage(mirror_of(tmp_path / "state"))
    upstream.git("rm", "-q", "-rf", ".")
    upstream.commit({"README.md": "no manifest\n"})
    source = make_source()
    source.accepted()
    status = source.fetch()
    assert status.state == SourceState.EMPTY
    assert f"{accepted[:12]} stays enforced." in status.message
    assert "Nothing has been accepted yet" not in status.message
    assert source.accepted().revision.commit == accepted


def test_what_was_accepted_and_cannot_be_read_is_not_called_nothing(upstream, make_source, tmp_path):
    accepted = upstream.commit(WEB)
    make_source().fetch()
    damage_config(mirror_of(tmp_path / "state"))
    upstream.path.rename(tmp_path / "away")
    source = make_source()
    assert source.accepted() is None
    said = source.fetch().message
    assert f"{accepted[:12]} was accepted before and cannot be read" in said
    assert "Nothing has been accepted yet" not in said
    shutil.rmtree(tmp_path / "state")
    assert "Nothing has been accepted yet." in make_source().fetch().message
