"""Properties of reading: data survives, positions point at their text, and no input breaks the reader."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reconciler.manifests.limits import ParseLimits
from reconciler.manifests.load import load_blob
from reconciler.manifests.strict_yaml import parse_stream
from reconciler.manifests.walk import leaves, pairs
from reconciler.model.document import Positions
from tests.unit.manifests.samples import joined

PRINTABLE = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="\u2028\u2029\ufeff"
)
TEXT = st.text(PRINTABLE, max_size=12)
SCALARS = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(-1e15, 1e15))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)
OBJECTS = st.dictionaries(TEXT, VALUES, min_size=1, max_size=5)


def only_body(text: str) -> tuple[Any, Positions]:
    stream = parse_stream(text.encode(), "a.yaml")
    assert stream.problems == ()
    (document,) = stream.documents
    assert document.problems == ()
    return document.body, Positions(document.marks)


@given(OBJECTS)
@settings(max_examples=200, deadline=None)
def test_json_is_read_as_it_is(value: dict[str, Any]) -> None:
    body, positions = only_body(json.dumps(value, ensure_ascii=False))
    assert body == value
    assert len(positions.marks) == 2 * pairs(body)


@given(st.recursive(TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)))
@settings(max_examples=200, deadline=None)
def test_quoted_texts_in_block_style_are_read_as_they_are(value: Any) -> None:
    text = yaml.dump({"a": value}, default_style='"', default_flow_style=False, allow_unicode=True, width=10_000)
    body, positions = only_body(text)
    assert body == {"a": value}
    assert len(positions.marks) == 2 * pairs(body)


@given(st.dictionaries(st.text("abcdefg", min_size=1, max_size=5), VALUES, min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_positions_point_at_the_text_of_values(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    lines = text.split("\n")
    body, positions = only_body(text)
    for path, leaf in leaves(body):
        line, column = positions.of(body, path)
        written = lines[line - 1][column - 1 :]
        if isinstance(leaf, str):
            assert written.startswith(json.dumps(leaf, ensure_ascii=False))
        elif isinstance(leaf, bool):
            assert written.startswith(str(leaf).lower())
        else:
            assert json.loads(written.rstrip(",")) == leaf


@given(st.binary(max_size=200))
@example(b"a: &a [*a]")
@example(b"<<: [")
@example(b"? ? ?")
@example(b"\xef\xbb\xbf")
@settings(max_examples=400, deadline=None)
def test_no_bytes_break_the_way_in(data: bytes) -> None:
    joined([load_blob(data, "a.yaml")])


FRAGMENTS = st.sampled_from(
    """apiVersion: kubevirt.io/v1|kind: VirtualMachine|kind: List|items:|- |metadata:|name: a|namespace: b|spec:|<<: *a|&a |*a|
!!str |!!int |{|}|[|]|,|? |: |"|'|||~|null|yes|0777|1e3|.inf|---|...|\n|\n  |\n    |\n      |\t|template:|domain:|devices:|disks:|
interfaces:|networks:|volumes:|running: true|dataVolumeTemplates:|\ufeff|\u2028|%YAML 1.2|#|>""".replace("\n", "")
    .replace("\\n", "\n")
    .split("|")
)


@given(st.lists(FRAGMENTS, max_size=40))
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_mixture_of_yaml_breaks_the_way_in(parts: list[str]) -> None:
    loaded = load_blob("".join(parts).encode(), "a.yaml", limits=ParseLimits(depth=20, nodes=2000, documents=50))
    found = joined([loaded])
    for problem in found.problems:
        assert problem.message
        assert problem.place.file == "a.yaml"


@given(st.dictionaries(st.sampled_from(["domain", "volumes", "networks", "hostname", "x"]), VALUES, max_size=4), VALUES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_wrong_shape_breaks_the_checks(vmi: dict[str, Any], metadata: Any) -> None:
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "a", "labels": metadata},
        "spec": {"running": True, "template": {"spec": vmi}},
    }
    loaded = load_blob(json.dumps(body).encode(), "a.json")
    assert loaded.invalid
    assert all(one.place.line == 1 and one.place.column >= 1 for one in loaded.problems)
