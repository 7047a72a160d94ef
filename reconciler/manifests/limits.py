"""How much a manifest file may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """Bounds on one file. ``nodes`` counts keys, values and everything an alias stands for."""

    file_bytes: int = 8 * 1024 * 1024
    depth: int = 100
    nodes: int = 1_000_000
    documents: int = 100_000


DEFAULT_LIMITS = ParseLimits()
