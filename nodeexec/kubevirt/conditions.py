"""Conditions of a served document's status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def condition(document: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    """A condition of a document's status."""
    conditions = ((document or {}).get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == name), None)


def is_true(document: Mapping[str, Any] | None, name: str) -> bool:
    """Whether a document has a condition that holds."""
    return (condition(document, name) or {}).get("status") == "True"
