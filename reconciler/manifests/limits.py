"""How much a manifest file may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """Bounds on one file. ``nodes`` counts keys, values and everything an alias stands for. ``problems`` is how many are told of
    one file; the rest are counted. A document of more than ``explained_nodes`` that its schema refuses is told its first
    fault only.
    """

    file_bytes: int = 8 * 1024 * 1024
    depth: int = 100
    nodes: int = 1_000_000
    documents: int = 100_000
    problems: int = 1000
    explained_nodes: int = 20_000


DEFAULT_LIMITS = ParseLimits()
