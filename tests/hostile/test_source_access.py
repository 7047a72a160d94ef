"""Credentials of an image's source reach that source alone, whatever it redirects to; real servers, real TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeexec.libvirt.download import ImportFailedError, download
from reconciler.model.resolved import SourceAccess
from reconciler.model.secret import Secret
from tests.hostile.servers import answer, redirect, self_signed
from tests.hostile.test_import_connections import LIMITS


def fetch(url: str, target: Path, authorities: str = "") -> bytes:
    access = SourceAccess(
        url=Secret(url.encode()),
        headers=(("Authorization", Secret(b"Basic hunter2")), ("X-Token", Secret(b"hunter3"))),
        authorities=authorities,
    )
    download(url, target, access=access, checksum="", limits=LIMITS, keep_going=lambda: None, total=lambda _: None)
    return target.read_bytes()


def test_they_go_to_the_source_and_along_its_own_redirects(serve: Any, tmp_path: Path) -> None:
    server = serve(answer(b"image"))
    assert fetch(server.url(), tmp_path / "part") == b"image"
    assert "Basic hunter2" in str(server.requests)
    assert "hunter3" in str(server.requests)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_other_port_or_host_ever_sees_them(serve: Any, tmp_path: Path, host: str) -> None:
    other = serve(answer(b"image"))
    server = serve(redirect(other.url().replace("127.0.0.1", host)))
    assert fetch(server.url(), tmp_path / "part") == b"image"
    assert "hunter3" in str(server.requests)
    assert other.requests
    assert "hunter" not in str(other.requests)


def test_an_authority_of_its_own_is_trusted_for_this_source(serve: Any, tmp_path: Path) -> None:
    made, context = self_signed(tmp_path)
    authority = made.read_text()
    server = serve(answer(b"image"), tls=context)
    assert fetch(server.url(), tmp_path / "part", authority) == b"image"
    with pytest.raises(ImportFailedError, match="no connection"):
        fetch(server.url(), tmp_path / "part")
    with pytest.raises(ImportFailedError, match="PEM"):
        fetch(server.url(), tmp_path / "part", "no certificate")
