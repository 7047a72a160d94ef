"""Following a repository behind a real sshd, one that passes protocol version 2 on and one that does not."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from reconciler.model.errors import SourceError
from reconciler.model.follow import Follow, FollowKind
from reconciler.model.revision import SourceState
from reconciler.model.source_spec import SourceAuth
from tests.remotes.sshd import fingerprint, make_key


@pytest.fixture
def auth(sshd, client_key, tmp_path):
    return SourceAuth(ssh_key_file=client_key, known_hosts_file=sshd.known_hosts(tmp_path / "known_hosts"))


@pytest.fixture
def url(sshd, upstream, repositories):
    return sshd.url(repositories / upstream.served)


@pytest.mark.parametrize("server", ["sshd", "stock_sshd"])
def test_ssh_with_a_key(upstream, server, request, client_key, make_source, repositories, tmp_path):
    chosen = request.getfixturevalue(server)
    auth = SourceAuth(ssh_key_file=client_key, known_hosts_file=chosen.known_hosts(tmp_path / "known_hosts"))
    url = chosen.url(repositories / upstream.served)
    source = make_source(url, auth=auth)
    first = source.fetch()
    assert first.state == SourceState.READY, first.message
    upstream.git("tag", "-a", "-m", "one", "v1.2.0")
    second = upstream.commit({"vms/db.yaml": "kind: Other\n"})
    upstream.git("push", "-q", "--tags", "origin", "main")
    assert source.fetch().head == second
    assert set(source.accepted().files) == {"vms/db.yaml", "vms/web.yaml"}
    assert make_source(url, auth=auth, follow=Follow(kind=FollowKind.SEMVER, name="1.x")).fetch().head == first.head
    assert make_source(url, auth=auth, follow=Follow(kind=FollowKind.COMMIT, name=second)).fetch().head == second
    missing = make_source(url, auth=auth, follow=Follow(kind=FollowKind.COMMIT, name="ab" * 20)).fetch()
    assert missing.state == SourceState.REF_MISSING, missing.message


def test_a_wrong_host_key_is_refused(upstream, url, auth, sshd, make_source, tmp_path):
    source = make_source(url, auth=auth)
    kept = source.fetch().head
    other = make_key(tmp_path / "other")
    before = sshd.known_hosts(auth.known_hosts_file, other).read_text()
    upstream.commit({"vms/web.yaml": "b: 2\n"})
    upstream.git("push", "-q", "origin", "main")
    status = source.fetch()
    assert status.state == SourceState.UNREACHABLE
    assert fingerprint(sshd.directory / "host.pub") in status.message, "the fingerprint that was seen"
    assert "is NOT the one" in status.message
    assert str(auth.known_hosts_file) in status.message
    assert source.accepted().revision.commit == kept
    assert auth.known_hosts_file.read_text() == before


def test_an_unknown_host_key_is_refused_and_not_learnt(url, auth, sshd, make_source):
    auth.known_hosts_file.write_text("")
    status = make_source(url, auth=auth).fetch()
    assert status.state == SourceState.UNREACHABLE
    assert fingerprint(sshd.directory / "host.pub") in status.message
    assert f"add the key to {auth.known_hosts_file}" in status.message
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1" in status.message
    assert auth.known_hosts_file.read_text() == ""


def test_a_key_the_server_does_not_know(url, auth, sshd, make_source, tmp_path):
    make_key(tmp_path / "stranger")
    status = make_source(
        url, auth=SourceAuth(ssh_key_file=tmp_path / "stranger", known_hosts_file=auth.known_hosts_file)
    ).fetch()
    assert status.state == SourceState.UNREACHABLE
    assert f"does not accept the key {tmp_path / 'stranger'} for the user {sshd.user}" in status.message


def test_keys_that_are_not_used(url, auth, client_key, make_source, tmp_path):
    def said(key):
        return (
            make_source(url, auth=SourceAuth(ssh_key_file=key, known_hosts_file=auth.known_hosts_file)).fetch().message
        )

    loose = tmp_path / "loose"
    shutil.copy(client_key, loose)
    loose.chmod(0o640)
    assert f"open to other users; run: chmod 600 {loose}" in said(loose)
    shutil.copy(client_key, tmp_path / "locked")
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", tmp_path / "locked"], check=True)
    assert "passphrase" in said(tmp_path / "locked")
    assert "cannot be read" in said(tmp_path / "none")
    (tmp_path / "nonsense").write_text("not a key\n")
    (tmp_path / "nonsense").chmod(0o600)
    assert "key" in said(tmp_path / "nonsense")


def test_what_the_server_says(auth, sshd, make_source, repositories):
    status = make_source(sshd.url(repositories / "none.git"), auth=auth).fetch()
    assert status.state == SourceState.UNREACHABLE
    assert "does not appear to be a git repository" in status.message


def test_nothing_listens(auth, sshd, make_source):
    status = make_source(f"ssh://{sshd.user}@127.0.0.1:1/x.git", auth=auth).fetch()
    assert "Connection refused" in status.message


def test_both_files_must_be_named(auth, sshd, client_key, make_source):
    for given in (SourceAuth(), SourceAuth(ssh_key_file=client_key)):
        with pytest.raises(SourceError, match=r"needs auth\.sshKeyFile .* and auth\.knownHostsFile"):
            make_source("git@127.0.0.1:x.git", auth=given)
    gone = SourceAuth(ssh_key_file=client_key, known_hosts_file=auth.known_hosts_file.with_name("none"))
    assert "knownHostsFile" in make_source(sshd.url(client_key), auth=gone).fetch().message
