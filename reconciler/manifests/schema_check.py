"""Checks a document's shape against the schema of its kind.

The good path is a compiled validator, a few microseconds a document; only a document that fails it is looked at again by the
validator that can explain.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs

from reconciler.manifests.known_kinds import KNOWN_KINDS
from reconciler.manifests.raw_text import RawText
from reconciler.manifests.walk import pairs
from reconciler.model.document import Document, dotted
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from schemas import read_schema

_CODES = {
    "additionalProperties": "schema-unknown-field",
    "required": "schema-required",
    "type": "schema-type",
    "enum": "schema-enum",
    "const": "schema-enum",
    "pattern": "schema-pattern",
}


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a known kind.

    Raises:
        KeyError: the kind is not one of `KNOWN_KINDS`.
    """
    if kind not in KNOWN_KINDS:
        raise KeyError(kind)
    return read_schema(f"{kind.lower()}.json")


@cache
def _compiled(kind: str) -> Any:
    return jsonschema_rs.Draft202012Validator(schema_of(kind))


def fits_schema(document: Document) -> bool:
    """Whether a document of a known kind has the shape of its schema."""
    return bool(_compiled(document.key.kind).is_valid(document.body))


def schema_problems(document: Document, raw: RawText, *, explained_nodes: int) -> tuple[Problem, ...]:
    """What is wrong with the shape of a document that its schema refuses; ``raw`` is its file, for hints. Of a document with more
    values than ``explained_nodes`` only the first fault: the validator that explains is some hundred times slower.
    """
    if pairs(document.body) <= explained_nodes:
        from reconciler.manifests.schema_explain import explain  # noqa: PLC0415  (slow to import, and seldom needed)

        return explain(document, schema_of(document.key.kind), raw)
    first = next(_compiled(document.key.kind).iter_errors(document.body))
    keyword, path = str(first.schema_path[-1]), tuple(first.instance_path)
    text = f"does not satisfy {keyword}; a document of more than {explained_nodes} values is told its first fault only"
    code = _CODES.get(keyword, "schema-value")
    return (
        problem(code, document.place(path), text, object=document.key, path=dotted(path), hint="split the document"),
    )
