"""JSON Schemas (draft 2020-12), one a kind, as package data; editors may use the files as they are."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def read_schema(name: str) -> dict[str, Any]:
    """The schema of that file name, such as ``virtualmachine.json``.

    Raises:
        FileNotFoundError: there is none.
    """
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
