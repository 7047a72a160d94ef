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
from reconciler.manifests.schema_explain import explain
from reconciler.model.document import Document
from reconciler.model.problem import Problem
from schemas import read_schema


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


def check_schema(document: Document, raw: RawText) -> tuple[Problem, ...]:
    """What is wrong with the shape of a document of a known kind; ``raw`` is its file, for hints."""
    if _compiled(document.key.kind).is_valid(document.body):
        return ()
    return explain(document, schema_of(document.key.kind), raw)
