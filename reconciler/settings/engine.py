"""``engine``: which one, and its own options as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which engine, and its options as plain camelCase data."""

    name: str = "libvirt"
    options: Mapping[str, Any] = field(default_factory=dict)


def read_engine(body: Mapping[str, Any]) -> EngineSettings:
    """The section; the schema lets one engine through."""
    for name, options in body.items():
        return EngineSettings(name=name, options=options or {})
    return EngineSettings()
