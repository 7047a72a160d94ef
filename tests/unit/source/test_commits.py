"""A commit's facts, whatever bytes it was made of."""

from __future__ import annotations

from collections.abc import Iterator

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pygit2.enums import ObjectType

from reconciler.source.commits import approvals_in, revision_of

NASTY = st.sampled_from(
    [
        b"\x1b[31m",
        b"\n",
        b"\r",
        b"\0",
        b"<",
        b">",
        b" ",
        b"\xff\xfe",
        b"Gitvirt-Approve: abc",
        b"\n\n",
        b"\xe2\x80\xae",
        b"a",
    ]
)
BYTES = st.lists(st.one_of(NASTY, st.binary(max_size=8)), max_size=6).map(b"".join)
NAME = BYTES.map(lambda data: data.translate(None, b"\n<>\0"))
ENCODING = st.one_of(
    st.sampled_from([b"", b"utf-8", b"latin1", b"punycode", b"idna", b"utf-16", b"utf-7", b"hex", b"rot13", b"unicode_escape",
                     b"big5", b"../../x", b"undefined", b"cp65001", b"koi8-r"]),
    st.binary(max_size=12).map(lambda data: data.translate(None, b"\n")),
)  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pygit2.Repository]:
    yield pygit2.init_repository(str(tmp_path_factory.mktemp("commits")), bare=True)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAME, email=NAME, message=BYTES, encoding=ENCODING, seconds=st.integers(-(2**40), 2**62))
def test_no_bytes_are_too_odd(repository, name, email, message, encoding, seconds):
    tree = repository.TreeBuilder().write()
    who = name + b" <" + email + b"> " + str(seconds).encode() + b" +0000"
    header = b"encoding " + encoding + b"\n" if encoding else b""
    raw = f"tree {tree}\n".encode() + b"author " + who + b"\ncommitter " + who + b"\n" + header + b"\n" + message
    try:
        commit = repository[repository.odb.write(ObjectType.COMMIT, raw)].peel(pygit2.Commit)
    except (pygit2.GitError, ValueError):
        return  # What libgit2 does not take for a commit never becomes a revision.
    found = revision_of(commit)
    for text in (found.author, found.email, found.subject):
        assert len(text) <= 1000
        assert "\n" not in found.subject
    assert found.commit == str(commit.id)
    assert all(len(approval) <= 128 for approval in found.approvals)


@pytest.mark.parametrize(
    ("message", "approvals"),
    [
        ("subject\n\nGitvirt-Approve: abc\n", ("abc",)),
        ("subject\n\nbody\n\nSigned-off-by: x\ngitvirt-approve: abc\nGitvirt-Approve: def\n", ("abc", "def")),
        ("Gitvirt-Approve: abc\n", ()),
        ("subject\n\nGitvirt-Approve: abc\n\nmore\n", ()),
        ("subject\n\n Gitvirt-Approve: abc\n", ()),
        ("subject\n\nGitvirt-Approve: a b\n", ()),
        ("subject\n\nGitvirt-Approve: abc\u2028\n", ("abc",)),
        ("subject\r\n\r\nGitvirt-Approve: abc\r\n", ("abc",)),
    ],
)
def test_approvals_are_lines_of_the_last_paragraph(message, approvals):
    assert approvals_in(message) == approvals
