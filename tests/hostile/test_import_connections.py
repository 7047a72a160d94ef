"""Where imports may go and how long a server may keep them: each lie ends in a clear reason within fixed time."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import socket
import time
import zlib
from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from nodeexec.libvirt import guarded_transport
from nodeexec.libvirt.download import ImportFailedError, download, unpack
from nodeexec.libvirt.import_addresses import ImportAddresses
from nodeexec.libvirt.import_turns import ImportTurns
from nodeexec.libvirt.settings import ImportLimits
from reconciler.model.keys import ObjectKey
from tests.hostile.servers import Talk, answer, endless, redirect, self_signed, trickle

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
LIMITS = ImportLimits(
    addresses=ImportAddresses(allowed=LOOPBACK), connect_timeout_s=20.0, stall_timeout_s=20.0, min_rate_bytes_s=1000
)
IMPATIENT = replace(LIMITS, stall_timeout_s=0.5, min_rate_bytes_s=0)
"""For a server that is silent: of another one, a machine that is busy would make one."""
TRICKLES = "bytes a second are expected"
FASTER = 50
"""Seconds of patience that pass in one, for a server that trickles: it may be late, as long as it is not silent."""


def refusal(
    url: str, target: Path, *, limits: ImportLimits = LIMITS, checksum: str = "", within_s: float = 60.0
) -> str:
    """Why the import fails; it has to, in time."""
    begun = time.monotonic()
    with pytest.raises(ImportFailedError) as caught:
        download(url, target, checksum=checksum, limits=limits, keep_going=lambda: None, total=lambda _: None)
    assert time.monotonic() - begun < within_s
    return str(caught.value)


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "multicast or broadcast"),
        ("240.0.0.1", "reserved"),
        ("10.1.2.3", ""),
        ("192.168.1.1", ""),
        ("fd12::1", ""),
        ("93.184.216.34", ""),
        ("2001:db8::1", ""),
    ],
)
def test_what_is_never_asked_for(address: str, word: str) -> None:
    why = ImportAddresses().why_not(ip_address(address))
    assert (word in why) if word else why == ""


def test_what_is_allowed_outranks_what_is_denied() -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    closed = ImportAddresses(denied=everything, allowed=(ip_network("10.1.0.0/16"),), allowed_hosts=("*.example.org",))
    assert closed.why_not(ip_address("10.1.2.3")) == ""
    assert "deniedAddresses" in closed.why_not(ip_address("10.2.2.3"))
    assert "deniedAddresses" in closed.why_not(ip_address("::ffff:10.2.2.3"))
    assert closed.trusts("Images.Example.org.")
    assert not closed.trusts("example.org.evil.net")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]"])
def test_every_spelling_of_loopback_is_refused_before_a_connection(host: str, serve: Any, tmp_path: Path) -> None:
    server = serve(answer(b"x"))
    said = refusal(server.url(host=host), tmp_path / "part", limits=ImportLimits())
    assert (
        "is a loopback address; allow it in the settings (imports.allowedAddresses" in said
    ) or "cannot be read" in said
    assert server.requests == []


def test_the_hosts_own_addresses_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no route, so no address but loopback")
        own = probe.getsockname()[0]
    assert guarded_transport.is_own(ip_address(own))
    assert "this host itself" in refusal(f"http://{own}:1/x", tmp_path / "part", limits=ImportLimits())


def test_a_redirect_is_checked_like_the_first_request(serve: Any, tmp_path: Path) -> None:
    inside = serve(answer(b"secret"), address="127.0.0.2")
    outside = serve(redirect(f"http://127.0.0.2:{inside.port}/latest/meta-data"))
    only_first = replace(LIMITS, addresses=ImportAddresses(allowed=(ip_network("127.0.0.1/32"),)))
    assert "loopback" in refusal(outside.url(), tmp_path / "part", limits=only_first)
    assert inside.requests == []


def test_a_name_is_resolved_once_and_all_its_addresses_count(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently each time (rebinding) gets no second question."""
    server = serve(answer(b"x" * 512))
    asked: list[str] = []
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    system = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *arguments: Any, **more: Any) -> list[Any]:
        if host != "images.example":
            return system(host, port, *arguments, **more)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answers[len(asked) - 1]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = f"http://images.example:{server.port}/x"
    download(url, tmp_path / "part", checksum="", limits=LIMITS, keep_going=lambda: None, total=lambda _: None)
    assert asked == ["images.example"]
    assert "metadata" in refusal(url, tmp_path / "part", limits=LIMITS)
    answers.append(["127.0.0.1", "169.254.169.254"])
    assert "metadata" in refusal(url, tmp_path / "part", limits=LIMITS)
    assert len(server.requests) == 1


