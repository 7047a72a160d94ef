"""How much a manifest file, and a revision, may hold."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionLimits:
    """Bounds on all files of one source together. ``documents`` is how many good ones a revision may hold, ``read_bytes`` how much of
    it is read and parsed because it is new.
    """

    documents: int = 500_000
    read_bytes: int = 512 * 1024 * 1024


DEFAULT_REVISION_LIMITS = RevisionLimits()
