"""Structure, positions and faults of YAML files."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.manifests.limits import ParseLimits
from reconciler.manifests.strict_yaml import ParsedStream, parse_stream
from reconciler.model.document import Positions


def parse(text: str | bytes, **limits: int) -> ParsedStream:
    data = text.encode() if isinstance(text, str) else text
    return parse_stream(data, "a.yaml", limits=ParseLimits(**limits))


def body(text: str) -> Any:
    """The only document of a text without faults."""
    stream = parse(text)
    assert not stream.problems
    (document,) = stream.documents
    assert not document.problems
    return document.body


def fault(text: str | bytes, **limits: int) -> tuple[str, int, int, str, str]:
    """Code, line, column, message and hint of the only fault."""
    stream = parse(text, **limits)
    found = [*stream.problems, *(one for document in stream.documents for one in document.problems)]
    assert len(found) == 1, found
    (one,) = found
    return one.code, one.place.line, one.place.column, one.message, one.hint


def test_positions_of_keys_values_and_items() -> None:
    text = "# a comment\nspec:\n  list:\n  - a: 1\n    b: 'x'\n  - {c: [2, 3], d: {}}\n  last: |\n    text\n"
    (document,) = parse(text).documents
    positions = Positions(document.marks)
    cases: tuple[tuple[tuple[str | int, ...], tuple[int, int], tuple[int, int]], ...] = (
        (("spec",), (2, 1), (3, 3)),
        (("spec", "list"), (3, 3), (4, 3)),
        (("spec", "list", 0, "b"), (5, 5), (5, 8)),
        (("spec", "list", 1, "c"), (6, 6), (6, 9)),
        (("spec", "list", 1, "d"), (6, 17), (6, 20)),
        (("spec", "last"), (7, 3), (7, 9)),
    )
    for path, key, value in cases:
        assert positions.of(document.body, path, key=True) == key, path
        assert positions.of(document.body, path) == value, path
    assert positions.of(document.body, ("spec", "list", 1, "c", 1)) == (6, 13)
    assert positions.of(document.body, ("spec", "missing")) == (3, 3)


def test_positions_count_characters_not_bytes() -> None:
    (document,) = parse("é: {ü: 'ä', b: 1}\n").documents
    assert Positions(document.marks).of(document.body, ("é", "b")) == (1, 16)


def test_null_values_are_dropped_and_positions_follow() -> None:
    (document,) = parse("a: null\nb: ~\nc: 1\nd:\n- x:\n  z: 2\n").documents
    assert document.body == {"c": 1, "d": [{"z": 2}]}
    assert document.nulls == ("x", "a", "b")
    assert Positions(document.marks).of(document.body, ("c",)) == (3, 4)
    assert Positions(document.marks).of(document.body, ("d", 0, "z")) == (6, 6)


def test_several_documents_and_empty_ones() -> None:
    stream = parse("---\n# nothing\n---\na: 1\n...\n---\n---\nb: 2\n")
    assert [document.body for document in stream.documents] == [{"a": 1}, {"b": 2}]
    assert Positions(stream.documents[1].marks).of({"b": 2}, ("b",)) == (8, 4)


def test_json_is_yaml() -> None:
    assert body('{"a": [1, 2.5, true, "\\u00e9\\/"],\n\t"b": {"c": "yes"}}') == {
        "a": [1, 2.5, True, "é/"],
        "b": {"c": "yes"},
    }


def test_json_surrogate_pairs() -> None:
    assert body('{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_byte_order_mark_is_skipped() -> None:
    (document,) = parse("\ufeffa: 1\n").documents
    assert Positions(document.marks).of(document.body, ("a",)) == (1, 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b: &b {p: 1, q: 2}\nx:\n  <<: *b\n  q: 3\n", {"p": 1, "q": 3}),
        ("b: &b {p: 1, q: 2}\nx:\n  q: 3\n  <<: *b\n", {"p": 1, "q": 2}),
        ("b: &b {p: 1, q: 2}\nc: &c {q: 5, r: 6}\nx:\n  <<: [*b, *c]\n  s: 3\n", {"p": 1, "q": 2, "r": 6, "s": 3}),
        ("x:\n  <<: {a: 1}\n  s: 3\n", {"a": 1, "s": 3}),
        ("x:\n  '<<': {a: 1}\n", {"<<": {"a": 1}}),
        ("b: &b {p: {i: 1}}\nx:\n  <<: *b\n  p: {j: 2}\n", {"p": {"j": 2}}),
        ("a: &a {z: 1}\nb: &b {<<: *a, p: 2}\nx:\n  <<: *b\n", {"z": 1, "p": 2}),
        ("b: &b {p: 1}\nx:\n  <<: *b\n  p: null\n  z: 1\n", {"z": 1}),
        ("b: &b {p: 1}\nx:\n  p: null\n  <<: *b\n", {"p": 1}),
    ],
)
def test_merge_keys_work_as_in_kubectl(text: str, expected: object) -> None:
    assert body(text)["x"] == expected


def test_merged_and_aliased_values_stand_where_they_are_written() -> None:
    (document,) = parse("b: &b {p: {i: 1}}\nx:\n  <<: *b\n  q: *b\n").documents
    positions = Positions(document.marks)
    assert positions.of(document.body, ("x", "p", "i")) == (1, 15)
    assert positions.of(document.body, ("x", "q")) == (4, 6)
    assert positions.of(document.body, ("x", "q", "p", "i")) == (1, 15)


def test_aliases_of_scalars_and_as_keys() -> None:
    assert body("a: &x yes\nb: *x\nc: {*x : 1}\n") == {"a": True, "b": True, "c": {"true": 1}}
    assert body("&k key: 1\nb: *k\n") == {"key": 1, "b": "key"}
    assert body("a: &x 1\nb: &x 2\nc: *x\n")["c"] == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: *nope\n", ("yaml-alias", 1, 4)),
        ("a: &x [*x]\n", ("yaml-alias", 1, 8)),
        ("b: &b 3\nx:\n  <<: *b\n", ("yaml-merge", 3, 3)),
        ("x:\n  <<:\n", ("yaml-merge", 2, 3)),
        ("a: 1\nb: 2\na: 3\n", ("yaml-duplicate-key", 3, 1)),
        ("yes: 1\ntrue: 2\n", ("yaml-duplicate-key", 2, 1)),
        ("a: null\na: 2\n", ("yaml-duplicate-key", 2, 1)),
        ("? [a]\n: b\n", ("yaml-key", 1, 3)),
        ("{a: b}: c\n", ("yaml-key", 1, 1)),
        ("~: 1\n", ("yaml-key", 1, 1)),
        ("a: !foo b\n", ("yaml-tag", 1, 4)),
        ("a: !!set {b}\n", ("yaml-tag", 1, 4)),
        ("a: !!python/object:os.system {}\n", ("yaml-tag", 1, 4)),
        ("a: .nan\n", ("yaml-number", 1, 4)),
        ("a: [\n", ("yaml-syntax", 2, 1)),
        ("a: b: c\n", ("yaml-syntax", 1, 5)),
        ("a:\n  b: 1\n c: 2\n", ("yaml-syntax", 3, 2)),
        ("a:\n\tb: 1\n", ("yaml-syntax", 2, 1)),
        ("a: @x\n", ("yaml-syntax", 1, 4)),
        ("a: 'é\x07'\n", ("yaml-encoding", 1, 6)),
        (b"a: x\nb: \xff\n", ("yaml-encoding", 2, 4)),
        (b"\xff\xfea\x00", ("yaml-encoding", 1, 1)),
        ("a: x\0y\n", ("yaml-encoding", 1, 5)),
    ],
)
def test_faults_have_a_code_and_a_place(text: str | bytes, expected: tuple[str, int, int]) -> None:
    assert fault(text)[:3] == expected


def test_a_duplicate_names_both_places() -> None:
    message = fault("metadata:\n  labels:\n    a: 1\n    b: 2\n    a: 3\n")[3]
    assert "line 3, column 5" in message


@pytest.mark.parametrize(
    ("text", "word"),
    [("a:\n\tb: 1\n", "tab"), ("a: b: c\n", "quotes"), ("a: @x\n", "quotes"), ("a:\n  b: 1\n c: 2\n", "indented")],
)
def test_usual_mistakes_have_a_hint(text: str, word: str) -> None:
    assert word in fault(text)[4]


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("kind: A\nkind: B\n", True),
        ("metadata: {name: a, name: b}\n", True),
        ("metadata: {name: a}\nspec: {}\nmetadata: {name: b}\n", True),
        ("metadata: {name: a, labels: {x: a, x: b}}\n", False),
        ("spec: {a: 1, a: 2}\n", False),
    ],
)
def test_duplicates_that_leave_the_identity_open(text: str, doubtful: bool) -> None:
    (document,) = parse(text).documents
    assert document.identity_doubtful is doubtful


def test_a_syntax_error_spoils_only_its_document() -> None:
    stream = parse("a: 1\n---\nb: [\n---\nc: 3\n--- # with a comment\nd: {\n")
    assert [document.body for document in stream.documents] == [{"a": 1}, {"c": 3}]
    assert [(one.code, one.place.line) for one in stream.problems] == [("yaml-syntax", 4), ("yaml-syntax", 8)]
    assert Positions(stream.documents[1].marks).of({"c": 3}, ("c",)) == (5, 4)


def test_a_refused_document_spoils_only_itself() -> None:
    stream = parse("a: *x\nb: [1, {c: 2}]\n---\nc: 3\n")
    assert [document.body for document in stream.documents] == [{"c": 3}]
    assert [one.code for one in stream.problems] == ["yaml-alias"]


def test_limits() -> None:
    assert fault("a: " + "x" * 100, file_bytes=50)[0] == "yaml-too-large"
    assert fault("[" * 30 + "]" * 30, depth=20)[0] == "yaml-too-large"
    assert fault("[" * 50_000 + "]" * 50_000)[0] == "yaml-too-large"
    assert fault("a: [" + "x," * 200 + "]", nodes=100)[0] == "yaml-too-large"
    assert fault("---\na: 1\n" * 20, documents=10)[0] == "yaml-too-large"
    assert len(parse("---\na: 1\n" * 10, documents=10).documents) == 10


def test_alias_bombs_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert fault("\n".join(lines))[0] == "yaml-too-large"


def test_aliases_cannot_nest_deeper_than_the_limit() -> None:
    lines = ["a0: &a0 [" + "[" * 40 + "]" * 40 + "]"]
    lines += [f"a{n}: &a{n} " + "[" * 40 + f"*a{n - 1}" + "]" * 40 for n in range(1, 4)]
    assert fault("\n".join(lines))[0] == "yaml-too-large"


def test_a_bomb_of_merge_keys_is_bounded() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{n}: v" for n in range(200)) + "}"]
    lines += [f"a{n}: &a{n} {{x{n}: [{', '.join([f'*a{n - 1}'] * 20)}], <<: *a{n - 1}}}" for n in range(1, 8)]
    assert fault("\n".join(lines))[0] == "yaml-too-large"


def test_each_of_several_duplicates_names_the_first_place() -> None:
    (document,) = parse("a: 1\nb: null\nc: 3\na: {x: 1}\nc: 2\nb: 1\n").documents
    lines = [(one.place.line, one.message.rsplit(" line ", 1)[1]) for one in document.problems]
    assert lines == [(4, "1, column 1"), (5, "3, column 1"), (6, "2, column 1")]


def test_faults_of_one_document_are_bounded() -> None:
    assert len(parse("a: [" + ".inf, " * 10_000 + "]").documents[0].problems) == 100
    keys = ", ".join(f"k{number}: 1" for number in range(10_000))
    assert len(parse(f"{{{keys}, {keys}}}").documents[0].problems) == 100


def test_the_limit_on_values_holds_for_a_file_with_a_syntax_error_too() -> None:
    bomb = "---\na: &a [" + "x, " * 50 + "]\nb: [" + "*a, " * 10 + "]\n"
    assert fault(bomb * 10 + "---\n[", nodes=2000)[0] == "yaml-too-large"
    assert [one.code for one in parse(bomb * 3 + "---\n[", nodes=20_000).problems] == ["yaml-syntax"]