def test_proxies_of_the_environment_are_not_used(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(answer(b"from the proxy")), serve(answer(b"from the server"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    download(server.url(), tmp_path / "part", checksum="", limits=LIMITS, keep_going=lambda: None, total=lambda _: None)
    assert (tmp_path / "part").read_bytes() == b"from the server"
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (redirect("/again"), "too many redirects"),
        (redirect("file:///etc/shadow"), "redirect to file"),
        (redirect("gopher://127.0.0.1/x"), "redirect to gopher"),
        (answer(b"short", length=500), "ended early"),
        (answer(b"", length=1 << 60), "at most"),
        (answer(b"x", "Content-Length: 9"), "no HTTP"),
        (answer(b"x", length=-1, status="500 \x1b[31mno\r\nX: y"), "answered 500"),
        (answer(b"x", "X: " + "y" * 300_000), "no HTTP"),
        (endless(), "sent more than"),
        (trickle(0.02), TRICKLES),
        (trickle(0.02, head=b"HTTP/1.1 200 OK\r\nX-Slow: "), TRICKLES),
        (trickle(9.0), "did not answer in time"),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP"),
        (lambda connection: None, "no HTTP"),
    ],
    ids=[
        "redirects in a circle", "redirect to a file", "redirect to gopher", "body ends early", "absurd length",
        "two lengths", "hostile reason", "endless header", "endless body", "trickling body", "trickling head",
        "silence", "not a web server", "nothing",
    ],
)  # fmt: skip
def test_a_lying_server_ends_in_a_reason(
    talk: Talk, said: str, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(talk)
    if said == TRICKLES:
        hurried = partial(guarded_transport.PacedStream, clock=lambda: FASTER * time.monotonic())
        monkeypatch.setattr(guarded_transport, "PacedStream", hurried)
    limits = IMPATIENT if said == "did not answer in time" else LIMITS
    told = refusal(server.url(), tmp_path / "part", limits=replace(limits, max_download_bytes=1 << 22))
    assert said in told
    assert "\x1b" not in told


def test_https_is_not_left_for_http(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, context = self_signed(tmp_path)
    plain = serve(answer(b"plain"))
    secure = serve(redirect(plain.url()), tls=context)
    assert "no connection" in refusal(secure.url(), tmp_path / "part")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert "redirect to http is not followed" in refusal(secure.url(), tmp_path / "part")
    assert plain.requests == []
    secure.talk = answer(b"over TLS")
    download(secure.url(), tmp_path / "part", checksum="", limits=LIMITS, keep_going=lambda: None, total=lambda _: None)
    assert (tmp_path / "part").read_bytes() == b"over TLS"


def test_a_wrong_checksum_names_the_right_one_and_no_credentials(serve: Any, tmp_path: Path) -> None:
    server = serve(answer(b"not what was promised"))
    url = server.url().replace("//", "//user:sesame@") + "?token=sesame"
    said = refusal(url, tmp_path / "part", checksum="sha256:" + "0" * 64)
    assert hashlib.sha256(b"not what was promised").hexdigest() in said
    assert "sesame" not in said


@pytest.mark.parametrize("pack", [gzip.compress, partial(lzma.compress, preset=0)], ids=["gz", "xz"])
def test_a_bomb_is_unpacked_no_further_than_the_claim_is_large(pack: Any, tmp_path: Path) -> None:
    packed = tmp_path / "part"
    packed.write_bytes(pack(bytes(90 << 20)))
    assert packed.stat().st_size < 1 << 20
    limits = ImportLimits().for_disk(16 << 20)
    assert limits.max_content_bytes < 90 << 20
    with pytest.raises(ImportFailedError, match="unpacks to more than"):
        unpack(packed, tmp_path / "image", limits=limits, keep_going=lambda: None)
    assert (tmp_path / "image").stat().st_blocks * 512 < 1 << 20


def test_an_xz_stream_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "part"
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(b"x" * 1000, filters=filters))
    # The dictionary's size is one byte of the block header; 40 stands for 4 GiB. Its checksum is made anew.
    at = data.index(b"\x21\x01", 12) + 2
    data[at] = 40
    length = (data[12] + 1) * 4
    data[12 + length - 4 : 12 + length] = zlib.crc32(bytes(data[12 : 12 + length - 4])).to_bytes(4, "little")
    packed.write_bytes(data)
    with pytest.raises(ImportFailedError, match="damaged or lies"):
        unpack(packed, tmp_path / "image", limits=ImportLimits(), keep_going=lambda: None)


def test_a_slow_server_takes_no_more_than_its_places() -> None:
    called: list[ObjectKey] = []
    turns = ImportTurns(3, 2, called.append)
    keys = [ObjectKey("DataVolume", "a", f"d{number}") for number in range(6)]
    assert turns.take(keys[0], "slow")
    assert turns.take(keys[1], "slow")
    assert not turns.take(keys[2], "slow")
    assert turns.take(keys[3], "good")
    assert not turns.take(keys[4], "good")
    assert not turns.take(keys[5], "")
    assert turns.waits(keys[2])
    turns.leave("good")
    assert called == [keys[4]]
    assert turns.take(keys[4], "good")
    turns.forget(keys[5])
    turns.leave("slow")
    assert called == [keys[4], keys[2]]
