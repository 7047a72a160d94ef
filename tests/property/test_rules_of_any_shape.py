"""Whatever the schemas let through, the rules of one document answer with problems and never fall over."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.manifests.kinds import check_document
from reconciler.manifests.known_kinds import KNOWN_KINDS
from reconciler.manifests.object_facts import facts_of
from reconciler.manifests.schema_check import fits_schema, schema_of
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Severity
from reconciler.model.problem_codes import code_entry

TEXTS = (
    "",
    "a",
    "root",
    "A b",
    "-1",
    "4Gi",
    "80",
    "02:00:00:00:00:01",
    "10.0.0.0/24",
    "http://a/b",
    "{",
    "ä\u202e",
    "x" * 300,
)
AMOUNTS = ("4Gi", "0", "500m", "-1", ".5", "1e3", 7, 0.25, "9E")
NUMBERS = (-1, 0, 1, 2, 80, 512, 70000)
NAMES = ("root", "seed", "pod", "lan")
MAX_DEPTH = 14
LIKELY = frozenset({"spec", "domain", "devices", "disks", "interfaces", "volumes", "networks", "storage", "source"})
"""Without them there is nothing for most rules to look at."""


def made(node: dict[str, Any], schema: dict[str, Any], rng: random.Random, depth: int = 0) -> Any:
    """A value that a node of a schema lets through, small and full of what rules look at."""
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return rng.choice(AMOUNTS) if name == "Quantity" else made(schema["$defs"][name], schema, rng, depth + 1)
    if "const" in node:
        return node["const"]
    if "enum" in node:
        return rng.choice(node["enum"])
    kinds = node.get("type", "object")
    kind = rng.choice([one for one in kinds if one != "null"]) if isinstance(kinds, list) else kinds
    if kind == "object":
        return an_object(node, schema, rng, depth)
    if kind == "array":
        least = node.get("minItems", 0)
        return [made(node["items"], schema, rng, depth + 1) for _ in range(rng.randint(least, max(least, 2)))]
    if kind == "boolean":
        return rng.random() < 0.6
    if kind in ("integer", "number"):
        return min(max(rng.choice(NUMBERS), node.get("minimum", -9)), node.get("maximum", 99999))
    return rng.choice(TEXTS)[: node.get("maxLength", 300)].ljust(node.get("minLength", 0), "a")


def an_object(node: dict[str, Any], schema: dict[str, Any], rng: random.Random, depth: int) -> dict[str, Any]:
    """Required fields, and some of the others; names repeat, so that lists refer to each other."""
    fields = node.get("properties", {})
    open_to = node.get("additionalProperties")
    chance = 0.2 if depth < MAX_DEPTH else 0.0
    chosen = [
        name
        for name in fields
        if name in node.get("required", ()) or rng.random() < (0.9 if name in LIKELY else chance)
    ]
    body = {
        name: rng.choice(NAMES) if name == "name" and depth > 2 else made(fields[name], schema, rng, depth + 1)
        for name in chosen
        if name != "status"
    }
    if isinstance(open_to, dict):
        body |= {rng.choice(("cpu", "memory", "storage", "a b")): made(open_to, schema, rng, depth + 1)}
    return body


def checked(kind: str, seed: int) -> set[str]:
    """The codes of what is wrong with one made document."""
    schema = schema_of(kind)
    body = made(schema, schema, random.Random(seed))
    document = Document(
        key=ObjectKey(kind, "default", "a"), api_version=KNOWN_KINDS[kind], body=body, digest="", file="a.yaml"
    )
    assert fits_schema(document)
    problems = check_document(document)
    for found in problems:
        assert code_entry(found.code).severity is found.severity
        assert found.message and len(found.message) < 2000
    if all(found.severity is Severity.WARNING for found in problems):
        facts_of(document)
    return {found.code for found in problems}


@pytest.mark.parametrize("kind", sorted(KNOWN_KINDS))
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_rules_answer(kind: str, seed: int) -> None:
    checked(kind, seed)


def test_what_is_made_reaches_most_rules() -> None:
    assert len(set[str]().union(*(checked("VirtualMachine", seed) for seed in range(500)))) > 80
