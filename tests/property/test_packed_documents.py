"""Documents that are kept small say the same as those that are not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.manifests.load import digest_of
from reconciler.manifests.strict_yaml import parse_stream
from reconciler.manifests.walk import leaves
from reconciler.model.document import Document, Positions
from reconciler.model.keys import ObjectKey

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Co", "Cs")), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    TEXT | st.booleans() | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def both(text: str) -> tuple[Document, Document]:
    """A document as read, and packed."""
    (parsed,) = parse_stream(text.encode(), "a.yaml").documents
    eager = Document(
        key=ObjectKey("Thing", "default", "a"),
        api_version="v1",
        body=parsed.body,
        digest=digest_of(parsed.body),
        file="a.yaml",
        positions=Positions(parsed.marks),
    )
    return eager, eager.packed()


def same(one: Any, other: Any) -> bool:
    """Equal, with the same types (1 is not 1.0 is not True) and keys in the same order."""
    return repr(one) == repr(other)


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_packed_body_is_the_body(value: dict[str, Any]) -> None:
    eager, packed = both(json.dumps(value, ensure_ascii=False))
    assert same(packed.body, eager.body)
    assert digest_of(packed.body) == eager.digest == packed.digest
    assert packed.packed().text == packed.text == eager.text


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_problems_of_packed_documents_stand_where_they_stood(value: dict[str, Any]) -> None:
    eager, packed = both(json.dumps(value, ensure_ascii=False, indent=1))
    for path in [(), *(path for path, _ in leaves(eager.body)), ("no", "such", "field")]:
        assert packed.place(path) == eager.place(path)
        assert packed.place(path, key=True) == eager.place(path, key=True)


def test_a_large_body_is_read_again_each_time() -> None:
    eager, packed = both(json.dumps({"a": "x" * 70_000}))
    assert packed.body == eager.body
    assert packed.body is not packed.body
    assert both("a: 1")[1].body is both("a: 1")[1].body


def test_no_document_shows_its_body() -> None:
    for document in both("password: hunter2"):
        assert "hunter2" not in repr(document)
