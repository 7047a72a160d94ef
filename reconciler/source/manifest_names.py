"""Which files of a repository are read."""

from __future__ import annotations

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")


def is_manifest(name: str) -> bool:
    """Whether a file of that name is read: ``*.yaml``, ``*.yml``, ``*.json``, but no hidden file."""
    return name.lower().endswith(MANIFEST_SUFFIXES) and not name.startswith(".")
