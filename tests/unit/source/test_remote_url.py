"""What people write for a repository, and what must never reach a command line or a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.errors import SourceError
from reconciler.source.remote_url import HttpUrl, LocalUrl, SshUrl, parse_url


def ssh(user: str, host: str, port: int, path: str) -> tuple[str, str, int, str]:
    return user, host, port, path


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("git@host:team/vms.git", ssh("git", "host", 22, "team/vms.git")),
        ("git@host:~ada/vms.git", ssh("git", "host", 22, "~ada/vms.git")),
        ("git@[::1]:vms.git", ssh("git", "::1", 22, "vms.git")),
        ("ssh://git@host/srv/vms.git", ssh("git", "host", 22, "/srv/vms.git")),
        ("ssh://git@host:2222/srv/my%20vms.git", ssh("git", "host", 2222, "/srv/my vms.git")),
        ("ssh://git@host/~ada/vms.git", ssh("git", "host", 22, "~ada/vms.git")),
        ("ssh://git@[::1]:2222/x", ssh("git", "::1", 2222, "/x")),
    ],
)
def test_ssh(text: str, parts: tuple[str, str, int, str]) -> None:
    url = parse_url(text)
    assert isinstance(url, SshUrl)
    assert (url.user, url.host, url.port, url.path) == parts
    assert "git@" in url.shown


@pytest.mark.parametrize(
    ("text", "shown", "is_plain"),
    [
        ("https://host/team/vms.git/", "https://host/team/vms.git", False),
        ("https://HOST:8443/x", "https://host:8443/x", False),
        ("http://[::1]:80/x", "http://[::1]:80/x", True),
    ],
)
def test_http(text: str, shown: str, is_plain: bool) -> None:
    url = parse_url(text)
    assert isinstance(url, HttpUrl)
    assert (url.url, url.is_plain) == (shown, is_plain)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:name").mkdir()
    for text, path in (
        ("/srv/x.git", Path("/srv/x.git")),
        ("file:///srv/my%20x.git", Path("/srv/my x.git")),
        ("vms", tmp_path / "vms"),
        ("odd:name", tmp_path / "odd:name"),
        ("./a:b", tmp_path / "a:b"),
    ):
        assert parse_url(text) == LocalUrl(path=path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://",
        "https://host",
        "https://host/",
        "https://host/x?token=s3cret",
        "https://host/x#s3cret",
        "https://s3cret@host/x",
        "https://me:s3cret@host/x",
        "ssh://git:s3cret@host/x",
        "https://host:port/x",
        "https://host:99999/x",
        "git://host/x",
        "ftp://host/x",
        "ext::sh -c touch% /tmp/pwned",
        "file://host/x",
        "host:x.git",
        "ssh://host/x",
        "-oProxyCommand=id@host:x",
        "git@-oProxyCommand=id:x",
        "ssh://-oProxyCommand=id@host/x",
        "ssh://git@-oProxyCommand=id/x",
        "git@ho st:x",
        "git@host$(id):x",
        "ssh://git@host/a%0ab",
        "https://host/a\nb",
    ],
)
def test_what_is_refused_shows_no_secret(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_url(text)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
