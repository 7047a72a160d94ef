"""Whatever a server does, a look ends within its time and its size, says why, and what was accepted stays."""

from __future__ import annotations

import itertools
import os
import struct
import subprocess
import time
import zlib
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from reconciler.model.revision import SourceState
from reconciler.model.source_spec import SourceAuth
from reconciler.source.limits import SourceLimits
from tests.remotes.broken import band, git_server, honest, in_pack, raw_server

PATIENT = SourceLimits(
    look_timeout_s=50.0, stall_timeout_s=50.0, connect_timeout_s=50.0, fetch_bytes=1_000_000, ref_bytes=100_000
)
QUICK = {
    "took longer": replace(PATIENT, look_timeout_s=1.0),
    "stopped answering": replace(PATIENT, stall_timeout_s=0.7),
    "TLS failed": replace(PATIENT, look_timeout_s=3.0, stall_timeout_s=0.7, connect_timeout_s=0.7),
}
"""By what is to be said: one limit that a slow server meets, and none that a slow machine does."""
ENDS_WITHIN_S = 45.0
"""The server would go on for longer."""


@pytest.fixture
def served(upstream, repositories) -> Path:
    return repositories / upstream.served


def look(make_source, url: str, said: str = "", **changes: object):
    """The status, having ended in time and left nothing behind. ``said`` is what is to be met."""
    limits = next((limits for words, limits in QUICK.items() if words in said), PATIENT)
    source = make_source(url, **{"limits": limits, "timeout_s": 1.5 if "1.5 s allowed" in said else 50.0, **changes})
    begun = time.monotonic()
    status = source.fetch()
    assert time.monotonic() - begun < ENDS_WITHIN_S
    return status


def leftovers(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "state").rglob("*") if "tmp_objdir" in path.name or path.suffix == ".pack"]


def hangs(connection, stop):
    stop.wait(60)


def trickles_headers(connection, stop):
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while not stop.wait(0.1):
        connection.sendall(b"y")


def hangs_up(connection, stop):
    connection.recv(1000)


def speaks_nonsense(connection, stop):
    connection.recv(1000)
    connection.sendall(os.urandom(10_000))


@pytest.mark.parametrize(
    ("conversation", "said"),
    [
        (hangs, "stopped answering"),
        (trickles_headers, "took longer than the 1 s allowed"),
        (hangs_up, "the connection broke"),
        (speaks_nonsense, "the connection broke"),
    ],
)
def test_servers_that_are_none(make_source, conversation, said):
    with raw_server(conversation) as port:
        status = look(make_source, f"http://127.0.0.1:{port}/x.git", said)
    assert status.state == SourceState.UNREACHABLE
    assert said in status.message


@pytest.mark.parametrize("conversation", [hangs, speaks_nonsense])
def test_a_port_without_tls(make_source, conversation):
    with raw_server(conversation) as port:
        status = look(make_source, f"https://127.0.0.1:{port}/x.git", "TLS failed")
    assert status.state == SourceState.UNREACHABLE
    assert "TLS failed" in status.message or "no connection within" in status.message


@pytest.mark.parametrize("conversation", [hangs, speaks_nonsense])
def test_a_port_without_ssh(make_source, conversation, client_key, tmp_path):
    known = tmp_path / "known_hosts"
    known.touch()
    auth = SourceAuth(ssh_key_file=client_key, known_hosts_file=known)
    with raw_server(conversation) as port:
        status = look(make_source, f"ssh://git@127.0.0.1:{port}/x.git", "took longer", auth=auth, timeout_s=1.5)
    assert status.state == SourceState.UNREACHABLE
    assert subprocess.run(["pgrep", "-f", f"ssh .*-p {port} "], capture_output=True).stdout == b""


def endless_refs(answer, write):
    line = b"%s refs/heads/x\n" % (b"1" * 40)
    while True:
        write(b"%04x" % (len(line) + 4) + line)


def trickling_refs(answer, write):
    for byte in itertools.cycle(answer[:40]):
        write(bytes([byte]))
        time.sleep(0.05)


def garbage(answer, write):
    write(b"\x8e" + os.urandom(5000))


@pytest.mark.parametrize(
    ("refs", "said"),
    [
        (endless_refs, "more than the limit of 100000 bytes"),
        (trickling_refs, "took longer than the 1 s allowed"),
        (garbage, "not Git's protocol"),
        (lambda answer, write: write(answer[:30]), "hung up in the middle"),
        (lambda answer, write: None, "hung up in the middle"),
        (lambda answer, write: write(b"0019ERR \x1b[31mgo away\n0000"), "says: \ufffd[31mgo away"),
        (lambda answer, write: write(b"002f" + b"z" * 40 + b" x\n0000"), "is no hash"),
    ],
)
def test_listings(served, make_source, refs, said):
    with git_server(served, refs=refs) as url:
        status = look(make_source, url, said)
    assert status.state == SourceState.UNREACHABLE
    assert said in status.message


