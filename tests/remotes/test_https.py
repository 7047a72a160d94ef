"""Following a repository behind a real web server."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from reconciler.model.errors import SourceError
from reconciler.model.follow import Follow, FollowKind
from reconciler.model.revision import SourceState
from reconciler.model.source_spec import SourceAuth
from tests.remotes.authority import Authority
from tests.remotes.broken import raw_server
from tests.remotes.web import PASSWORD, TOKEN, USER


def secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


def test_https_with_an_authority_of_our_own(upstream, web, make_source):
    source = make_source(web.url("open", upstream.served))
    first = source.fetch()
    assert first.state == SourceState.READY, first.message
    assert first.head == upstream.git("rev-parse", "main")
    assert source.read_blob(source.accepted().files["vms/web.yaml"]) == b"kind: VirtualMachine\n"
    second = upstream.commit({"vms/db.yaml": "kind: Other\n"})
    upstream.git("push", "-q", "origin", "main")
    assert source.fetch().head == second
    assert set(source.accepted().files) == {"vms/db.yaml", "vms/web.yaml"}


def test_an_idle_look_is_one_request_on_a_kept_connection(upstream, web, make_source):
    source = make_source(web.url("open", upstream.served))
    source.fetch()
    before = len(web.requests())
    for _ in range(3):
        assert source.fetch().state == SourceState.READY
    assert web.requests()[before:] == [f"POST /open/{upstream.served}/git-upload-pack HTTP/1.1"] * 3


def test_a_fetch_brings_only_what_is_new(upstream, web, make_source, tmp_path):
    upstream.commit({f"bulk/{number}": os.urandom(2000).hex() for number in range(200)})
    upstream.git("push", "-q", "origin", "main")
    source = make_source(web.url("open", upstream.served))
    source.fetch()
    packs = next((tmp_path / "state/source").glob("*.mirror-*")) / "objects/pack"
    known = set(packs.glob("*.pack"))
    upstream.commit({"vms/web.yaml": "kind: Other\n"})
    upstream.git("push", "-q", "origin", "main")
    assert source.fetch().state == SourceState.READY
    (fresh,) = set(packs.glob("*.pack")) - known
    assert fresh.stat().st_size < 4000
    assert not list(packs.parent.glob("tmp_objdir*"))


def test_a_server_of_protocol_version_0(upstream, web, make_source):
    upstream.git("tag", "-a", "-m", "one", "v1.0.0")
    upstream.git("push", "-q", "origin", "v1.0.0")
    source = make_source(web.url("old", upstream.served))
    assert source.fetch().state == SourceState.READY
    commit = upstream.commit({"vms/web.yaml": "kind: Other\n"})
    upstream.git("push", "-q", "origin", "main")
    assert source.fetch().head == commit
    tagged = make_source(web.url("old", upstream.served), follow=Follow(kind=FollowKind.SEMVER, name="1.x"))
    assert tagged.fetch().head == upstream.git("rev-parse", "v1.0.0^{commit}")


def test_basic_credentials(upstream, web, make_source, tmp_path):
    url = web.url("basic", upstream.served)
    none = make_source(url).fetch()
    assert none.state == SourceState.UNREACHABLE
    assert "asks for credentials (401): set auth.tokenFile" in none.message
    file = secret(tmp_path / "password", "wrong")
    source = make_source(url, auth=SourceAuth(username=USER, password_file=file))
    wrong = source.fetch()
    assert f"does not accept the credentials in {file} (401)" in wrong.message
    secret(file, PASSWORD)
    assert source.fetch().state == SourceState.READY, "the file is read at each use"


def test_a_token_goes_the_way_the_server_asks_for(upstream, web, make_source, tmp_path):
    as_password = SourceAuth(username=USER, token_file=secret(tmp_path / "password", PASSWORD))
    assert make_source(web.url("basic", upstream.served), auth=as_password).fetch().state == SourceState.READY
    bearer = SourceAuth(token_file=secret(tmp_path / "token", TOKEN))
    source = make_source(web.url("bearer", upstream.served), auth=bearer)
    for _ in range(2):
        assert source.fetch().state == SourceState.READY
    wrong = SourceAuth(token_file=secret(tmp_path / "other", "nonsense"))
    assert "does not accept" in make_source(web.url("bearer", upstream.served), auth=wrong).fetch().message


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (PASSWORD, 0o644, "is open to other users; run: chmod 600"),
        (PASSWORD, 0o620, "is open to other users"),
        ("two\nlines", 0o600, "must hold one line of text"),
        ("", 0o600, "must hold one line of text"),
        (None, 0, "cannot be read"),
    ],
)
def test_secret_files_that_are_not_used(upstream, web, make_source, tmp_path, content, mode, said):
    file = tmp_path / "password"
    if content is not None:
        secret(file, content, mode)
    status = make_source(web.url("basic", upstream.served), auth=SourceAuth(username=USER, password_file=file)).fetch()
    assert status.state == SourceState.UNREACHABLE
    assert said in status.message
    assert PASSWORD not in status.message
    assert "two" not in status.message


def test_certificates_are_checked(upstream, web, make_source, place):
    url = web.url("open", upstream.served)
    unknown = make_source(url, ca_file=None).fetch()
    assert unknown.state == SourceState.UNREACHABLE
    assert "its certificate is not trusted" in unknown.message
    assert "set caFile to the authority that signed it" in unknown.message
    other = Authority(place, "another-authority")
    assert f"caFile {other.certificate} does not hold" in make_source(url, ca_file=other.certificate).fetch().message
    empty = place / "empty.pem"
    empty.write_text("nothing\n")
    assert "holds no certificates" in make_source(url, ca_file=empty).fetch().message
    assert "cannot be read" in make_source(url, ca_file=place / "none.pem").fetch().message


def test_a_changed_ca_file_is_used_at_once(upstream, web, make_source, authority, tmp_path, place):
    file = tmp_path / "ca.pem"
    file.write_bytes(Authority(place, "old-authority").certificate.read_bytes())
    source = make_source(web.url("open", upstream.served), ca_file=file)
    assert source.fetch().state == SourceState.UNREACHABLE
    file.write_bytes(authority.certificate.read_bytes())
    assert source.fetch().state == SourceState.READY


def test_a_certificate_for_another_host(authority, make_source):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("elsewhere", "git.example.org"))

    def shake_hands(connection, stop):
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    with raw_server(shake_hands) as port:
        message = make_source(f"https://127.0.0.1:{port}/x.git").fetch().message
    assert "its certificate is not trusted (IP address mismatch" in message
    assert "or the name or date is wrong" in message


def test_through_a_proxy(upstream, web, proxy, make_source, tmp_path):
    auth = SourceAuth(username=USER, password_file=secret(tmp_path / "password", PASSWORD))
    source = make_source(web.url("basic", upstream.served), proxy=proxy.url, auth=auth)
    assert source.fetch().state == SourceState.READY
    assert f"CONNECT 127.0.0.1:{web.https_port}" in proxy.log()
    assert PASSWORD not in proxy.log()
    refused = make_source(f"https://127.0.0.1:1/{upstream.served}", proxy=proxy.url).fetch()
    assert f"the proxy {proxy.url} refuses" in refused.message
    gone = make_source(web.url("open", upstream.served), proxy="http://127.0.0.1:1").fetch()
    assert "through the proxy http://127.0.0.1:1" in gone.message


def test_the_environment_s_proxy_is_not_asked(upstream, web, make_source, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert make_source(web.url("open", upstream.served)).fetch().state == SourceState.READY


def test_redirects_stay_on_the_host(upstream, web, make_source, tmp_path):
    moved = make_source(web.url("moved", upstream.served))
    assert moved.fetch().state == SourceState.READY
    auth = SourceAuth(username=USER, password_file=secret(tmp_path / "password", PASSWORD))
    before = len(web.requests())
    away = make_source(web.url("away", upstream.served), auth=auth).fetch()
    assert away.state == SourceState.UNREACHABLE
    assert "it redirects to https://localhost/basic/" in away.message
    assert "set url to it" in away.message
    assert all("/away/" in line for line in web.requests()[before:]), "nothing was sent to the other host"
    assert "in circles" in make_source(web.url("loop", upstream.served)).fetch().message


@pytest.mark.parametrize(
    ("place_below", "said"),
    [
        ("page", "it answers, but not as a Git server (text/html)"),
        ("fault", "overloaded (503)"),
        ("open/none", "no such repository"),
    ],
)
def test_answers_that_are_none(upstream, web, make_source, place_below, said):
    status = make_source(web.url(place_below, "vms.git")).fetch()
    assert status.state == SourceState.UNREACHABLE
    assert said in status.message
    assert "Nothing has been accepted yet" in status.message


def test_nothing_listens(make_source):
    assert "nothing listens there (connection refused)" in make_source("https://127.0.0.1:1/x.git").fetch().message
    assert "cannot be resolved" in make_source("https://nowhere.invalid/x.git").fetch().message


def test_plain_http_is_for_loopback_or_where_it_is_allowed(upstream, web, make_source, tmp_path):
    assert make_source(web.plain_url("open", upstream.served)).fetch().state == SourceState.READY
    with pytest.raises(SourceError, match="allowPlainHttp"):
        make_source("http://git.example.org/x.git")
    make_source("http://git.example.org/x.git", allow_plain_http=True)
    auth = SourceAuth(token_file=secret(tmp_path / "token", TOKEN))
    with pytest.raises(SourceError, match="no password or token is sent there"):
        make_source("http://git.example.org/x.git", allow_plain_http=True, auth=auth)
    with pytest.raises(SourceError, match="allowPlainHttp"):
        make_source(web.plain_url("open", upstream.served), proxy="http://proxy.example.org:3128")


def test_a_tag_a_range_and_a_commit(upstream, web, make_source):
    first = upstream.git("rev-parse", "main")
    upstream.git("tag", "v1.1.0")
    second = upstream.commit({"vms/web.yaml": "b: 2\n"})
    upstream.git("tag", "-a", "-m", "annotated", "v1.2.0")
    third = upstream.commit({"vms/web.yaml": "c: 3\n"})
    upstream.git("push", "-q", "--tags", "origin", "main")
    url = web.url("open", upstream.served)
    assert make_source(url, follow=Follow(kind=FollowKind.TAG, name="v1.1.0")).fetch().head == first
    assert make_source(url, follow=Follow(kind=FollowKind.TAG, name="v1.2.0")).fetch().head == second
    assert make_source(url, follow=Follow(kind=FollowKind.SEMVER, name="^1.1")).fetch().head == second
    pinned = make_source(url, follow=Follow(kind=FollowKind.COMMIT, name=second))
    assert pinned.fetch().head == second
    again = make_source(url, follow=Follow(kind=FollowKind.COMMIT, name=first))
    assert again.accepted().revision.commit == second
    status = again.fetch()
    assert (status.state, status.head, status.message) == (SourceState.READY, first, "")
    missing = make_source(url, follow=Follow(kind=FollowKind.COMMIT, name="ab" * 20)).fetch()
    assert missing.state == SourceState.REF_MISSING
    assert "not our ref" in missing.message
    gone = make_source(url, follow=Follow(name="trunk")).fetch()
    assert gone.state == SourceState.REF_MISSING
    assert "(it has main)" in gone.message
    assert third not in gone.message


def test_a_repository_without_a_commit(repositories, web, make_source, upstream):
    upstream.git("init", "-q", "--bare", "../empty.git")
    for where in ("open", "old"):
        status = make_source(web.url(where, "empty.git")).fetch()
        assert status.state == SourceState.EMPTY
        assert "no commit yet" in status.message


def test_a_rewritten_branch_is_refused(upstream, web, make_source):
    source = make_source(web.url("open", upstream.served))
    kept = source.fetch().head
    upstream.git("commit", "-q", "--amend", "-m", "rewritten")
    upstream.git("push", "-q", "--force", "origin", "main")
    assert source.fetch().state == SourceState.REWRITTEN
    assert source.accepted().revision.commit == kept
