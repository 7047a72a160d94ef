"""Console output made fit for a terminal, whatever the guest writes and however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.console_text import ConsoleText
from reconciler.model.plain_text import is_plain


def shown(*pieces: bytes) -> str:
    console = ConsoleText()
    return "".join([*(console.feed(piece) for piece in pieces), console.end()])


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b"\x1b[0;32m  OK  \x1b[0m\r\n", "  OK  \n"),
        (b"\x1b[2J\x1b[1;1Hlogin: ", "login: "),
        (b"\x1b]0;title\x07a\x1b]2;x\x1b\\b", "ab"),
        (b"\x1b(B\x1b7a\x1b8\x1bcb", "ab"),
        (b"10%\r20%\r\r\nend", "10%\n20%\nend"),
        ("grüße\t\u202eevil".encode(), "grüße\t\ufffdevil"),
        (b"\xff\xfe\x00\x08\x07x", "\ufffd\ufffdx"),
        (b"lone \x1b", "lone "),
    ],
)
def test_what_is_shown(written: bytes, text: str) -> None:
    assert shown(written) == text
    assert shown(*(bytes([byte]) for byte in written)) == text


ODD = st.lists(
    st.one_of(st.binary(max_size=8), st.sampled_from([b"\x1b", b"\x1b[", b"\x1b]0;", b"\x07", b"\r", b"\n", b"31m"])),
    max_size=30,
)


@given(ODD)
def test_nothing_unsafe_comes_through(pieces: list[bytes]) -> None:
    assert is_plain(shown(*pieces).replace("\n", "").replace("\t", ""))


def test_a_sequence_without_end_is_not_waited_for_for_ever() -> None:
    console = ConsoleText()
    told = "".join(console.feed(b"\x1b]0;" + b"x" * 1000) for _ in range(20))
    assert "xxx" in told
