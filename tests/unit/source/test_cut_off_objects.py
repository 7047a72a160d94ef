"""A repository on this machine of which a crash or a full disk has left half an object: libgit2 would read it for ever."""

from __future__ import annotations

import pytest

from reconciler.loose_objects import CutOffError, LooseObjects, is_cut_off
from reconciler.model.errors import SourceError
from reconciler.model.revision import SourceState
from reconciler.source.local import open_input

WEB = {"web.yaml": "kind: VirtualMachine\n"}


def cut(upstream, name: str) -> None:
    """Take the end from an object."""
    oid = upstream.git("rev-parse", name)
    path = upstream.path / ".git" / "objects" / oid[:2] / oid[2:]
    data = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(data[:-6])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["HEAD", "HEAD^{tree}", "HEAD:db.yaml"])
def test_it_is_not_read_and_the_accepted_revision_stays(upstream, make_source, name):
    accepted = upstream.commit(WEB)
    source = make_source()
    assert source.fetch().state is SourceState.READY
    upstream.commit({"db.yaml": "kind: Secret\n"})
    cut(upstream, name)
    status = source.fetch()
    assert status.state is SourceState.UNREACHABLE
    assert "lacks its end" in status.message
    assert f"{accepted[:12]} stays enforced" in status.message
    assert source.accepted().revision.commit == accepted
    (upstream.path / ".git/refs/heads/main").write_text(accepted)
    assert source.fetch().head == accepted


@pytest.mark.timeout(30)
def test_commands_that_read_it_say_so(upstream):
    upstream.commit(WEB)
    cut(upstream, "HEAD:web.yaml")
    with pytest.raises(SourceError, match="lacks its end"):
        open_input(f"{upstream.path}@HEAD")


def test_what_it_borrows_is_looked_at_too(upstream, tmp_path):
    upstream.commit(WEB)
    upstream.git("clone", "-q", "--shared", str(upstream.path), str(tmp_path / "clone"))
    loose = LooseObjects(tmp_path / "clone" / ".git")
    loose.require_whole()
    upstream.commit({"db.yaml": "a: 1\n"})
    cut(upstream, "HEAD:db.yaml")
    with pytest.raises(CutOffError):
        loose.require_whole()


def test_what_is_whole_and_what_is_not(tmp_path):
    import zlib

    file = tmp_path / "object"
    assert not is_cut_off(file)
    for size in (0, 10, 1 << 20):
        whole = zlib.compress(b"x" * size)
        file.write_bytes(whole)
        assert not is_cut_off(file)
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:length])
            assert is_cut_off(file)
    file.write_bytes(b"no stream at all")
    assert is_cut_off(file)