def pack_of(*objects: bytes, count: int | None = None) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, len(objects) if count is None else count) + b"".join(objects)
    return body + sha1(body).digest()


def blob_that_says(size: int, data: bytes) -> bytes:
    head, rest = [0x30 | (size & 15)], size >> 4
    while rest:
        head[-1] |= 0x80
        head.append(rest & 0x7F)
        rest >>= 7
    return bytes(head) + zlib.compress(data)


def endless_pack(answer, write):
    write(b"000dpackfile\n" + band(b"PACK" + struct.pack(">II", 2, 1 << 16)))
    while True:
        write(band(blob_that_says(50_000, os.urandom(50_000))))


def keep_alive_for_ever(answer, write):
    write(b"000dpackfile\n")
    while True:
        write(band(b""))
        time.sleep(0.02)


def progress_for_ever(answer, write):
    write(b"000dpackfile\n")
    while True:
        write(band(b"counting " * 1000, 2))


def bomb(answer, write):
    """A megabyte of zeros, packed into a kilobyte, 50 times; and an object that claims four gigabytes."""
    zeros = blob_that_says(1 << 20, bytes(1 << 20))
    write(in_pack(pack_of(*[zeros] * 50, blob_that_says(1 << 32, b"x"))))


def claim(answer, write):
    write(in_pack(b"PACK" + struct.pack(">II", 2, 1 << 30) + bytes(100)))


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        (lambda answer, write: write(answer[: len(answer) // 2]), "hung up in the middle"),
        (
            lambda answer, write: write(in_pack(b"PACK" + bytes(300))),
            "the pack that it sent is refused (pack version 0",
        ),
        (lambda answer, write: write(in_pack(os.urandom(300))), "the pack that it sent is refused (pack signature"),
        (lambda answer, write: write(in_pack(b"")), "the pack that it sent is refused"),
        (lambda answer, write: write(in_pack(pack_of(count=3))), "the pack that it sent is refused"),
        (lambda answer, write: write(b"000dpackfile\n" + band(b"out of memory", 3)), "says: out of memory"),
        (lambda answer, write: write(b"0000"), "answered without a pack"),
        (garbage, "not Git's protocol"),
        (endless_pack, "more than the limit of 1000000 bytes"),
        (progress_for_ever, "more than the limit of 1000000 bytes"),
        (keep_alive_for_ever, "took longer than the 1.5 s allowed"),
        (bomb, "is refused"),
        (claim, "is refused (Out of memory"),
    ],
)
def test_packs(served, make_source, pack, said, tmp_path):
    with git_server(served, pack=pack) as url:
        status = look(make_source, url, said)
    assert status.state == SourceState.UNREACHABLE
    assert said in status.message
    assert leftovers(tmp_path) == []


def test_a_pack_that_lacks_what_it_speaks_of_is_not_stored(served, upstream, make_source, tmp_path):
    listed = upstream.git("rev-list", "--objects", "main").splitlines()
    kept = [line for line in listed if "vms/web.yaml" not in line]
    packed = subprocess.run(
        ["git", "-C", upstream.path, "pack-objects", "--stdout", "-q"],
        input="\n".join(line.split()[0] for line in kept).encode(),
        capture_output=True,
        check=True,
    ).stdout
    with git_server(served, pack=lambda answer, write: write(in_pack(packed))) as url:
        status = look(make_source, url)
        assert status.state == SourceState.UNREACHABLE
        assert "is refused" in status.message
        assert leftovers(tmp_path) == []
    with git_server(served, pack=lambda answer, write: write(in_pack(pack_of(blob_that_says(1, b"x"))))) as url:
        other = look(make_source, url)
        assert "did not send" in other.message


def test_what_was_accepted_outlives_a_server_that_turns_bad(served, upstream, make_source, tmp_path):
    answers = iter([honest, garbage])

    def turns_bad(answer, write):
        next(answers)(answer, write)

    with git_server(served, pack=turns_bad) as url:
        source = make_source(url, limits=PATIENT)
        kept = source.fetch().head
        upstream.commit({"vms/web.yaml": "b: 2\n"})
        upstream.git("push", "-q", "origin", "main")
        status = source.fetch()
        assert status.state == SourceState.UNREACHABLE
        assert f"{kept[:12]} stays enforced" in status.message
        assert source.accepted().revision.commit == kept
