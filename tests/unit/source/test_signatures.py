"""What the programs' answers mean, without the programs."""

from __future__ import annotations

import base64
import contextlib
import textwrap
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.source.signatures import (
    GOOD,
    Format,
    binary_signature,
    openpgp_verdict,
    signed_commit,
    signed_tag,
    ssh_fingerprint,
    ssh_verdict,
    tag_names,
)

VALID = "[GNUPG:] VALIDSIG FPR 2026-01-01 1 0 4 0 22 8 00 FPR"
GOODSIG = "[GNUPG:] GOODSIG KEY Ada <ada@example.org>"
NEW = "[GNUPG:] NEWSIG"


def verdict(*lines: str, code: int = 0):
    return openpgp_verdict(code, "\n".join(lines).encode(), "/keys")


def test_one_good_signature_counts():
    assert verdict(NEW, GOODSIG, VALID) == GOOD


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (GOODSIG,),
        (NEW, GOODSIG),
        (NEW, VALID),
        (NEW, GOODSIG, VALID, NEW, GOODSIG, VALID),
        (NEW, NEW, GOODSIG, VALID),
        (NEW, GOODSIG, VALID, "[GNUPG:] BADSIG KEY x"),
        (NEW, GOODSIG, VALID, "[GNUPG:] ERRSIG KEY 22 8 00 1 9 FPR"),
        (NEW, GOODSIG, VALID, "[GNUPG:] ERRSIG KEY"),
        (NEW, GOODSIG, VALID, "[GNUPG:] EXPSIG KEY x"),
        (NEW, "[GNUPG:] EXPKEYSIG KEY x", VALID),
        (NEW, "[GNUPG:] REVKEYSIG KEY x", VALID),
        (NEW, GOODSIG, VALID.replace(" 00 ", " 10 ")),
        (NEW, GOODSIG, "[GNUPG:] VALIDSIG FPR"),
        (NEW, f"gpgv: {GOODSIG}", VALID),
    ],
)
def test_nothing_else_does(lines):
    assert verdict(*lines).fault


def test_a_good_answer_with_a_bad_exit_code_does_not_count():
    assert verdict(NEW, GOODSIG, VALID, code=1).fault
    assert ssh_verdict(255, b"Good signature", b"", "/signers").fault


@given(st.binary(max_size=300), st.integers(0, 3))
def test_no_noise_is_a_good_answer(status, code):
    assert openpgp_verdict(code, status, "/keys").fault


@given(
    st.lists(st.sampled_from([b"tree 1", b"parent 2", b"author A", b"encoding x", b" continued"]), min_size=1),
    st.binary(max_size=80),
    st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b), min_size=1, max_size=4),
)
def test_a_signature_header_is_taken_out_and_nothing_else(headers, body, signature):
    raw = b"\n".join(headers) + b"\n\n" + body
    assert signed_commit(raw).payload == raw
    assert signed_commit(raw).format is Format.NONE
    header = b"gpgsig " + b"\n ".join(signature)
    taken = signed_commit(b"\n".join([*headers, header]) + b"\n\n" + body)
    assert taken.payload == raw
    assert taken.signature == b"\n".join(signature) + b"\n"


@given(st.binary(max_size=400))
def test_any_bytes_can_be_taken_apart(raw):
    taken = signed_tag(raw)
    assert taken.payload + taken.signature == raw
    ssh_fingerprint(raw)
    try:
        signed_commit(raw)
    except ValueError as fault:
        assert "more than one" in str(fault)


def test_a_tag_names_one_commit_and_itself():
    payload = b"object abc\ntype commit\ntag v1\ntagger A <a> 1 +0000\n\nwords\ntag v2\n"
    assert tag_names(payload, commit="abc", name="v1")
    for commit, name in (("abc", "v2"), ("abd", "v1"), ("abc", "v1\ntagger"), ("", "")):
        assert not tag_names(payload, commit=commit, name=name)
    assert not tag_names(payload.replace(b"type commit", b"type tag"), commit="abc", name="v1")


def armored(data: bytes, headers: bytes = b"") -> bytes:
    body = b"\n".join(
        textwrap.wrap(base64.b64encode(data).decode(), 64)[i].encode() for i in range(-(-len(data) // 48))
    )
    return b"-----BEGIN PGP SIGNATURE-----\n" + headers + b"\n" + body + b"\n=AAAA\n-----END PGP SIGNATURE-----\n"


@pytest.mark.parametrize(
    "packet",
    [
        b"\x88\x05hello",
        b"\x89\x00\x05hello",
        b"\x8a\x00\x00\x00\x05hello",
        b"\xc2\x05hello",
        b"\xc2\xc0\x00" + b"x" * 192,
        b"\xc2\xff\x00\x00\x00\x05hello",
    ],
)
def test_one_signature_packet_is_taken_as_it_is(packet):
    assert binary_signature(armored(packet)) == packet
    assert binary_signature(armored(packet, b"Version: GnuPG v1\nComment: x\n")) == packet
    for broken in (packet + b"x", packet[:-1], packet * 2, packet + b"\xa3\x01"):
        with pytest.raises(ValueError):
            binary_signature(armored(broken))


@pytest.mark.parametrize(
    "first", [b"\xa3\x01", b"\xc8\x01", b"\x8b", b"\xc2\xe1", b"\xaf", b"\x08\x00", b"\xc2", b"\x88"]
)
def test_packets_that_unpack_or_never_end_are_none(first):
    with pytest.raises(ValueError):
        binary_signature(armored(first + zlib.compress(b"\0" * 100_000)))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data):
    for text in (data, armored(data) if data else b""):
        with contextlib.suppress(ValueError):
            assert binary_signature(text) == data
