"""How a document that SOPS encrypted is known, without anything that could open it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SOPS = "sops"
"""The field that SOPS adds to a document."""


def is_sealed(body: Any) -> bool:
    """Whether a document carries SOPS metadata."""
    metadata = body.get(SOPS) if isinstance(body, Mapping) else None
    return isinstance(metadata, Mapping) and ("mac" in metadata or "lastmodified" in metadata)
